// Translation memories in TMX 1.4b (and 1.1 to 1.3, whose segments look the same).
#pragma once

#include <memory>
#include <string_view>

#include "text/corpus.h"

namespace megin::text {

struct TmxLanguages {
  std::string source;
  std::string target;
};

// The translation units that have both languages, in the order of the file; a unit's first variant of the
// best match counts. Of inline markup the content of bpt, ept, ph, it and ut (native codes, with their sub
// flows) is dropped and the text of hi is kept; a ph of type "lb" becomes a space. UTF-8, UTF-16, ISO-8859-1.
// next() throws Error, with file and line, for XML that is not well-formed, for declared or unknown entities
// (a declared one could expand to gigabytes), and at the end when no unit had both languages, naming
// those that were found.
std::unique_ptr<PairReader> open_tmx(const std::filesystem::path& path, const TmxLanguages& languages);

// How well the language code `found` answers for `wanted`: 2 equal, 1 one is the other with a region or
// script added ("de", "de-AT"), 0 not. Case does not matter, nor "_" for "-".
int match_language(std::string_view wanted, std::string_view found);

}  // namespace megin::text
