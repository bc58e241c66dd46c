// Time comes in from outside, so that tests choose it.
#pragma once

#include <chrono>

namespace megin {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual double steady_seconds() const = 0;  // since an unknown moment; never goes back
  virtual double wall_seconds() const = 0;    // since 1970-01-01 UTC
};

class SystemClock : public Clock {
 public:
  double steady_seconds() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  double wall_seconds() const override {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
};

// The real one. It has no state; any thread may use it.
inline const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

// Stands still until it is told to go on: for tests.
class ManualClock : public Clock {
 public:
  explicit ManualClock(double wall_seconds = 0.0) : wall_start_(wall_seconds) {}
  void advance(double seconds) { elapsed_ += seconds; }
  double steady_seconds() const override { return elapsed_; }
  double wall_seconds() const override { return wall_start_ + elapsed_; }

 private:
  double wall_start_;
  double elapsed_ = 0.0;
};

}  // namespace megin
