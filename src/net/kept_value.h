// A value that is no tensor, kept by an operation's forward pass for its backward pass, in the context's
// saved_data.
#pragma once

#include <ATen/core/ivalue.h>

#include <memory>
#include <utility>

namespace megin::net {

template <typename T>
struct KeptValue : torch::CustomClassHolder {
  explicit KeptValue(std::shared_ptr<const T> v) : value(std::move(v)) {}
  std::shared_ptr<const T> value;
};

template <typename T>
c10::IValue keep(std::shared_ptr<const T> value) {
  return c10::IValue::make_capsule(c10::make_intrusive<KeptValue<T>>(std::move(value)));
}

// What keep() was given; lives as long as the context.
template <typename T>
const T& kept(const c10::IValue& value) {
  return *static_cast<const KeptValue<T>&>(*value.toCapsule()).value;
}

}  // namespace megin::net
