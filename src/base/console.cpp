#include "base/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/human_text.h"

namespace megin {
namespace {

constexpr std::string_view kEraseLine = "\r\x1b[K";
constexpr int kUnknownWidth = 100;

// A failed write to standard error has nobody who could be told.
void write_to_standard_error(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
}

int standard_error_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUnknownWidth;
  return size.ws_col;
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {  // in the order in which they win
    const std::string_view value = environment(name);
    if (value.empty()) continue;
    return value.find("UTF-8") != value.npos || value.find("utf8") != value.npos ||
           value.find("utf-8") != value.npos;
  }
  return false;
}

}  // namespace

Screen standard_error() {
  Screen screen;
  screen.write = write_to_standard_error;
  screen.width = standard_error_width;
  screen.terminal = ::isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb";
  screen.unicode = locale_is_utf8();
  return screen;
}

Console::Console(Screen screen, bool quiet) : screen_(std::move(screen)), quiet_(quiet) {}

Console::~Console() {
  set_status("");
}

int Console::width() const {
  return std::max(20, screen_.width());
}

void Console::print(std::string_view line) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string out;
  if (!status_.empty()) out += kEraseLine;
  out += line;
  out += '\n';
  out += status_;
  screen_.write(out);
}

void Console::set_status(std::string_view text) {
  if (quiet_ || !screen_.terminal) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  // The last column stays free: some terminals wrap as soon as it is filled.
  std::string cut = cut_to_width(text, width() - 1, screen_.unicode);
  if (cut == status_) return;
  screen_.write(std::string(kEraseLine) + cut);
  status_ = std::move(cut);
}

}  // namespace megin
