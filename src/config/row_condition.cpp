#include "config/row_condition.h"

#include "config/require.h"

namespace megin::config {
namespace {

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(' ') + 1 - begin));
}

}  // namespace

RowCondition parse_row_condition(std::string_view text, std::string_view path) {
  const size_t sign = text.find('=');
  RowCondition condition;
  if (sign != std::string_view::npos) {
    condition.equal = sign == 0 || text[sign - 1] != '!';
    condition.column = trimmed(text.substr(0, condition.equal ? sign : sign - 1));
    condition.value = trimmed(text.substr(sign + 1));
  }
  require(!condition.column.empty() && !condition.value.empty() && condition.value.front() != '=', path,
          "a column and what it is or is not, as \"fold = 0\" or \"fold != 0\"",
          "\"" + std::string(text) + "\"");
  return condition;
}

}  // namespace megin::config
