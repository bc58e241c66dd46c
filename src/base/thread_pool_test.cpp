#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/processors.h"

namespace megin {
namespace {

using Ranges = std::set<std::pair<int64_t, int64_t>>;

Ranges ranges_of(ThreadPool& pool, int64_t begin, int64_t end, int64_t grain) {
  Ranges ranges;
  std::mutex mutex;
  pool.parallel_for(begin, end, grain, [&](int64_t from, int64_t to) {
    const std::lock_guard<std::mutex> lock(mutex);
    ranges.emplace(from, to);
  });
  return ranges;
}

TEST(ThreadPool, RangesDependOnTheArgumentsOnly) {
  ThreadPool pool(3);
  const Ranges expected{{10, 14}, {14, 17}, {17, 20}};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ranges_of(pool, 10, 20, 1), expected);
}

TEST(ThreadPool, RangesAreAtLeastAGrainLong) {
  ThreadPool pool(4);
  EXPECT_EQ(ranges_of(pool, 0, 9, 4), (Ranges{{0, 5}, {5, 9}}));
  EXPECT_EQ(ranges_of(pool, 0, 3, 4), (Ranges{{0, 3}}));
  EXPECT_EQ(ranges_of(pool, 5, 5, 1), Ranges{});
  EXPECT_EQ(ranges_of(pool, 5, 4, 1), Ranges{});
}

TEST(ThreadPool, ManyShortLoopsVisitEachIndexOnce) {
  ThreadPool pool(4);
  std::vector<int> visits(1001);
  for (int round = 0; round < 2000; ++round) {
    pool.parallel_for(0, static_cast<int64_t>(visits.size()), 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) ++visits[static_cast<size_t>(i)];
    });
  }
  EXPECT_EQ(visits, std::vector<int>(1001, 2000));
}

TEST(ThreadPool, ALoopInALoopRunsInline) {
  ThreadPool pool(2);
  std::atomic<int> sum = 0;
  pool.parallel_for(0, 2, 1, [&](int64_t, int64_t) {
    const auto outer = std::this_thread::get_id();
    pool.parallel_for(0, 100, 1, [&](int64_t from, int64_t to) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      sum += static_cast<int>(to - from);
    });
  });
  EXPECT_EQ(sum, 200);
}

TEST(ThreadPool, TheFirstRangesExceptionArrivesAndThePoolLivesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    try {
      pool.parallel_for(0, 3, 1, [](int64_t from, int64_t) {
        if (from > 0) throw std::runtime_error(std::to_string(from));
      });
      FAIL() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "1");
    }
  }
  EXPECT_EQ(ranges_of(pool, 0, 3, 1).size(), 3u);
}

TEST(ThreadPool, TasksRunOnceEach) {
  ThreadPool pool(3);
  std::vector<int> runs(100);
  std::vector<std::function<void()>> tasks;
  for (int& count : runs) tasks.emplace_back([&count] { ++count; });
  pool.run_tasks(tasks);
  EXPECT_EQ(runs, std::vector<int>(100, 1));
}

TEST(ThreadPool, NoTaskStartsAfterOneHasThrown) {
  ThreadPool pool(1);
  int later = 0;
  const std::vector<std::function<void()>> tasks{[] { throw std::logic_error("x"); }, [&] { ++later; }};
  EXPECT_THROW(pool.run_tasks(tasks), std::logic_error);
  EXPECT_EQ(later, 0);
  ThreadPool two(2);
  const std::vector<std::function<void()>> failing(20, [] { throw std::logic_error("x"); });
  EXPECT_THROW(two.run_tasks(failing), std::logic_error);
}

TEST(ThreadPool, CallersFromSeveralThreadsTakeTurns) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum = 0;
  std::vector<std::thread> callers;
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        pool.parallel_for(0, 10, 1, [&](int64_t from, int64_t to) { sum += to - from; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 3 * 300 * 10);
}

TEST(ThreadPool, WaitingThreadsTakeNoProcessorTime) {
  ThreadPool pool(4);
  pool.parallel_for(0, 4, 1, [](int64_t, int64_t) {});
  const double before = process_usage().cpu_seconds;
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(process_usage().cpu_seconds - before, 0.05);
}

TEST(ThreadPool, NeedsAThread) {
  EXPECT_THROW(ThreadPool(0), UsageError);
}

}  // namespace
}  // namespace megin
