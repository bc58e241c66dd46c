// The model: its dimensions, its norms and positions, and where its experts are.
// Source of the defaults and presets: fairseq's architectures as listed in the THOR paper's settings
// (Zuo et al. 2022, arXiv 2110.04260, appendix C) and fairseq itself.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace megin::config {

enum class NormPosition { kPost, kPre };
constexpr auto enum_names(NormPosition) {
  return std::array<std::string_view, 2>{"post", "pre"};
}

enum class NormKind { kLayerNorm, kRmsNorm };
constexpr auto enum_names(NormKind) {
  return std::array<std::string_view, 2>{"layer_norm", "rms_norm"};
}

// relu, gelu (the exact form, with erf), silu; and the gated forms act(x W_gate) * (x W_up) of Shazeer 2020.
enum class Activation { kRelu, kGelu, kSilu, kReglu, kGeglu, kSwiglu };
constexpr auto enum_names(Activation) {
  return std::array<std::string_view, 6>{"relu", "gelu", "silu", "reglu", "geglu", "swiglu"};
}
constexpr bool is_gated(Activation a) {
  return a >= Activation::kReglu;
}

enum class Positions { kSinusoidal, kLearned, kRotary };
constexpr auto enum_names(Positions) {
  return std::array<std::string_view, 3>{"sinusoidal", "learned", "rotary"};
}

// all: one matrix for source, target and output (needs a joint vocabulary); decoder: target and output share
// one; none: three matrices.
enum class ShareEmbeddings { kAll, kDecoder, kNone };
constexpr auto enum_names(ShareEmbeddings) {
  return std::array<std::string_view, 3>{"all", "decoder", "none"};
}

// How an expert layer chooses the experts of a token.
//   random    by hash, one for a whole pass in training, by dispatch mode in use (THOR: Zuo et al. 2022)
//   uniform   by hash for each token, in training too: a control that learns no routing
//   top_k     those with the highest learned scores (Shazeer et al. 2017; Switch: Fedus et al. 2021, one)
//   sentence  the same, one choice for a sentence: from the mean of the layer's input in the encoder, in the
//             decoder from the mean of the encoder's output, which looks at nothing that is still to come
//   hash      a fixed table from token to expert (Roller et al. 2021)
//   base      scores learned as by top_k, but in training tokens are assigned so that all experts get equally
//             many (Lewis et al. 2021); in use each token takes its best
//   distilled scores learned at first, while a small router that sees nothing but the symbol learns to choose
//             alike; then, and in use, that one chooses and is frozen (StableMoE: Dai et al. 2022)
enum class RouterKind { kRandom, kUniform, kTopK, kSentence, kHash, kBase, kDistilled };
constexpr auto enum_names(RouterKind) {
  return std::array<std::string_view, 7>{"random", "uniform", "top_k",    "sentence",
                                         "hash",   "base",    "distilled"};
}
constexpr bool is_learned(RouterKind router) {
  return router == RouterKind::kTopK || router == RouterKind::kSentence || router == RouterKind::kBase ||
         router == RouterKind::kDistilled;
}
// Whether dispatch modes (dispatch.h) say which expert a token meets in use; else the model itself does.
constexpr bool is_drawn(RouterKind router) {
  return router == RouterKind::kRandom || router == RouterKind::kUniform;
}

// What an expert's output is multiplied by: its share of a softmax over all experts; of a softmax over the
// chosen ones only (with one, that is 1 and trains no router); the sigmoid of its score, divided by the sum
// over the chosen ones when there are several (DeepSeek-V3); or nothing.
enum class Gate { kSoftmax, kSoftmaxOfChosen, kSigmoid, kNone };
constexpr auto enum_names(Gate) {
  return std::array<std::string_view, 4>{"softmax", "softmax_of_chosen", "sigmoid", "none"};
}

// random: each symbol's expert by hash; balanced: symbols from the most frequent on, each to the expert with
// the least text so far.
enum class HashTable { kBalanced, kRandom };
constexpr auto enum_names(HashTable) {
  return std::array<std::string_view, 2>{"balanced", "random"};
}

struct ExpertConfig {
  int64_t count = 1;  // N, experts of an expert layer; 1: no expert layers, a dense model
  int64_t every = 2;  // an expert layer is layer i of a stack with i % every == offset (i from 0, each stack)
  int64_t offset = 0;  // 2 and 0 are what the published code ran; 1 and 0 the paper's notation
  RouterKind router = RouterKind::kRandom;
  int64_t active = 1;  // k, experts of a token; of top_k
  Gate gate = Gate::kNone;
  bool noisy = false;   // of top_k: learned noise on the scores in training (Shazeer et al. 2017, eq. 4)
  bool biased = false;  // of top_k: a bias an expert, moved against its load (Wang et al. 2024), decides
                        // who is chosen, never the gate
  HashTable hash = HashTable::kBalanced;
  int64_t distilled_width = 50;  // of the symbols' vectors of a distilled router

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("count", self.count, "experts of an expert layer; dense and r_drop make it 1");
    field("every", self.every, "an expert layer in every so many layers of each stack; 1 = all layers");
    field("offset", self.offset, "index (from 0) of the first expert layer of each stack");
    field("router", self.router, "how a token's experts are chosen; else by the method");
    field("active", self.active, "experts of a token, of top_k; else by the method");
    field("gate", self.gate, "what an expert's output is multiplied by; else by the method");
    field("noisy", self.noisy, "of top_k: learned noise on the scores in training");
    field("biased", self.biased, "of top_k: biases that move against the load choose; else by the method");
    field("hash", self.hash, "of the hash router: how its table is made");
    field("distilled_width", self.distilled_width, "of a distilled router: width of its symbols' vectors");
  }
  bool operator==(const ExpertConfig&) const = default;
};

struct ModelConfig {
  std::string preset = "tiny";  // fills the fields below that are not given; see presets.h
  int64_t width = 128;          // d, of hidden states
  int64_t feed_forward = 256;   // f, inner width of a feed-forward, and of each expert
  int64_t heads = 4;            // attention heads; must divide width
  int64_t encoder_layers = 4;
  int64_t decoder_layers = 4;
  double dropout = 0.3;             // on embeddings and on every sublayer's output
  double attention_dropout = 0.0;   // on attention probabilities
  double activation_dropout = 0.0;  // inside the feed-forward, after the activation
  Activation activation = Activation::kRelu;
  NormKind norm = NormKind::kLayerNorm;
  NormPosition norm_position = NormPosition::kPost;
  double norm_epsilon = 1e-5;
  Positions positions = Positions::kSinusoidal;
  int64_t max_length = 1024;  // tokens of a side, end mark included; learned positions have this many vectors
  ShareEmbeddings share_embeddings = ShareEmbeddings::kAll;
  int64_t source_vocabulary = 0;  // 0: taken from the prepared data
  int64_t target_vocabulary = 0;  // 0: taken from the prepared data
  ExpertConfig experts = {};

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("preset", self.preset, "tiny, small, iwslt, base, big or multilingual; fills the fields not given");
    field("width", self.width, "d, width of the hidden states");
    field("feed_forward", self.feed_forward, "f, inner width of a feed-forward and of each expert");
    field("heads", self.heads, "attention heads; must divide width");
    field("encoder_layers", self.encoder_layers, "layers of the encoder");
    field("decoder_layers", self.decoder_layers, "layers of the decoder");
    field("dropout", self.dropout, "on embeddings and on every sublayer's output");
    field("attention_dropout", self.attention_dropout, "on attention probabilities");
    field("activation_dropout", self.activation_dropout, "after the activation of a feed-forward");
    field("activation", self.activation, "of the feed-forward");
    field("norm", self.norm, "kind of norm");
    field("norm_position", self.norm_position, "norm after (post) or before (pre) each sublayer");
    field("norm_epsilon", self.norm_epsilon, "added to the variance under the root");
    field("positions", self.positions, "how positions are told");
    field("max_length", self.max_length, "longest side in tokens, end mark included");
    field("share_embeddings", self.share_embeddings, "which of source, target and output share one matrix");
    field("source_vocabulary", self.source_vocabulary, "0 = taken from the data");
    field("target_vocabulary", self.target_vocabulary, "0 = taken from the data");
    field("experts", self.experts, "where the experts are");
  }
  bool operator==(const ModelConfig&) const = default;
};

// Whether layer `layer` (from 0) of either stack holds experts.
constexpr bool is_expert_layer(const ExpertConfig& experts, int64_t layer) {
  return experts.count > 1 && layer % experts.every == experts.offset;
}

// Overwrites the dimensions with those of the named preset (the papers' architectures). Throws UsageError
// with the list of presets for an unknown name.
void apply_model_preset(ModelConfig& config, std::string_view name);

// Throws UsageError naming the first field that cannot be (heads that do not divide the width, a dropout of 1
// ...).
void check(const ModelConfig& config);

}  // namespace megin::config
