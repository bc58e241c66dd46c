// Gettext catalogues as text (PO). Format: GNU gettext manual, "The Format of PO Files".
#pragma once

#include <memory>

#include "text/corpus.h"

namespace megin::text {

// Pairs (msgid, msgstr) in the order of the file; fuzzy, obsolete and untranslated entries and the header are
// skipped. Text is converted from the header's character set. Throws Error, with file and line, for broken
// syntax.
std::unique_ptr<PairReader> open_po(const std::filesystem::path& path, const CatalogueOptions& options);

}  // namespace megin::text
