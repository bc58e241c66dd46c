#include "base/thread_pool.h"

#include "base/error.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace megin {
namespace {

// About 10 microseconds: loops that follow each other closely find the threads awake.
constexpr int kSpins = 400;

// The pool that the thread works for, if any: a loop inside a loop of the same pool must not wait for itself.
thread_local const ThreadPool* working_for = nullptr;

class WorkingFor {
 public:
  explicit WorkingFor(const ThreadPool* pool) : former_(working_for) { working_for = pool; }
  WorkingFor(const WorkingFor&) = delete;
  WorkingFor& operator=(const WorkingFor&) = delete;
  ~WorkingFor() { working_for = former_; }

 private:
  const ThreadPool* former_;
};

void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Returns once `value` is no longer `old`.
void wait_while(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause_briefly();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads < 1) fail_usage("a thread pool needs at least 1 thread, not {}", threads);
  errors_.resize(static_cast<size_t>(threads));
  workers_.reserve(static_cast<size_t>(threads) - 1);
  for (int64_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::is_inside() const {
  return working_for == this;
}

void ThreadPool::work(int64_t thread) {
  const WorkingFor mark(this);
  for (uint32_t seen = 0;; ++seen) {
    wait_while(round_, seen);
    if (stopping_.load(std::memory_order_relaxed)) return;
    run_share(thread);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_all();
  }
}

void ThreadPool::run_share(int64_t thread) {
  try {
    job_.function(job_.object, thread);
  } catch (...) {
    errors_[static_cast<size_t>(thread)] = std::current_exception();
  }
}

void ThreadPool::run_on_all(const Job& job) {
  const std::lock_guard<std::mutex> turn(turn_);
  job_ = job;
  running_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  {
    const WorkingFor mark(this);
    run_share(0);
  }
  for (uint32_t left; (left = running_.load(std::memory_order_acquire)) != 0;) wait_while(running_, left);
  std::exception_ptr first;
  for (std::exception_ptr& error : errors_) {
    if (error && !first) first = error;
    error = nullptr;
  }
  if (first) std::rethrow_exception(first);
}

void ThreadPool::run_tasks(std::span<const std::function<void()>> tasks) {
  if (tasks.size() < 2 || workers_.empty() || is_inside()) {
    for (const auto& task : tasks) task();
    return;
  }
  std::atomic<size_t> next = 0;
  auto take_tasks = [&](int64_t) {
    try {
      for (size_t i; (i = next.fetch_add(1)) < tasks.size();) tasks[i]();
    } catch (...) {
      next.store(tasks.size());
      throw;
    }
  };
  run_on_all({&call<decltype(take_tasks)>, &take_tasks});
}

}  // namespace megin
