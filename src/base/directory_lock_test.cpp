#include "base/directory_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "base/error.h"

namespace megin {
namespace {

namespace fs = std::filesystem;

TEST(DirectoryLock, HoldsUntilItEnds) {
  const fs::path folder = fs::path(testing::TempDir()) / "DirectoryLock";
  fs::create_directories(folder);
  std::optional<DirectoryLock> first(folder);
  EXPECT_THROW(DirectoryLock second(folder), Error);
  first.reset();
  EXPECT_NO_THROW(DirectoryLock third(folder));
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(DirectoryLock, EndsWithAKilledProcess) {
  const fs::path folder = fs::path(testing::TempDir()) / "DirectoryLockKilled";
  fs::create_directories(folder);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const DirectoryLock lock(folder);
    (void)!write(ready[1], "x", 1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THROW(DirectoryLock mine(folder), Error);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(DirectoryLock mine(folder));
  close(ready[0]);
  close(ready[1]);
}

TEST(DirectoryLock, NamesADirectoryThatIsNotThere) {
  try {
    DirectoryLock lock("/nowhere/at/all");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/nowhere/at/all"), std::string::npos);
  }
}

}  // namespace
}  // namespace megin
