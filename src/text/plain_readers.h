// Parallel text in line-based files: two files side by side, and columns of one.
#pragma once

#include <memory>

#include "text/corpus.h"
#include "text/tsv_rows.h"

namespace megin::text {

// Line n of one file with line n of the other. At the end next() throws Error with both counts when the files
// have unequal numbers of lines.
std::unique_ptr<PairReader> open_parallel(const std::filesystem::path& source,
                                          const std::filesystem::path& target);

// The rows of a TSV file; `options` names two columns, the source's and the target's.
std::unique_ptr<PairReader> open_tsv(const std::filesystem::path& path, const TsvOptions& options);

}  // namespace megin::text
