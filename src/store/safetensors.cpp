#include "store/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

#include "base/error.h"
#include "store/safetensors_header.h"

namespace megin::store {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little, "the format's numbers are read where they lie");

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMostHeaderBytes = 100'000'000;  // as the reference implementation

// Bytes of a tensor of this shape; nothing when they are beyond counting.
std::optional<uint64_t> byte_count(const TensorEntry& entry) {
  uint64_t count = dtype_bytes(entry.dtype);
  for (const int64_t size : entry.shape) {
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(size), &count)) return std::nullopt;
  }
  return count;
}

std::string_view header_text(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) fail("the file has {} bytes, fewer than its length field", file.size());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMostHeaderBytes) {
    fail("its header claims {} bytes, more than the {} allowed", length, kMostHeaderBytes);
  }
  if (length > file.size() - kLengthBytes) {
    fail("its header claims {} bytes and the file has {} after its length field (cut short?)", length,
         file.size() - kLengthBytes);
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  if (!text.starts_with('{')) fail("its header does not begin with '{{'");
  return text;
}

// The tensors must tile the data: each begins where the one before ends, the last at the end of the file.
void check_offsets(const std::vector<TensorEntry>& entries, uint64_t data_bytes) {
  uint64_t expected = 0;
  for (const TensorEntry& entry : entries) {
    if (entry.begin != expected || entry.end < entry.begin) {
      fail("tensor {} has data_offsets [{}, {}], wanted it to begin at {}", shown_name(entry.name),
           entry.begin, entry.end, expected);
    }
    if (entry.end > data_bytes) {
      fail("tensor {} ends at byte {} of the data and there are {} (cut short?)", shown_name(entry.name),
           entry.end, data_bytes);
    }
    const std::optional<uint64_t> wanted = byte_count(entry);
    if (wanted != entry.end - entry.begin) {
      fail("tensor {} of shape {} and dtype {} has {} bytes, which do not fit", shown_name(entry.name),
           shape_text(entry.shape), dtype_name(entry.dtype), entry.end - entry.begin);
    }
    expected = entry.end;
  }
  if (expected != data_bytes) fail("the file has {} bytes after its last tensor", data_bytes - expected);
}

float half_to_float(uint16_t half) {
  const float sign = (half & 0x8000) != 0 ? -1.0F : 1.0F;
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  if (exponent == 31) {
    return mantissa != 0 ? std::numeric_limits<float>::quiet_NaN()
                         : sign * std::numeric_limits<float>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

float bfloat_to_float(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

// Reads elements of type Stored at any alignment.
template <typename Stored, typename Convert>
std::vector<float> converted(const TensorView& tensor, Convert convert) {
  std::vector<float> values(tensor.bytes.size() / sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, tensor.bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = convert(stored);
  }
  return values;
}

}  // namespace

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

int64_t element_count(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

TensorView float_tensor(std::string name, std::vector<int64_t> shape, std::span<const float> values) {
  return {.name = std::move(name),
          .dtype = DType::kF32,
          .shape = std::move(shape),
          .bytes = std::as_bytes(values)};
}

std::span<const float> float_values(const TensorView& tensor) {
  if (tensor.dtype != DType::kF32) {
    fail("tensor {}: wanted dtype F32, found {}", shown_name(tensor.name), dtype_name(tensor.dtype));
  }
  if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % alignof(float) != 0) {
    fail("tensor {}: its bytes are not aligned to 4; write the file again with any safetensors library",
         shown_name(tensor.name));
  }
  return {reinterpret_cast<const float*>(tensor.bytes.data()), tensor.bytes.size() / sizeof(float)};
}

std::vector<float> to_floats(const TensorView& tensor) {
  switch (tensor.dtype) {
    case DType::kF64:
      return converted<double>(tensor, [](double value) { return static_cast<float>(value); });
    case DType::kF32:
      return converted<float>(tensor, [](float value) { return value; });
    case DType::kF16:
      return converted<uint16_t>(tensor, half_to_float);
    case DType::kBF16:
      return converted<uint16_t>(tensor, bfloat_to_float);
    default:
      fail("tensor {}: wanted real numbers, found dtype {}", shown_name(tensor.name),
           dtype_name(tensor.dtype));
  }
}

SafetensorsFile::SafetensorsFile(const fs::path& path) : file_(path) {
  try {
    const std::span<const std::byte> bytes = file_.bytes();
    const std::string_view text = header_text(bytes);
    const std::span<const std::byte> data = bytes.subspan(kLengthBytes + text.size());
    SafetensorsHeader header = parse_safetensors_header(text);
    metadata_ = std::move(header.metadata);
    std::ranges::stable_sort(header.tensors, {},
                             [](const TensorEntry& e) { return std::pair(e.begin, e.end); });
    check_offsets(header.tensors, data.size());
    for (TensorEntry& entry : header.tensors) {
      if (!index_.emplace(entry.name, tensors_.size()).second) {
        fail("tensor {} stands twice in the header", shown_name(entry.name));
      }
      tensors_.push_back({.name = std::move(entry.name),
                          .dtype = entry.dtype,
                          .shape = std::move(entry.shape),
                          .bytes = data.subspan(entry.begin, entry.end - entry.begin)});
    }
  } catch (const Error& error) {
    fail("{}: not a good safetensors file: {}", path.string(), error.what());
  }
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const TensorView& SafetensorsFile::at(std::string_view name) const {
  const TensorView* tensor = find(name);
  if (tensor == nullptr) fail("{}: has no tensor {}", path().string(), shown_name(name));
  return *tensor;
}

void write_safetensors(const fs::path& path, std::span<const TensorView> tensors, const Metadata& metadata) {
  std::set<std::string_view> names;
  for (const TensorView& tensor : tensors) {
    if (!names.insert(tensor.name).second) {
      fail("{}: tensor {} was given twice", path.string(), shown_name(tensor.name));
    }
    const TensorEntry entry{.name = "", .dtype = tensor.dtype, .shape = tensor.shape};
    if (byte_count(entry) != tensor.bytes.size()) {
      fail("{}: tensor {} of shape {} was given {} bytes", path.string(), shown_name(tensor.name),
           shape_text(tensor.shape), tensor.bytes.size());
    }
  }
  const std::string header = safetensors_header(tensors, metadata);
  const uint64_t length = header.size();
  std::vector<std::string_view> pieces;
  pieces.reserve(tensors.size() + 2);
  pieces.emplace_back(reinterpret_cast<const char*>(&length), kLengthBytes);
  pieces.push_back(header);
  for (const TensorView& tensor : tensors) {
    pieces.emplace_back(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  write_file_atomically(path, pieces);
}

}  // namespace megin::store
