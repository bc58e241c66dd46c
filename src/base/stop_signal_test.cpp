#include "base/stop_signal.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"

namespace megin {
namespace {

TEST(StopSignal, ASignalSetsTheFlagWhileAnObjectLives) {
  EXPECT_FALSE(StopSignal::requested());
  {
    const StopSignal stop;
    EXPECT_FALSE(StopSignal::requested());
    std::raise(SIGTERM);
    EXPECT_TRUE(StopSignal::requested());
    EXPECT_EQ(StopSignal::signal_number(), SIGTERM);
    std::raise(SIGTERM);  // patience: a second SIGTERM changes nothing
  }
  EXPECT_FALSE(StopSignal::requested());
}

TEST(StopSignal, TheFormerHandlersComeBack) {
  std::signal(SIGINT, SIG_IGN);
  { const StopSignal stop; }
  std::raise(SIGINT);  // ignored again: otherwise the test would die here
  std::signal(SIGINT, SIG_DFL);
  EXPECT_FALSE(StopSignal::requested());
}

TEST(StopSignal, OneAtATime) {
  const StopSignal stop;
  EXPECT_THROW(StopSignal(), UsageError);
}

TEST(StopSignal, ASecondInterruptKillsAtOnce) {
  const pid_t child = fork();
  if (child == 0) {
    const StopSignal stop;
    std::raise(SIGINT);
    if (!StopSignal::requested()) _exit(1);
    std::raise(SIGINT);
    _exit(2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

}  // namespace
}  // namespace megin
