// Tables for terminals and for Markdown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace megin::report {

enum class Align { kLeft, kRight };

struct Column {
  std::string heading;
  Align align = Align::kLeft;  // numbers read best at the right
};

// Cells are UTF-8 text of one line. Columns line up in a monospaced font, wide and combining characters
// counted (base/human_text.h).
class Table {
 public:
  // UsageError without a column.
  explicit Table(std::vector<Column> columns);

  // UsageError if the number of cells is not the number of columns.
  void add_row(std::vector<std::string> cells);

  // Headings, a rule and the rows, with two spaces between columns and none at the ends of lines.
  std::string text() const;

  // A pipe table; a bar or a line end in a cell is escaped.
  std::string markdown() const;

 private:
  std::vector<size_t> widths(const std::vector<std::vector<std::string>>& rows) const;
  std::vector<std::vector<std::string>> with_headings() const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace megin::report
