// The weights of a Transformer, ready for use: matrices packed for multiply(), the rest viewed where it
// lies.
//
// Memory: the source of the tensors stays in use (embeddings, norms, biases, experts not yet packed), and
// each packed matrix is a copy. Attention and output are packed at once; feed-forwards, and with them all
// experts, at their first use: a model of 64 experts opens as fast as a dense one, and experts that are never
// drawn cost nothing. At most, everything is held twice, once in pages that the system may drop (a mapped
// file).
#pragma once

#include <hwy/aligned_allocator.h>

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "config/dispatch.h"
#include "config/model_config.h"
#include "runtime/attention.h"
#include "runtime/matrices.h"
#include "runtime/vector_ops.h"
#include "store/model_directory.h"

namespace megin::runtime {

// Where tensors come from: name (store/tensor_names.h) to values, row-major fp32. The values must stay where
// they are and unchanged as long as weights made from them are in use.
using TensorSource = std::function<std::span<const float>(const std::string& name)>;

// The tensors of an open model directory, which the source keeps open.
TensorSource tensors_of(std::shared_ptr<const store::ModelDirectory> directory);

struct Linear {
  PackedMatrix weight;
  std::span<const float> bias;

  void operator()(ConstRows x, Rows y) const { multiply(weight, bias, x, y); }
};

// fc2(act(fc1(x))), or fc2(act(gate(x)) * fc1(x)); gate is empty unless the activation is a gated one. Biases
// are empty in a model without.
struct FeedForward {
  Linear fc1, gate, fc2;
};

// The feed-forwards of one layer, or of one sublayer of inserted experts: one, or one per expert. Packed at
// first use, by whichever thread comes first.
class Experts {
 public:
  struct Size {
    int64_t count = 1;         // of experts
    int64_t feed_forward = 0;  // inner width
  };
  Experts(const config::ModelConfig& config, const TensorSource& tensors, const std::string& prefix,
          Size size);

  int64_t count() const { return size_.count; }
  int64_t feed_forward() const { return size_.feed_forward; }
  const FeedForward& operator[](int64_t expert) const;

  // All experts as one feed-forward of inner width count() * feed_forward(): W1 stacked, W2 side by side,
  // without a second bias. Packed at first use.
  const FeedForward& all() const;
  std::span<const float> second_biases() const { return fc2_.bias; }  // [experts, width], or empty

 private:
  struct Matrix {
    std::span<const float> weight, bias;  // of all experts
    int64_t outputs = 0, inputs = 0;
  };
  struct Slot {
    std::once_flag packed;
    FeedForward feed_forward;
  };
  static Linear pack(const Matrix& matrix, int64_t expert);

  Size size_;
  Matrix fc1_, gate_, fc2_;
  std::unique_ptr<Slot[]> slots_;
  std::unique_ptr<Slot> all_;
};

// What an expert layer of a model with a router of its own chooses experts by (store/tensor_names.h); empty
// where experts are drawn.
struct RouterWeights {
  PackedMatrix weight;          // [experts, width]: learned scores
  std::span<const float> bias;  // [experts]: biased
  std::vector<int64_t>
      table;  // [vocabulary of the stack], the expert of each symbol: hash, distilled by word
  std::vector<int64_t> positions;  // [max_length, k], the experts of each position: hash by position
  // Of a distilled router that looks further: each symbol's score for each expert, [vocabulary, experts], and
  // what the scores of the symbols up to a token are multiplied by, the token's first.
  std::vector<float> symbol_scores;
  std::vector<float> kernel;
};

// A sublayer of inserted experts: x + fc2(act(fc1(norm(x)))), norm and feed-forward of each expert its own.
struct ResidualSublayer {
  std::vector<NormWeights> norms;  // [experts]
  std::unique_ptr<Experts> experts;
};

struct LayerWeights {
  Linear query_key_value, self_output;
  // Of relative positions: the vectors of distances as attend() takes them.
  hwy::AlignedFreeUniquePtr<float[]> distances;
  NormWeights self_norm;
  Linear cross_query, cross_key_value, cross_output;  // decoder of an encoder-decoder only
  NormWeights cross_norm;                             // the same
  std::unique_ptr<Experts> experts;
  NormWeights feed_forward_norm;
  std::unique_ptr<Experts> shared;         // of replaced experts: what every token meets beside them
  std::vector<ResidualSublayer> inserted;  // what stands behind the layer; mostly nothing
  std::vector<ResidualSublayer> inserted_shared;
  RouterWeights router;           // of the experts, replaced or inserted
  std::span<const float> scales;  // [experts], of the output with so many of them a token; empty: none
  bool chooses = false;           // whether its tokens choose among experts
  uint64_t expert_layer = 0;      // its number over both stacks, encoder first; counts expert layers only
  uint64_t number = 0;            // the same, counting all layers
};

struct StackWeights {
  std::span<const float> embedding;  // [vocabulary, width]
  std::vector<LayerWeights> layers;  // of a mixture of decoders: those of one after those of the other
  std::vector<NormWeights> norms;    // pre-norm only: after the last layer, of each decoder
  // What is added to embeddings, [max_length, width]: the fairseq sinusoid or the learned vectors; else
  // empty.
  std::span<const float> positions;
  // Of bucketed positions, [heads, 2 max_length - 1]: what is added to the scores of keys max_length - 1
  // before their query to max_length - 1 behind it.
  std::vector<float> position_bias;
};

// What a mixture has beside its stacks; empty in other models.
struct MixtureWeights {
  std::span<const float> begin;       // [components, width]: the decoder's first vectors
  Linear prior_hidden, prior_output;  // of a learned prior
};

// The head of a classifier; empty in other models.
struct ClassifierWeights {
  Linear hidden, output;
};

// Const after construction and safe to share between threads; not movable (experts hold locks).
struct Weights {
  // Throws Error when a tensor's size is not the one of store::tensor_shapes(config).
  Weights(const config::ModelConfig& model_config, TensorSource source);

  AttentionShape attention() const {
    return {config.heads, config::width_of_head(config), config.scale_attention};
  }
  // What a query of self-attention at `position` adds for the positions 0, 1 ... of its sentence.
  PositionTerms position_terms(const StackWeights& stack, int64_t position) const {
    if (stack.position_bias.empty()) return {};
    return {stack.position_bias.data() + config.max_length - 1 - position, 2 * config.max_length - 1};
  }
  bool rotary() const { return config.positions == config::Positions::kRotary; }

  config::ModelConfig config;
  TensorSource tensors;           // kept for what it keeps open
  StackWeights encoder, decoder;  // a causal_lm has no encoder layers, a masked_lm no decoder's
  // Of a masked_lm that has them: the norm over embeddings, and what stands before the output.
  NormWeights embedding_norm, output_transform_norm;
  Linear output_transform;
  PackedMatrix output;                 // [target vocabulary, width]
  std::span<const float> output_bias;  // [target vocabulary]; empty: none
  std::span<const float> begin;        // [width]: the decoder's first input; empty: the end mark's embedding
  MixtureWeights mixture;
  ClassifierWeights classifier;
  std::span<const float> content_bias, distance_bias;  // of relative positions, [attention width]
  std::vector<float> sinusoid;                         // [max_length, width]
  std::vector<float> rotary_cosines;                   // [max_length, head_width / 2]
  std::vector<float> rotary_sines;
};

// The vectors of distances 0, 1 ... (Dai et al. 2019), [count, width]: sines then cosines of n * w_k, w_k =
// 10000^(-2k / width). width is even.
std::vector<float> distance_vectors(int64_t count, int64_t width);

}  // namespace megin::runtime
