// The parameters of a model in flat memory: all values stand in one buffer and all gradients in another, so
// that the optimiser, clipping, averaging and checkpoints are single passes. Modules hold tensors that look
// into it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/model_config.h"
#include "store/tensor_names.h"

namespace megin::net {

// One named tensor of store/tensor_names.h.
struct Parameter {
  std::string name;
  std::vector<int64_t> shape;      // experts lead in an expert layer
  int64_t offset = 0;              // in floats from the start of the flat memory; a multiple of 16
  int64_t size = 0;                // floats
  int64_t experts = 0;             // 0: not split; N: N leaves of size / N floats each
  bool trained = true;             // by gradients; else its leaves ask for none
  std::vector<at::Tensor> leaves;  // fp32; trained ones require gradients, .grad looks into gradient memory
};

// Not copyable; the tensors that it hands out stay valid as long as it lives.
class ParameterMemory {
 public:
  // Allocates every tensor of the configuration, values and gradients zero.
  explicit ParameterMemory(const config::ModelConfig& config);
  ParameterMemory(const ParameterMemory&) = delete;
  ParameterMemory& operator=(const ParameterMemory&) = delete;

  // The tensor, or the tensor of one expert. Asking for a name that the table lacks is our own mistake and
  // throws.
  const at::Tensor& get(const std::string& name, int64_t expert = 0) const;
  // The same; undefined where the table lacks the name, as of biases that a model does not have.
  at::Tensor get_if(const std::string& name, int64_t expert = 0) const;
  const Parameter& find(const std::string& name) const;
  const std::vector<Parameter>& all() const { return parameters_; }

  // Flat memory, padding between tensors included (padding stays zero).
  std::span<float> values() { return {values_.get(), static_cast<size_t>(size_)}; }
  std::span<const float> values() const { return {values_.get(), static_cast<size_t>(size_)}; }
  std::span<float> gradients() { return {gradients_.get(), static_cast<size_t>(size_)}; }

  std::span<float> values_of(const Parameter& p) { return values().subspan(p.offset, p.size); }
  std::span<const float> values_of(const Parameter& p) const { return values().subspan(p.offset, p.size); }

 private:
  struct Free {
    void operator()(float* memory) const;
  };
  static std::unique_ptr<float, Free> allocate(int64_t floats);
  void make_leaves(Parameter& parameter);

  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, size_t> index_;
  int64_t size_ = 0;
  std::unique_ptr<float, Free> values_;
  std::unique_ptr<float, Free> gradients_;
};

}  // namespace megin::net
