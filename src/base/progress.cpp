#include "base/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/human_text.h"

namespace megin {
namespace {

// Weight e^-1 for what is so many seconds old: the rate follows a change, but does not flicker.
constexpr double kRateMemory = 15.0;
constexpr double kLongestPause = 600;
constexpr int64_t kSmallestBar = 10;
constexpr int64_t kLargestBar = 32;

// `columns` columns, `fraction` of them filled, to an eighth of a column.
std::string bar(double fraction, int64_t columns, bool unicode) {
  static constexpr std::array<std::string_view, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths =
      static_cast<int64_t>(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(columns * 8));
  const int64_t full = eighths / 8;
  std::string text;
  for (int64_t i = 0; i < full; ++i) text += unicode ? "█" : "#";
  int64_t drawn = full;
  if (unicode && eighths % 8 != 0) {
    text += kEighths[static_cast<size_t>(eighths % 8)];
    ++drawn;
  }
  text.append(static_cast<size_t>(columns - drawn), unicode ? ' ' : '.');
  return text;
}

}  // namespace

Progress::Progress(ProgressOptions options, Console& console, const Clock& clock)
    : options_(std::move(options)),
      console_(console),
      clock_(clock),
      done_(options_.start),
      started_(clock.steady_seconds()),
      shown_(started_),
      measured_(started_),
      measured_done_(done_) {
  if (console_.terminal()) show(started_);
}

Progress::~Progress() {
  console_.set_status("");
  if (console_.quiet() || done_ == options_.start) return;
  const double seconds = clock_.steady_seconds() - started_;
  console_.print(fmt::format("{} {} in {}{}{}", options_.label, counts(), human_duration(seconds),
                             tail_.empty() ? "" : ", ", tail_));
}

void Progress::set(int64_t done) {
  done_ = done;
  const double now = clock_.steady_seconds();
  measure(now);
  if (now - shown_ >= pause(now)) show(now);
}

// Between lines a tenth of the time gone, at most ten minutes: the log of a long run stays short.
double Progress::pause(double now) const {
  if (console_.terminal()) return options_.seconds_between_draws;
  return std::max(options_.seconds_between_lines, std::min((now - started_) / 10, kLongestPause));
}

void Progress::set_total(int64_t total) {
  options_.total = total;
}

void Progress::set_tail(std::string tail) {
  tail_ = std::move(tail);
}

void Progress::note(std::string_view line) {
  if (!console_.quiet()) console_.print(line);
}

// Steps and seconds decay alike, so that their quotient is the mean rate at the start and a weighted one
// later.
void Progress::measure(double now) {
  const double seconds = now - measured_;
  if (seconds <= 0) return;
  const double keep = std::exp(-seconds / kRateMemory);
  weighted_steps_ = keep * weighted_steps_ + static_cast<double>(done_ - measured_done_);
  weighted_seconds_ = keep * weighted_seconds_ + seconds;
  measured_ = now;
  measured_done_ = done_;
}

double Progress::rate() const {
  return weighted_seconds_ > 0 ? weighted_steps_ / weighted_seconds_ : 0.0;
}

void Progress::show(double now) {
  if (console_.quiet()) return;
  shown_ = now;
  if (console_.terminal()) {
    console_.set_status(bar_line());
  } else {
    console_.print(plain_line());
  }
}

std::string Progress::counts() const {
  if (options_.total > 0)
    return fmt::format("{}/{} {}", grouped(done_), grouped(options_.total), options_.unit);
  return fmt::format("{} {}", grouped(done_), options_.unit);
}

// Of a known total the time left, of an unknown one the time gone.
std::string Progress::times(std::string_view separator) const {
  std::string text;
  const double per_second = rate();
  if (per_second > 0) text += fmt::format("{}{}/s", separator, human_rate(per_second));
  if (options_.total <= 0) {
    text += fmt::format("{}{}", separator, human_duration(clock_.steady_seconds() - started_));
  } else if (per_second > 0) {
    const double left = static_cast<double>(std::max<int64_t>(0, options_.total - done_)) / per_second;
    text += fmt::format("{}{} left", separator, human_duration(left));
  }
  if (!tail_.empty()) text += fmt::format("{}{}", separator, tail_);
  return text;
}

std::string Progress::bar_line() const {
  const bool unicode = console_.unicode();
  const std::string right = counts() + times(unicode ? " · " : ", ");
  if (options_.total <= 0) return fmt::format("{} {}", options_.label, right);
  const double fraction = static_cast<double>(done_) / static_cast<double>(options_.total);
  const std::string left =
      fmt::format("{} {:3.0f}%", options_.label, std::floor(100 * std::min(fraction, 1.0)));
  // Two spaces around the bar, one free column at the end of the line.
  const int64_t room = console_.width() - display_width(left) - display_width(right) - 3;
  if (room < kSmallestBar) return fmt::format("{} {}", left, right);
  return fmt::format("{} {} {}", left, bar(fraction, std::min(room, kLargestBar), unicode), right);
}

std::string Progress::plain_line() const {
  return fmt::format("{} {}{}", options_.label, counts(), times(", "));
}

}  // namespace megin
