// Progress of something long: a bar on a terminal,
//
//   train  37% ████████▉               370/1,000 updates · 12.3/s · 0:51 left · loss 4.21 · 1,803 tok/s
//
// and elsewhere a plain line now and then, rarer as it goes on. On a quiet console, nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/console.h"

namespace megin {

struct ProgressOptions {
  std::string label;                   // what is going on: "train"
  std::string unit;                    // of the steps, in the plural: "updates"
  int64_t total = 0;                   // steps at the end; 0: unknown
  int64_t start = 0;                   // steps done before (a resumed run); the rate leaves them out
  double seconds_between_lines = 10;   // where there is no terminal: the least; see pause()
  double seconds_between_draws = 0.1;  // on one
};

// Used by one thread. The console and the clock must live longer. The destructor removes the bar and, if any
// step was made, prints a last plain line with the total time.
class Progress {
 public:
  Progress(ProgressOptions options, Console& console, const Clock& clock = system_clock());
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  void advance(int64_t steps = 1) { set(done_ + steps); }
  void set(int64_t done);            // steps done, `start` counted
  void set_total(int64_t total);     // when it becomes known; 0: unknown
  void set_tail(std::string tail);   // free text at the end: "loss 4.21 · 1,803 tok/s"
  void note(std::string_view line);  // prints a line above the bar

  int64_t done() const { return done_; }
  double rate() const;  // steps a second, weighted to the last half minute; 0 before the second call of set()

 private:
  double pause(double now) const;
  void measure(double now);
  void show(double now);
  std::string counts() const;
  std::string times(std::string_view separator) const;
  std::string bar_line() const;
  std::string plain_line() const;

  ProgressOptions options_;
  Console& console_;
  const Clock& clock_;
  std::string tail_;
  int64_t done_;
  double started_;
  double shown_;           // when the last bar or line was
  double measured_;        // when the rate was last taken
  int64_t measured_done_;  // and at which step
  double weighted_steps_ = 0, weighted_seconds_ = 0;
};

}  // namespace megin
