// SIGTERM and SIGINT as a polite request: what runs finishes its step, saves and leaves.
#pragma once

namespace megin {

// While an object lives, SIGTERM and SIGINT only set a flag; a second SIGINT kills the process at once. The
// destructor restores the former handlers and clears the flag. At most one object at a time (UsageError):
// signals belong to the process.
class StopSignal {
 public:
  StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  ~StopSignal();

  // May be asked from any thread, also when no object lives (false).
  static bool requested();

  // The signal that came (SIGTERM, SIGINT), 0 before.
  static int signal_number();
};

}  // namespace megin
