// TensorBoard event files: curves and texts of a run, for `tensorboard --logdir RUN`.
//
// The format is a sequence of TFRecords (length, masked CRC-32C of it, bytes, masked CRC-32C of them), each
// an Event of TensorFlow's event.proto. The few fields used are written by hand, so that protobuf is needed
// by tests only (test_files/event.proto lists them).
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace megin::report {

// Writes one new file, events.out.tfevents.SECONDS.HOST.PID.NUMBER; TensorBoard joins all files of a
// directory in the order of their names, so a resumed run opens another. Used by one thread. Each event is
// handed to the system at once: a killed process loses none. Failing writes throw Error.
class TensorboardEvents {
 public:
  // Makes the directory if need be. The clock must live longer. `first_step` is where a resumed run goes on:
  // what a former file of the directory holds from that step on is to be forgotten; 0 for a new run.
  explicit TensorboardEvents(const std::filesystem::path& directory, int64_t first_step = 0,
                             const Clock& clock = system_clock());

  // A point of the curve `tag` ("train/loss"). Numbers that are not finite are points, too.
  void scalar(std::string_view tag, int64_t step, double value);

  // A text, shown as Markdown: a configuration, translations.
  void text(std::string_view tag, int64_t step, std::string_view markdown);

  const std::filesystem::path& path() const { return path_; }

 private:
  void write_event(int64_t step, std::string_view fields);

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path path_;
  const Clock& clock_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace megin::report
