#include "model/output_transform.h"

#include <ATen/ATen.h>

#include "net/feed_forward.h"
#include "net/linear.h"

namespace megin::model {

OutputTransform::OutputTransform(const net::ParameterMemory& parameters, const config::ModelConfig& config)
    : activation_(config.activation),
      weight_(parameters.get("output_transform.weight")),
      bias_(parameters.get("output_transform.bias")),
      norm_(parameters, "output_transform_norm.", config) {}

at::Tensor OutputTransform::forward(const at::Tensor& states, net::Operations operations) const {
  return norm_.forward(net::activate(net::linear(states, weight_, bias_, operations), activation_),
                       operations);
}

}  // namespace megin::model
