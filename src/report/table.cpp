#include "report/table.h"

#include <algorithm>

#include "base/error.h"
#include "base/human_text.h"

namespace megin::report {
namespace {

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(display_width(text));
}

std::string aligned(const std::string& cell, Align align, size_t width) {
  const std::string space(width - std::min(width, columns_of(cell)), ' ');
  return align == Align::kLeft ? cell + space : space + cell;
}

std::string escaped_for_markdown(std::string_view cell) {
  std::string out;
  for (const char c : cell) {
    if (c == '|') {
      out += "\\|";
    } else if (c == '\n') {
      out += "<br>";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  if (columns_.empty()) fail_usage("a table needs a column");
}

void Table::add_row(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) {
    fail_usage("a row of {} cells does not fit into a table of {} columns", cells.size(), columns_.size());
  }
  rows_.push_back(std::move(cells));
}

std::vector<std::vector<std::string>> Table::with_headings() const {
  std::vector<std::vector<std::string>> all(1);
  for (const Column& column : columns_) all[0].push_back(column.heading);
  all.insert(all.end(), rows_.begin(), rows_.end());
  return all;
}

std::vector<size_t> Table::widths(const std::vector<std::vector<std::string>>& rows) const {
  std::vector<size_t> widths(columns_.size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  return widths;
}

std::string Table::text() const {
  auto all = with_headings();
  const std::vector<size_t> width = widths(all);
  std::vector<std::string> rule;
  rule.reserve(width.size());
  for (const size_t columns : width) rule.emplace_back(columns, '-');
  all.insert(all.begin() + 1, rule);
  std::string out;
  for (const auto& row : all) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      line += aligned(row[i], columns_[i].align, width[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

std::string Table::markdown() const {
  auto all = with_headings();
  for (auto& row : all) {
    std::transform(row.begin(), row.end(), row.begin(), escaped_for_markdown);
  }
  std::vector<size_t> width = widths(all);
  for (size_t& columns : width) columns = std::max<size_t>(columns, 3);
  std::vector<std::string> rule;
  rule.reserve(width.size());
  for (size_t i = 0; i < width.size(); ++i) {
    rule.push_back(std::string(width[i] - 1, '-') + (columns_[i].align == Align::kLeft ? '-' : ':'));
  }
  all.insert(all.begin() + 1, rule);
  std::string out;
  for (const auto& row : all) {
    for (size_t i = 0; i < row.size(); ++i) out += "| " + aligned(row[i], columns_[i].align, width[i]) + ' ';
    out += "|\n";
  }
  return out;
}

}  // namespace megin::report
