// Standard error as one place: lines above, at most one status line (a progress bar) below. Everything that
// prints for people goes through the one Console that the program's main made, so that lines and bar never
// break each other.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace megin {

// Where a console writes; tests give their own.
struct Screen {
  std::function<void(std::string_view)> write;
  std::function<int()> width;  // in columns, asked at each drawing
  bool terminal = false;       // can a line be drawn over
  bool unicode = true;         // else plain ASCII
};

// Standard error: a terminal if it is one and TERM is not "dumb"; Unicode if the locale's variables say
// UTF-8.
Screen standard_error();

// All functions may be called from any thread.
class Console {
 public:
  // Quiet: no status and no notes; only what print() is given (warnings and errors) appears.
  explicit Console(Screen screen = standard_error(), bool quiet = false);
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;
  ~Console();  // removes the status line

  bool quiet() const { return quiet_; }
  bool terminal() const { return screen_.terminal; }
  bool unicode() const { return screen_.unicode; }
  int width() const;  // columns, at least 20

  // Prints a line above the status line. `line` is without its end mark and may hold several.
  void print(std::string_view line);

  // Replaces the status line; an empty one removes it. Does nothing where nothing can be drawn over. Cut to
  // the width of the screen.
  void set_status(std::string_view text);

 private:
  Screen screen_;
  bool quiet_;
  std::mutex mutex_;
  std::string status_;  // as drawn
};

}  // namespace megin
