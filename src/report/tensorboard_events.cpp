#include "report/tensorboard_events.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>

#include "base/error.h"
#include "report/crc32c.h"

namespace megin::report {
namespace fs = std::filesystem;
namespace {

// Field numbers of event.proto, summary.proto, tensor.proto and tensor_shape.proto.
constexpr uint32_t kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3, kEventSummary = 5;
constexpr uint32_t kEventSessionLog = 7, kSessionLogStatus = 1, kSessionStart = 1;
constexpr uint32_t kSummaryValue = 1, kValueTag = 1, kValueSimple = 2, kValueTensor = 8, kValueMetadata = 9;
constexpr uint32_t kMetadataPlugin = 1, kPluginName = 1;
constexpr uint32_t kTensorType = 1, kTensorShape = 2, kTensorString = 8, kTypeString = 7;
constexpr uint32_t kShapeDimension = 2, kDimensionSize = 1;

template <typename Integer>
void append_little_endian(std::string& out, Integer value) {
  for (size_t i = 0; i < sizeof(Integer); ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

// A protobuf message as it is being written.
class Message {
 public:
  Message& number(uint32_t field, uint64_t value) {
    varint(field << 3);
    varint(value);
    return *this;
  }
  Message& real64(uint32_t field, double value) {
    varint(field << 3 | 1);
    append_little_endian(bytes_, std::bit_cast<uint64_t>(value));
    return *this;
  }
  Message& real32(uint32_t field, float value) {
    varint(field << 3 | 5);
    append_little_endian(bytes_, std::bit_cast<uint32_t>(value));
    return *this;
  }
  Message& bytes(uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  const std::string& str() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

// Checksums that lie in checksummed data would make weak ones; TFRecord therefore turns them.
uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u;
}

std::string tfrecord(std::string_view data) {
  std::string record;
  append_little_endian(record, static_cast<uint64_t>(data.size()));
  append_little_endian(record, masked_crc(record));
  record += data;
  append_little_endian(record, masked_crc(data));
  return record;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

// A name that is not taken yet: runs may start twice within a second.
fs::path free_path(const fs::path& directory, double wall_seconds) {
  const auto seconds = static_cast<int64_t>(wall_seconds);
  for (int number = 0;; ++number) {
    fs::path path = directory / fmt::format("events.out.tfevents.{:010}.{}.{}.{}", seconds, host_name(),
                                            ::getpid(), number);
    if (!fs::exists(path)) return path;
  }
}

}  // namespace

TensorboardEvents::TensorboardEvents(const fs::path& directory, int64_t first_step, const Clock& clock)
    : clock_(clock) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail("{}: cannot make this directory: {}", directory.string(), error.message());
  path_ = free_path(directory, clock.wall_seconds());
  file_.reset(std::fopen(path_.c_str(), "wbxe"));
  if (!file_) fail("{}: cannot create this file: {}", path_.string(), std::strerror(errno));
  write_event(0, Message().bytes(kEventFileVersion, "brain.Event:2").str());
  if (first_step > 0) {
    const Message start = Message().number(kSessionLogStatus, kSessionStart);
    write_event(first_step, Message().bytes(kEventSessionLog, start.str()).str());
  }
}

void TensorboardEvents::scalar(std::string_view tag, int64_t step, double value) {
  const Message point = Message().bytes(kValueTag, tag).real32(kValueSimple, static_cast<float>(value));
  const Message summary = Message().bytes(kSummaryValue, point.str());
  write_event(step, Message().bytes(kEventSummary, summary.str()).str());
}

void TensorboardEvents::text(std::string_view tag, int64_t step, std::string_view markdown) {
  const Message plugin = Message().bytes(kPluginName, "text");
  const Message metadata = Message().bytes(kMetadataPlugin, plugin.str());
  const Message shape = Message().bytes(kShapeDimension, Message().number(kDimensionSize, 1).str());
  const Message tensor = Message()
                             .number(kTensorType, kTypeString)
                             .bytes(kTensorShape, shape.str())
                             .bytes(kTensorString, markdown);
  const Message value =
      Message().bytes(kValueTag, tag).bytes(kValueTensor, tensor.str()).bytes(kValueMetadata, metadata.str());
  const Message summary = Message().bytes(kSummaryValue, value.str());
  write_event(step, Message().bytes(kEventSummary, summary.str()).str());
}

void TensorboardEvents::write_event(int64_t step, std::string_view fields) {
  Message event;
  event.real64(kEventWallTime, clock_.wall_seconds());
  if (step != 0) event.number(kEventStep, static_cast<uint64_t>(step));
  const std::string record = tfrecord(event.str() + std::string(fields));
  if (std::fwrite(record.data(), 1, record.size(), file_.get()) != record.size() ||
      std::fflush(file_.get()) != 0) {
    fail("{}: cannot write: {}; free some space and resume the run", path_.string(), std::strerror(errno));
  }
}

}  // namespace megin::report
