// The tensors of a checkpoint folder of another program: model.safetensors, the pieces that
// model.safetensors.index.json lists, pytorch_model.bin, or the pieces of pytorch_model.bin.index.json; the
// first of these that is there.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace megin::exchange {

struct SourceTensor {
  std::vector<int64_t> shape;
  std::function<std::vector<float>()> read;  // the values, row-major fp32; throws Error for integers
};

// Open as long as the object lives.
class SourceTensors {
 public:
  // Throws Error naming the file: none of them is there, one is damaged or missing, a tensor stands twice.
  explicit SourceTensors(const std::filesystem::path& folder);

  const std::map<std::string, SourceTensor>& all() const { return tensors_; }
  const std::filesystem::path& file() const { return file_; }  // for messages

 private:
  void add_file(const std::filesystem::path& path);
  void add(const std::string& name, SourceTensor tensor);

  std::filesystem::path file_;
  std::map<std::string, SourceTensor> tensors_;
};

}  // namespace megin::exchange
