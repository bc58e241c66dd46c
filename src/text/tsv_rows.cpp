#include "text/tsv_rows.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace megin::text {
namespace {

bool is_number(std::string_view column) {
  return std::all_of(column.begin(), column.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A number from 1 as an index from 0.
size_t numbered(const std::string& column) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(column.data(), column.data() + column.size(), number);
  if (error != std::errc() || number < 1) fail_usage("TSV columns count from 1, found '{}'", column);
  return number - 1;
}

std::vector<std::string> names_of(std::string_view header) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= header.size();) {
    const size_t end = std::min(header.find('\t', begin), header.size());
    names.emplace_back(header.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

}  // namespace

TsvRows::TsvRows(const std::filesystem::path& path, const TsvOptions& options)
    : lines_(path), where_(options.where) {
  if (!where_.empty()) condition_ = config::parse_row_condition(where_, "where");
  find_columns(options);
}

void TsvRows::find_columns(const TsvOptions& options) {
  std::vector<std::string> asked = options.columns;
  if (condition_) asked.push_back(condition_->column);
  std::vector<std::string> names;
  if (options.header || !std::all_of(asked.begin(), asked.end(), is_number)) {
    lines_.next(line_);
    names = names_of(line_);
  }
  for (const std::string& column : asked) {
    columns_.push_back(is_number(column) ? numbered(column) : column_named(column, names));
    wanted_ = std::max(wanted_, columns_.back() + 1);
  }
  if (condition_) {
    condition_column_ = columns_.back();
    columns_.pop_back();
  }
}

size_t TsvRows::column_named(const std::string& column, const std::vector<std::string>& names) const {
  const auto found = std::find(names.begin(), names.end(), column);
  if (found == names.end()) {
    fail("{}: wanted a column '{}' in the first line, found {}; correct the name, or give its number from 1",
         path().string(), column, fmt::join(names, ", "));
  }
  return static_cast<size_t>(found - names.begin());
}

void TsvRows::split_row() {
  cells_.clear();
  const std::string_view line = line_;
  for (size_t begin = 0; cells_.size() < wanted_;) {
    if (begin > line.size()) {
      fail("{}: wanted at least {} columns between tabs, found {}; correct the line or choose other columns",
           where(), wanted_, cells_.size());
    }
    const size_t end = std::min(line.find('\t', begin), line.size());
    cells_.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
}

bool TsvRows::takes_row() const {
  if (!condition_) return true;
  std::string_view cell = cells_[condition_column_];
  while (cell.starts_with(' ')) cell.remove_prefix(1);
  while (cell.ends_with(' ')) cell.remove_suffix(1);
  return (cell == condition_->value) == condition_->equal;
}

bool TsvRows::next(std::vector<std::string_view>& values) {
  while (lines_.next(line_)) {
    split_row();
    if (!takes_row()) continue;
    ++taken_;
    values.clear();
    for (const size_t column : columns_) values.push_back(cells_[column]);
    return true;
  }
  if (condition_ && taken_ == 0) {
    fail("{}: wanted rows where {}, found none; correct the condition or the file", path().string(), where_);
  }
  return false;
}

}  // namespace megin::text
