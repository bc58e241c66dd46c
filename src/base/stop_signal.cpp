#include "base/stop_signal.h"

#include <atomic>
#include <csignal>

#include "base/error.h"

namespace megin {
namespace {

// A handler can reach nothing else. Lock-free atomics are safe in handlers and between threads.
std::atomic<int> received = 0;
std::atomic<bool> installed = false;
struct sigaction former_terminate, former_interrupt;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void remember_signal(int number) {
  if (received.exchange(number) == SIGINT && number == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
}

}  // namespace

StopSignal::StopSignal() {
  if (installed.exchange(true)) fail_usage("the stop signals are already being listened to");
  received.store(0);
  struct sigaction action {};
  action.sa_handler = remember_signal;
  action.sa_flags = SA_RESTART;  // what reads or writes just then goes on
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, &former_terminate);
  sigaction(SIGINT, &action, &former_interrupt);
}

StopSignal::~StopSignal() {
  sigaction(SIGTERM, &former_terminate, nullptr);
  sigaction(SIGINT, &former_interrupt, nullptr);
  received.store(0);
  installed.store(false);
}

bool StopSignal::requested() {
  return received.load(std::memory_order_relaxed) != 0;
}

int StopSignal::signal_number() {
  return received.load(std::memory_order_relaxed);
}

}  // namespace megin
