// Checkpoints that torch.save wrote (pytorch_model.bin): a zip archive with one pickle (pickle.h) and the
// bytes of each storage. Nothing in them is executed.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "exchange/zip_archive.h"
#include "store/safetensors.h"

namespace megin::exchange {

// A tensor where it lies. Elements may stand in any order (a transposed matrix) and be those of another
// tensor too (tied weights).
struct StridedTensor {
  std::string name;
  store::DType dtype = store::DType::kF32;
  std::vector<int64_t> shape, strides;  // strides in elements
  std::span<const std::byte> bytes;     // from the first element on, as far as the last reaches
};

// The values as fp32, row-major. Throws Error for integers.
std::vector<float> to_floats(const StridedTensor& tensor);

// An open file. Tensors have the names of the dictionary that holds them; of dictionaries in it the names are
// joined by dots. What is no tensor is passed over.
class TorchFile {
 public:
  // Throws Error naming the file: no zip archive, damaged, a Python object that is not plain data (pickle.h),
  // a tensor that reaches past its storage or has more elements than it.
  explicit TorchFile(const std::filesystem::path& path);

  const std::vector<StridedTensor>& tensors() const { return tensors_; }

 private:
  ZipArchive archive_;
  std::vector<StridedTensor> tensors_;
};

}  // namespace megin::exchange
