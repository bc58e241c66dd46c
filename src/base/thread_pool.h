// A fixed set of threads that share out loops and tasks. Waiting costs no processor time: a short spin, then
// sleep (spinning pools beside each other fight for the cores).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

namespace megin {

// Threads that call into one pool at the same time take turns. A call from inside a loop or task of the same
// pool runs inline, in the calling thread. Nothing is allocated by parallel_for.
class ThreadPool {
 public:
  // `threads` counts the caller, so threads - 1 are started; UsageError below 1.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(from, to) on contiguous ranges that cover [begin, end) once, at most one range a thread, each
  // at least `grain` (>= 1) long unless the whole is shorter; returns when all are done. The ranges depend on
  // the arguments and threads() only. A body must write so that the result does not depend on where ranges
  // are cut: that is what keeps results the same at any thread count. If bodies throw, the exception of the
  // first range that threw is rethrown after all have ended.
  template <typename Body>
  void parallel_for(int64_t begin, int64_t end, int64_t grain, Body&& body) {
    const int64_t length = end - begin;
    if (length <= 0) return;
    const int64_t parts = std::clamp<int64_t>(length / std::max<int64_t>(grain, 1), 1, threads());
    if (parts == 1 || is_inside()) {
      body(begin, end);
      return;
    }
    auto run_part = [&](int64_t part) {
      if (part >= parts) return;
      // The first `extra` ranges are longer by one.
      const int64_t size = length / parts, extra = length % parts;
      const int64_t from = begin + part * size + std::min(part, extra);
      body(from, from + size + (part < extra ? 1 : 0));
    };
    run_on_all({&call<decltype(run_part)>, &run_part});
  }

  // Runs independent tasks of uneven size: a thread that is done takes the next one in order. If a task
  // throws, no further one is started and one of the exceptions is rethrown after all running ones have
  // ended.
  void run_tasks(std::span<const std::function<void()>> tasks);

 private:
  // A callable that takes the thread's number, without an allocation.
  struct Job {
    void (*function)(void* object, int64_t thread) = nullptr;
    void* object = nullptr;
  };
  template <typename F>
  static void call(void* object, int64_t thread) {
    (*static_cast<F*>(object))(thread);
  }

  bool is_inside() const;           // does the calling thread work for this pool just now
  void run_on_all(const Job& job);  // the job once on every thread, the caller being number 0
  void run_share(int64_t thread);
  void work(int64_t thread);

  std::vector<std::thread> workers_;
  std::vector<std::exception_ptr> errors_;  // [threads]
  std::mutex turn_;                         // held by the caller whose job runs
  Job job_;                                 // published by round_
  std::atomic<uint32_t> round_ = 0;         // counts jobs; workers sleep on it
  std::atomic<uint32_t> running_ = 0;       // workers that have not ended the job; the caller sleeps on it
  std::atomic<bool> stopping_ = false;
};

}  // namespace megin
