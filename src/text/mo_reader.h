// Compiled gettext catalogues (MO). Format: GNU gettext manual, "The Format of GNU MO Files".
#pragma once

#include <memory>

#include "text/corpus.h"

namespace megin::text {

// Pairs in the order of the file's table, which is sorted by msgid. Either byte order; major revisions 0 and
// 1, whose system-dependent strings are left out. A catalogue is read whole, up to 256 MiB. Throws Error
// naming the file and the entry for offsets that point outside the file, strings that overlap and other
// damage.
std::unique_ptr<PairReader> open_mo(const std::filesystem::path& path, const CatalogueOptions& options);

}  // namespace megin::text
