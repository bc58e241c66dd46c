#include "base/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <string>

namespace megin {
namespace {

std::string_view prefix(spdlog::level::level_enum level) {
  if (level >= spdlog::level::err) return "error: ";
  if (level == spdlog::level::warn) return "warning: ";
  return "";
}

class ConsoleSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit ConsoleSink(Console& console) : console_(console) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string line(prefix(message.level));
    line.append(message.payload.data(), message.payload.size());
    console_.print(line);
  }
  void flush_() override {}

 private:
  Console& console_;
};

}  // namespace

LogToConsole::LogToConsole(Console& console) : former_(spdlog::default_logger()) {
  auto logger = std::make_shared<spdlog::logger>("", std::make_shared<ConsoleSink>(console));
  logger->set_level(console.quiet() ? spdlog::level::warn : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

LogToConsole::~LogToConsole() {
  spdlog::set_default_logger(former_);
}

}  // namespace megin
