// Reader and writer of safetensors files (huggingface/safetensors, format of version 0.3 and later):
//
//   8 bytes          N, length of the header, little-endian
//   N bytes          header: JSON {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [from, to]},
//   ...,
//                    "__metadata__": {"key": "value", ...}}, padded with spaces to a multiple of 8
//   rest             the tensors' bytes, little-endian, row-major, without gaps; offsets count from here
//
// The reader trusts nothing: a file that breaks any of these rules gives an Error that names the file, the
// tensor and what is wrong, before any tensor is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/files.h"

namespace megin::store {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

std::string_view dtype_name(DType dtype);  // as the format spells it: "F32"
size_t dtype_bytes(DType dtype);           // of one element

// One tensor of an open file, or one to be written. Does not own its bytes.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;        // empty: a scalar
  std::span<const std::byte> bytes;  // row-major
};

// "[3, 4]", for messages.
std::string shape_text(std::span<const int64_t> shape);

// Number of elements; the shape must be one that a file or a table gave (no overflow).
int64_t element_count(std::span<const int64_t> shape);

// A view of fp32 values that the caller keeps alive; the shape must have values.size() elements.
TensorView float_tensor(std::string name, std::vector<int64_t> shape, std::span<const float> values);

// The values of an F32 tensor where they lie. Throws Error for another dtype or for bytes not aligned to 4
// (such a file is legal but no writer makes one; to_floats reads it).
std::span<const float> float_values(const TensorView& tensor);

// The values as fp32, from F32, F16, BF16 or F64 at any alignment. Throws Error for integers.
std::vector<float> to_floats(const TensorView& tensor);

using Metadata = std::map<std::string, std::string>;

// An open file, mapped read-only: the tensors' bytes are valid as long as the object lives, moved or not.
// Safe to read from any number of threads.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);  // throws Error, see above

  // In the order of their bytes in the file.
  const std::vector<TensorView>& tensors() const { return tensors_; }
  const TensorView* find(std::string_view name) const;  // nullptr: no such tensor
  const TensorView& at(std::string_view name) const;    // throws Error naming file and tensor
  const Metadata& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  MappedFile file_;
  std::vector<TensorView> tensors_;
  std::unordered_map<std::string, size_t> index_;
  Metadata metadata_;
};

// Writes a file that the reference implementation reads, tensors in the given order (put wide dtypes first:
// every tensor starts where the one before ends). The bytes are streamed, never gathered in memory; the file
// appears whole or not at all. Throws Error for a name given twice, a shape that does not fit its bytes, a
// full disk.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                       const Metadata& metadata = {});

}  // namespace megin::store
