// Rows of a TSV file (also .gz or .zst): the columns asked for, of the rows that a condition takes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/row_condition.h"
#include "text/line_reader.h"

namespace megin::text {

struct TsvOptions {
  std::vector<std::string> columns;  // each its number from 1, or its name in the header
  bool header = false;               // the first line names the columns; a name above or below says so, too
  std::string where = {};            // "fold = 0", "fold != 0" (config/row_condition.h); empty: every row
};

// Columns stand between tab characters, without any quoting; a row may have more than are asked for. Streams.
class TsvRows {
 public:
  // Throws UsageError for what cannot be a column or a condition, Error for a file that cannot be opened and
  // for a name that its header lacks.
  TsvRows(const std::filesystem::path& path, const TsvOptions& options);

  // Puts the columns of the next row, in the order in which they were asked for, into `values`, whose texts
  // live until the next call, and returns true; false at the end. Throws Error for a row with too few
  // columns, and at the end when the condition took no row.
  bool next(std::vector<std::string_view>& values);

  std::string where() const { return lines_.where(); }  // "file:line" of the row that next() gave last
  uint64_t line_number() const { return lines_.line_number(); }
  const std::filesystem::path& path() const { return lines_.path(); }

 private:
  void find_columns(const TsvOptions& options);
  size_t column_named(const std::string& column, const std::vector<std::string>& names) const;
  void split_row();
  bool takes_row() const;

  LineReader lines_;
  std::string where_;  // as it was given
  std::optional<config::RowCondition> condition_;
  size_t condition_column_ = 0;
  std::vector<size_t> columns_;  // from 0
  size_t wanted_ = 0;            // so many columns from the first are looked at
  uint64_t taken_ = 0;
  std::string line_;
  std::vector<std::string_view> cells_;
};

}  // namespace megin::text
