#include "base/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace megin {
namespace {

class ProgressTest : public testing::Test {
 protected:
  Screen screen(bool terminal, int width = 100) {
    return {.write = [this](std::string_view bytes) { out_ += bytes; },
            .width = [width] { return width; },
            .terminal = terminal};
  }
  std::string take() { return std::exchange(out_, {}); }

  std::string out_;
  ManualClock clock_;
};

const std::string kErase = "\r\x1b[K";

TEST_F(ProgressTest, ABarShowsFractionRateTimeLeftAndTail) {
  Console console(screen(true));
  Progress progress({.label = "train", .unit = "updates", .total = 1000}, console, clock_);
  EXPECT_EQ(take(), kErase + "train   0% " + std::string(32, ' ') + " 0/1,000 updates");
  clock_.advance(10);
  progress.set_tail("loss 4.21 · 1,803 tok/s");
  progress.set(250);
  // 25/s leaves 750 / 25 = 30 seconds. The texts take 10 and 62 of the 100 columns, three stay free: the bar
  // has 25, and a quarter of it is 6 and 2/8.
  EXPECT_EQ(take(), kErase + "train  25% ██████▎" + std::string(18, ' ') +
                        " 250/1,000 updates · 25/s · 0:30 left · loss 4.21 · 1,803 tok/s");
}

TEST_F(ProgressTest, ANarrowTerminalLosesTheBarAndThenTheTail) {
  Console console(screen(true, 40));
  Progress progress({.label = "train", .unit = "updates", .total = 1000}, console, clock_);
  take();
  clock_.advance(10);
  progress.set_tail("loss 4.21");
  progress.set(500);
  EXPECT_EQ(take(), kErase + "train  50% 500/1,000 updates · 50/s · …");
}

TEST_F(ProgressTest, AnUnknownTotalShowsTheTimeGone) {
  Console console(screen(true));
  Progress progress({.label = "read", .unit = "lines"}, console, clock_);
  take();
  clock_.advance(70);
  progress.advance(7000);
  EXPECT_EQ(take(), kErase + "read 7,000 lines · 100/s · 1:10");
}

TEST_F(ProgressTest, IsDrawnAtMostTenTimesASecond) {
  Console console(screen(true));
  Progress progress({.label = "read", .unit = "lines"}, console, clock_);
  take();
  clock_.advance(0.05);
  progress.advance();
  EXPECT_EQ(take(), "");
  clock_.advance(0.0625);
  progress.advance();
  EXPECT_NE(take(), "");
}

TEST_F(ProgressTest, WithoutATerminalALineNowAndThenAndOneAtTheEnd) {
  Console console(screen(false));
  {
    Progress progress({.label = "train", .unit = "updates", .total = 40}, console, clock_);
    for (int second = 1; second <= 25; ++second) {
      clock_.advance(1);
      progress.advance();
    }
    EXPECT_EQ(take(), "train 10/40 updates, 1/s, 0:30 left\ntrain 20/40 updates, 1/s, 0:20 left\n");
    progress.set_tail("loss 4.21");
  }
  EXPECT_EQ(take(), "train 25/40 updates in 0:25, loss 4.21\n");
}

TEST_F(ProgressTest, LinesGetRarer) {
  Console console(screen(false));
  Progress progress({.label = "train", .unit = "updates"}, console, clock_);
  for (int second = 1; second <= 1000; ++second) {
    clock_.advance(1);
    progress.advance();
  }
  // Ten in the first 100 seconds; then each when a tenth of the time has gone without one, the time thus a
  // ninth later, rounded up: at 112, 125, 139, 155, 173, 193, 215, 239, 266, 296, 329, 366, 407, 453, 504,
  // 560, 623, 693, 770, 856 and 952.
  const std::string lines = take();
  EXPECT_EQ(std::ranges::count(lines, '\n'), 31);
  EXPECT_NE(lines.find("train 504 updates"), std::string::npos);
  EXPECT_NE(lines.find("train 952 updates"), std::string::npos);
}

TEST_F(ProgressTest, QuietIsNothing) {
  Console console(screen(true), /*quiet=*/true);
  {
    Progress progress({.label = "train", .unit = "updates"}, console, clock_);
    clock_.advance(100);
    progress.advance();
    progress.note("a line");
  }
  EXPECT_EQ(take(), "");
}

TEST_F(ProgressTest, ANoteStandsAboveTheBarAndTheEndRemovesTheBar) {
  Console console(screen(true));
  {
    Progress progress({.label = "read", .unit = "lines"}, console, clock_);
    take();
    progress.note("valid loss 3.2");
    EXPECT_EQ(take(), kErase + "valid loss 3.2\nread 0 lines · 0:00");
    clock_.advance(4);
    progress.advance(8);
    take();
  }
  EXPECT_EQ(take(), kErase + "read 8 lines in 0:04\n");
}

TEST_F(ProgressTest, AResumedRunsRateLeavesOutWhatWasDoneBefore) {
  Console console(screen(false));
  Progress progress({.label = "train", .unit = "updates", .total = 1000, .start = 900}, console, clock_);
  clock_.advance(10);
  progress.set(920);
  EXPECT_DOUBLE_EQ(progress.rate(), 2.0);
  EXPECT_EQ(take(), "train 920/1,000 updates, 2/s, 0:40 left\n");
}

TEST_F(ProgressTest, TheRateForgetsWhatIsLongGone) {
  Console console(screen(false));
  Progress progress({.label = "train", .unit = "updates"}, console, clock_);
  clock_.advance(100);
  progress.advance(100);
  for (int i = 0; i < 120; ++i) {
    clock_.advance(1);
    progress.advance(10);
  }
  EXPECT_NEAR(progress.rate(), 10.0, 0.1);
}

TEST_F(ProgressTest, AsciiWhereTheLocaleIsNotUnicode) {
  Screen ascii = screen(true, 60);
  ascii.unicode = false;
  Console console(ascii);
  Progress progress({.label = "read", .unit = "lines", .total = 4}, console, clock_);
  take();
  clock_.advance(1);
  progress.set(2);
  // 60 columns less 9, 25 and 3: 23, of which 11 are full.
  EXPECT_EQ(take(), kErase + "read  50% ###########............ 2/4 lines, 2/s, 0:01 left");
}

}  // namespace
}  // namespace megin
