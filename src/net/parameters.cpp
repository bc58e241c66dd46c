#include "net/parameters.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace megin::net {
namespace {

constexpr int64_t kAlignment = 16;  // floats: one cache line

int64_t product(const std::vector<int64_t>& shape) {
  int64_t size = 1;
  for (const int64_t extent : shape) size *= extent;
  return size;
}

}  // namespace

void ParameterMemory::Free::operator()(float* memory) const {
  std::free(memory);
}

std::unique_ptr<float, ParameterMemory::Free> ParameterMemory::allocate(int64_t floats) {
  const size_t bytes = static_cast<size_t>(floats) * sizeof(float);
  void* memory = std::aligned_alloc(kAlignment * sizeof(float), bytes);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  return std::unique_ptr<float, Free>(static_cast<float*>(memory));
}

ParameterMemory::ParameterMemory(const config::ModelConfig& config) {
  for (auto& tensor : store::tensor_shapes(config)) {
    Parameter parameter;
    parameter.experts = tensor.experts;
    parameter.trained = tensor.trained;
    parameter.name = std::move(tensor.name);
    parameter.shape = std::move(tensor.shape);
    parameter.offset = size_;
    parameter.size = product(parameter.shape);
    size_ += (parameter.size + kAlignment - 1) / kAlignment * kAlignment;
    index_.emplace(parameter.name, parameters_.size());
    parameters_.push_back(std::move(parameter));
  }
  values_ = allocate(size_);
  gradients_ = allocate(size_);
  for (Parameter& parameter : parameters_) make_leaves(parameter);
}

void ParameterMemory::make_leaves(Parameter& parameter) {
  std::vector<int64_t> shape = parameter.shape;
  if (parameter.experts > 0) shape.erase(shape.begin());
  const int64_t size = product(shape);
  const int64_t count = parameter.experts > 0 ? parameter.experts : 1;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t offset = parameter.offset + i * size;
    at::Tensor leaf = at::from_blob(values_.get() + offset, shape, at::kFloat);
    if (parameter.trained) {
      leaf.set_requires_grad(true);
      leaf.mutable_grad() = at::from_blob(gradients_.get() + offset, shape, at::kFloat);
    }
    parameter.leaves.push_back(std::move(leaf));
  }
}

const Parameter& ParameterMemory::find(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) throw std::logic_error("no parameter named " + name);
  return parameters_[found->second];
}

at::Tensor ParameterMemory::get_if(const std::string& name, int64_t expert) const {
  return index_.contains(name) ? get(name, expert) : at::Tensor();
}

const at::Tensor& ParameterMemory::get(const std::string& name, int64_t expert) const {
  return find(name).leaves.at(static_cast<size_t>(expert));
}

}  // namespace megin::net
