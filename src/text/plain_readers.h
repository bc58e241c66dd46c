// Parallel text in line-based files: two files side by side, and columns of one.
#pragma once

#include <memory>

#include "text/corpus.h"

namespace megin::text {

// Line n of one file with line n of the other. At the end next() throws Error with both counts when the files
// have unequal numbers of lines.
std::unique_ptr<PairReader> open_parallel(const std::filesystem::path& source,
                                          const std::filesystem::path& target);

// Columns between tab characters, without any quoting. `columns` counts from 1. next() throws Error for a
// line with too few columns.
struct TsvColumns {
  int source = 1;
  int target = 2;
  int header_lines = 0;
};
std::unique_ptr<PairReader> open_tsv(const std::filesystem::path& path, const TsvColumns& columns);

}  // namespace megin::text
