#include "base/human_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace megin {
namespace {

TEST(HumanText, GroupsDigitsByThree) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(HumanText, Durations) {
  EXPECT_EQ(human_duration(0), "0:00");
  EXPECT_EQ(human_duration(51.9), "0:51");
  EXPECT_EQ(human_duration(3700), "1:01:40");
  EXPECT_EQ(human_duration(90061), "1 d 1:01:01");
  EXPECT_EQ(human_duration(-3), "0:00");
  EXPECT_EQ(human_duration(std::numeric_limits<double>::infinity()), human_duration(3.2e9));
}

TEST(HumanText, Bytes) {
  EXPECT_EQ(human_bytes(1023), "1023 bytes");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(int64_t{5} << 30), "5.0 GiB");
}

TEST(HumanText, Rates) {
  EXPECT_EQ(human_rate(12.34), "12.3");
  EXPECT_EQ(human_rate(0.0123), "0.0123");
  EXPECT_EQ(human_rate(99.96), "100");
  EXPECT_EQ(human_rate(1803.2), "1,803");
  EXPECT_EQ(human_rate(std::numeric_limits<double>::quiet_NaN()), "?");
}

TEST(HumanText, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("Grüße"), 5);
  EXPECT_EQ(display_width("e\u0301"), 1);  // e with a combining acute
  EXPECT_EQ(display_width("日本語"), 6);
  EXPECT_EQ(display_width("한국"), 4);
  EXPECT_EQ(display_width("🙂"), 2);
  EXPECT_EQ(display_width("█▏·"), 3);
  EXPECT_EQ(display_width("a\xFF\xC3"), 3);  // broken bytes count one each
}

TEST(HumanText, CutsWholeCharacters) {
  EXPECT_EQ(cut_to_width("Grüße", 5), "Grüße");
  EXPECT_EQ(cut_to_width("Grüße", 4), "Grü…");
  EXPECT_EQ(cut_to_width("日本語", 4), "日…");
  EXPECT_EQ(cut_to_width("abcdef", 5, false), "ab...");
  EXPECT_EQ(cut_to_width("abcdef", 0), "");
}

}  // namespace
}  // namespace megin
