#include "base/console.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <string>
#include <thread>

#include "base/log.h"

namespace megin {
namespace {

Screen screen_into(std::string& out, bool terminal) {
  return {.write = [&out](std::string_view bytes) { out += bytes; },
          .width = [] { return 21; },
          .terminal = terminal};
}

TEST(Console, ALineIsPrintedAboveTheStatus) {
  std::string out;
  {
    Console console(screen_into(out, true));
    console.set_status("50 %");
    console.print("a line");
  }
  EXPECT_EQ(out,
            "\r\x1b[K50 %"          // drawn
            "\r\x1b[Ka line\n50 %"  // erased, line, drawn again
            "\r\x1b[K");            // removed at the end
}

TEST(Console, AStatusIsCutSoThatTheLineNeverWraps) {
  std::string out;
  Console console(screen_into(out, true));
  console.set_status("123456789012345678901234567890");
  EXPECT_EQ(out, "\r\x1b[K1234567890123456789…");
}

TEST(Console, WithoutATerminalThereIsNoStatus) {
  std::string out;
  Console console(screen_into(out, false));
  console.set_status("50 %");
  console.print("a line");
  EXPECT_EQ(out, "a line\n");
}

TEST(Console, LogGoesAboveTheStatusAndQuietKeepsWarnings) {
  const auto former = spdlog::default_logger();
  std::string out;
  {
    Console console(screen_into(out, false));
    const LogToConsole log(console);
    spdlog::info("read {} pairs", 12);
    spdlog::warn("odd");
    spdlog::error("bad");
    spdlog::debug("unseen");
  }
  EXPECT_EQ(out, "read 12 pairs\nwarning: odd\nerror: bad\n");
  EXPECT_EQ(spdlog::default_logger(), former);
  out.clear();
  {
    Console console(screen_into(out, true), /*quiet=*/true);
    const LogToConsole log(console);
    console.set_status("50 %");
    spdlog::info("unseen");
    spdlog::warn("odd");
  }
  EXPECT_EQ(out, "warning: odd\n");
}

TEST(Console, LinesOfSeveralThreadsStayWhole) {
  std::string out;
  Console console(screen_into(out, false));
  std::thread other([&] {
    for (int i = 0; i < 200; ++i) console.print("aaaaaaaa");
  });
  for (int i = 0; i < 200; ++i) console.print("bbbbbbbb");
  other.join();
  ASSERT_EQ(out.size(), 400u * 9);
  for (size_t at = 0; at < out.size(); at += 9) {
    const std::string line = out.substr(at, 9);
    EXPECT_TRUE(line == "aaaaaaaa\n" || line == "bbbbbbbb\n") << line;
  }
}

}  // namespace
}  // namespace megin
