// Messages for people: spdlog's default logger, sent to the console above the progress bar.
//
//   spdlog::info("read {} pairs", count);      "read 12 pairs"; not on a quiet console
//   spdlog::warn("{}: no such column", name);  "warning: x: no such column"
//
// Any thread may log.
#pragma once

#include <memory>

#include "base/console.h"

namespace spdlog {
class logger;
}

namespace megin {

// While an object lives, spdlog's default logger writes to its console; the destructor restores the former
// logger. main makes one; tests may.
class LogToConsole {
 public:
  explicit LogToConsole(Console& console);
  LogToConsole(const LogToConsole&) = delete;
  LogToConsole& operator=(const LogToConsole&) = delete;
  ~LogToConsole();

 private:
  std::shared_ptr<spdlog::logger> former_;
};

}  // namespace megin
