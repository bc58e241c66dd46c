// Initial values, as fairseq's (thor spec 3.3): embeddings normal with deviation d^-1/2 and a zero pad row;
// query, key and value Xavier uniform with gain 1/sqrt(2), their biases U(+-1/sqrt(fan_in)); attention output
// Xavier uniform, bias zero; feed-forwards, each expert for itself, U(+-1/sqrt(fan_in)); norms one and zero.
// Inserted experts (stablemoe spec 1.1): second weight zero, all experts of a layer alike. Or, of the kind
// normal, as Transformer-XL's code (smoe_dropout spec 1.2, 2.1).
#pragma once

#include <cstdint>

#include "config/model_config.h"
#include "net/parameters.h"

namespace megin::net {

// Fills the values. Every tensor draws from a stream of its own named by `seed`, its name and its expert, so
// that models that share a tensor (dense and THOR, 2 and 4 experts) start with the same values in it.
void initialise(ParameterMemory& parameters, const config::ModelConfig& config, uint64_t seed);

}  // namespace megin::net
