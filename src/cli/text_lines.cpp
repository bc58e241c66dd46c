#include "cli/text_lines.h"

#include <istream>

#include "base/error.h"
#include "metric/python_text.h"

namespace megin::cli {

TextLines::TextLines(const std::string& path, std::istream& standard_input)
    : standard_input_(standard_input) {
  if (path != "-") file_.emplace(path);
}

bool TextLines::next(std::string& line) {
  if (!(file_ ? file_->next(line) : static_cast<bool>(std::getline(standard_input_, line)))) return false;
  ++lines_;
  const size_t bad = metric::first_invalid_byte(line);
  if (bad != std::string::npos) {
    fail("{}:{}: not valid UTF-8 at byte {} of the line; convert the file to UTF-8", name(), lines_, bad + 1);
  }
  return true;
}

}  // namespace megin::cli
