// Which rows of a table are taken: `where` of a corpus and of megin score.
#pragma once

#include <string>
#include <string_view>

namespace megin::config {

// A column's text is, or is not, this one; spaces around it do not count.
struct RowCondition {
  std::string column;  // its number from 1, or its name in the header
  std::string value;
  bool equal = true;
};

// "fold = 0" or "fold != 0". Throws UsageError, which begins with `path`, for anything else.
RowCondition parse_row_condition(std::string_view text, std::string_view path);

}  // namespace megin::config
