// What PO and MO have in common: an entry of a gettext catalogue and how its strings become pairs.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "text/corpus.h"

namespace megin::text {

struct CatalogueEntry {
  std::string context;                    // msgctxt
  std::string id;                         // msgid
  std::string plural_id;                  // msgid_plural; empty without plural forms
  std::vector<std::string> translations;  // msgstr, or msgstr[0], msgstr[1], ...
  uint64_t line = 0;
};

// Adds the pairs of a translated entry to `pairs`: msgid with the first form, msgid_plural with the second
// (the further forms of other languages have no English string of their own). Untranslated strings give none.
void append_pairs(const CatalogueEntry& entry, const CatalogueOptions& options, std::deque<Pair>& pairs);

// `side` without its keyboard-accelerator mark, as CatalogueOptions::accelerator_marks says.
std::string strip_accelerator(std::string_view side, std::string_view other, std::string_view marks);

// The character set that a catalogue's header (the translation of "") names; "UTF-8" when it names none or
// the placeholder "CHARSET" of templates.
std::string header_charset(std::string_view header);

// Whether strings in `charset` are UTF-8 as they stand.
bool is_utf8_charset(std::string_view charset);

}  // namespace megin::text
