// The model: its dimensions, its norms and positions, and where its experts are.
// Source of the defaults and presets: fairseq's architectures as listed in the THOR paper's settings
// (Zuo et al. 2022, arXiv 2110.04260, appendix C) and fairseq itself.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace megin::config {

// encoder_decoder: reads a source, writes a target (Vaswani et al. 2017).
// causal_lm: a decoder alone, which goes on with a text; the encoder has no layers and there is no source.
// masked_lm: an encoder alone, which restores the masked tokens of a text (BERT: Devlin et al. 2019); the
//            decoder has no layers and there is no target.
enum class ModelKind { kEncoderDecoder, kCausalLm, kMaskedLm };
constexpr auto enum_names(ModelKind) {
  return std::array<std::string_view, 3>{"encoder_decoder", "causal_lm", "masked_lm"};
}

// The two stacks of an encoder-decoder; a causal language model is a decoder, a masked one an encoder.
enum class Stack : uint64_t { kEncoder = 0, kDecoder = 1 };

enum class NormPosition { kPost, kPre };
constexpr auto enum_names(NormPosition) {
  return std::array<std::string_view, 2>{"post", "pre"};
}

enum class NormKind { kLayerNorm, kRmsNorm };
constexpr auto enum_names(NormKind) {
  return std::array<std::string_view, 2>{"layer_norm", "rms_norm"};
}

// relu, gelu (the exact form, with erf), silu, gelu_tanh (the form of GPT-2: x/2 (1 + tanh(sqrt(2/pi) (x +
// 0.044715 x^3)))); and the gated forms act(x W_gate) * (x W_up) of Shazeer 2020, geglu with either form.
enum class Activation { kRelu, kGelu, kSilu, kGeluTanh, kReglu, kGeglu, kSwiglu, kGegluTanh };
constexpr auto enum_names(Activation) {
  return std::array<std::string_view, 8>{"relu",  "gelu",  "silu",   "gelu_tanh",
                                         "reglu", "geglu", "swiglu", "geglu_tanh"};
}
constexpr bool is_gated(Activation a) {
  return a >= Activation::kReglu;
}

// relative: attention looks at distances (Transformer-XL: Dai et al. 2019, section 3.3), without biases in
// its projections; a text is then read in segments that see the states of those before (model.memory).
// bucketed: a learned number for each bucket of distances and each head, the same in all layers of a stack,
// is added to the scores of self-attention (T5: Raffel et al. 2020, section 2.1; position_buckets.h).
enum class Positions { kSinusoidal, kLearned, kRotary, kRelative, kBucketed };
constexpr auto enum_names(Positions) {
  return std::array<std::string_view, 5>{"sinusoidal", "learned", "rotary", "relative", "bucketed"};
}

// fairseq: by the kind of a matrix, as fairseq's Transformer begins. normal: all matrices N(0, 0.02^2), all
// biases 0, weights of norms N(1, 0.02^2) (Transformer-XL's code).
enum class Initialisation { kFairseq, kNormal };
constexpr auto enum_names(Initialisation) {
  return std::array<std::string_view, 2>{"fairseq", "normal"};
}

// all: one matrix for source, target and output (needs a joint vocabulary); decoder: target and output share
// one; none: three matrices; inputs: one for source and target (a joint vocabulary), one for the output.
enum class ShareEmbeddings { kAll, kDecoder, kNone, kInputs };
constexpr auto enum_names(ShareEmbeddings) {
  return std::array<std::string_view, 4>{"all", "decoder", "none", "inputs"};
}

// How an expert layer chooses the experts of a token.
//   random    by hash, one for a whole pass in training, by dispatch mode in use (THOR: Zuo et al. 2022)
//   uniform   by hash for each token, in training too: a control that learns no routing. Several of them are
//             those with the highest of N scores U(0, 1) that are drawn anew for each token (smoe_dropout
//             spec 1.6)
//   top_k     those with the highest learned scores (Shazeer et al. 2017; Switch: Fedus et al. 2021, one)
//   sentence  the same, one choice for a sentence: from the mean of the layer's input in the encoder, in the
//             decoder from the mean of the encoder's output, which looks at nothing that is still to come
//   hash      a fixed table from token to expert (Roller et al. 2021), or from position to experts
//   base      scores learned as by top_k, but in training tokens are assigned so that all experts get equally
//             many (Lewis et al. 2021); in use each token takes its best
//   distilled scores learned at first, while a small router that sees nothing but the symbol learns to choose
//             alike; then, and in use, that one chooses and is frozen (StableMoE: Dai et al. 2022)
//   fixed     those with the highest scores by weights that are drawn once and never trained; gradients still
//             flow through the scores to the tokens (SMoE-Dropout: Chen et al. 2023)
//   expert_choice  each expert takes the tokens of a sentence that score it highest; in the encoder only, as
//             it looks at the whole sentence (Zhou et al. 2022)
enum class RouterKind {
  kRandom,
  kUniform,
  kTopK,
  kSentence,
  kHash,
  kBase,
  kDistilled,
  kExpertChoice,
  kFixed
};
constexpr auto enum_names(RouterKind) {
  return std::array<std::string_view, 9>{"random", "uniform",   "top_k",         "sentence", "hash",
                                         "base",   "distilled", "expert_choice", "fixed"};
}
constexpr bool is_learned(RouterKind router) {
  return router == RouterKind::kTopK || router == RouterKind::kSentence || router == RouterKind::kBase ||
         router == RouterKind::kDistilled || router == RouterKind::kExpertChoice;
}
// Whether scores h W^T say which experts a token meets, and with what gates.
constexpr bool has_scores(RouterKind router) {
  return is_learned(router) || router == RouterKind::kFixed;
}
// Whether a token may meet any number of experts, in training and in use: `--experts k=8`.
constexpr bool is_elastic(RouterKind router) {
  return router == RouterKind::kTopK || router == RouterKind::kFixed;
}
// Whether dispatch modes (dispatch.h) say which expert a token meets in use; else the model itself does.
constexpr bool is_drawn(RouterKind router) {
  return router == RouterKind::kRandom || router == RouterKind::kUniform;
}

// What an expert's output is multiplied by: its share of a softmax over all experts; of a softmax over the
// chosen ones only (with one, that is 1 and trains no router); the sigmoid of its score, divided by the sum
// over the chosen ones when there are several (DeepSeek-V3); nothing; or the same share for all chosen ones.
enum class Gate { kSoftmax, kSoftmaxOfChosen, kSigmoid, kNone, kMean };
constexpr auto enum_names(Gate) {
  return std::array<std::string_view, 5>{"softmax", "softmax_of_chosen", "sigmoid", "none", "mean"};
}

// What a distilled router looks at: the symbol; the mean of its vector and that of the one before; or the
// vectors of the five symbols up to it, weighted by one kernel for all of their numbers (Dai et al. 2022,
// Table 6).
enum class DistilledInput { kWord, kBigram, kCnn };
constexpr auto enum_names(DistilledInput) {
  return std::array<std::string_view, 3>{"word", "bigram", "cnn"};
}
// How many symbols up to a token that is.
constexpr int64_t distilled_reach(DistilledInput input) {
  return input == DistilledInput::kWord ? 1 : input == DistilledInput::kBigram ? 2 : 5;
}

// random: each symbol's expert by hash; balanced: symbols from the most frequent on, each to the expert with
// the least text so far; position: what counts is not the symbol but its position in its sentence or block,
// whose experts are drawn by hash (smoe_dropout spec 1.6, where it is the position in the batch, so that
// results depend on what else is in it).
enum class HashTable { kBalanced, kRandom, kPosition };
constexpr auto enum_names(HashTable) {
  return std::array<std::string_view, 3>{"balanced", "random", "position"};
}

// What an expert is.
//   replace  a feed-forward that takes the place of a layer's (THOR, Switch)
//   insert   a stack of residual feed-forwards x + W2 act(W1 norm(x)), a layer of its own between two others,
//            without attention and norm around it; a gate g mixes: g E(x) + (1 - g) x (BASE: Lewis et al.
//            2021; StableMoE: Dai et al. 2022, eq. 7)
enum class ExpertBody { kReplace, kInsert };
constexpr auto enum_names(ExpertBody) {
  return std::array<std::string_view, 2>{"replace", "insert"};
}

struct ExpertConfig {
  int64_t count = 1;  // N, experts of an expert layer; 1: no expert layers, a dense model
  ExpertBody body = ExpertBody::kReplace;
  // Of body replace: an expert layer is layer i of a stack with i % every == offset (i from 0, each stack).
  int64_t every = 2;
  int64_t offset = 0;        // 2 and 0 are what the published code ran; 1 and 0 the paper's notation
  int64_t until = 0;         // and i < until; 0: any
  int64_t layers = 1;        // of body insert: so many in each stack, evenly between its layers
  int64_t sublayers = 1;     // of body insert: S, residual feed-forwards of an expert
  int64_t feed_forward = 0;  // inner width of an expert; 0: the model's
  RouterKind router = RouterKind::kRandom;
  int64_t active = 1;  // k, experts of a token; of top_k, fixed, uniform and hash by position, and on average
                       // of expert_choice
  Gate gate = Gate::kNone;
  bool noisy = false;   // of top_k: learned noise on the scores in training (Shazeer et al. 2017, eq. 4)
  bool biased = false;  // of top_k: a bias an expert, moved against its load (Wang et al. 2024), decides
                        // who is chosen, never the gate
  HashTable hash = HashTable::kBalanced;
  DistilledInput distilled_input = DistilledInput::kWord;
  int64_t distilled_width = 50;  // of the symbols' vectors of a distilled router
  bool shared = false;           // beside those chosen, an expert that every token meets (Dai et al. 2024)
  bool scales = false;  // a factor of each layer's output for each k (output_scales.h), not in training

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("count", self.count, "experts of an expert layer; methods without experts make it 1");
    field("body", self.body,
          "a feed-forward in place of a layer's, or residual ones as a layer of their own");
    field("every", self.every, "of replace: an expert layer in every so many layers of each stack; 1 = all");
    field("offset", self.offset, "of replace: index (from 0) of the first expert layer of each stack");
    field("until", self.until, "of replace: no expert layer from this index on; 0 = any");
    field("layers", self.layers, "of insert: layers of experts in each stack, evenly between its own");
    field("sublayers", self.sublayers, "of insert: residual feed-forwards of an expert");
    field("feed_forward", self.feed_forward, "inner width of an expert; 0 = model.feed_forward");
    field("router", self.router, "how a token's experts are chosen; else by the method");
    field("active", self.active,
          "experts of a token, of top_k, fixed, expert_choice, uniform and hash by position; else by the "
          "method");
    field("gate", self.gate, "what an expert's output is multiplied by; else by the method");
    field("noisy", self.noisy, "of top_k: learned noise on the scores in training");
    field("biased", self.biased, "of top_k: biases that move against the load choose; else by the method");
    field("hash", self.hash, "of the hash router: how its table is made; else by the method");
    field("distilled_input", self.distilled_input, "of a distilled router: what it looks at");
    field("distilled_width", self.distilled_width, "of a distilled router: width of its symbols' vectors");
    field("shared", self.shared, "an expert that every token meets, beside those chosen");
    field("scales", self.scales,
          "of a model in use: scales by number of experts, which megin calibrate measures");
  }
  bool operator==(const ExpertConfig&) const = default;
};

// What the components of a mixture of translation models have of their own (Shen et al. 2019): the vector
// that the decoder begins with, MoE(tok); or the whole decoder, MoE(dec). Encoder, embeddings and output are
// shared.
enum class MixtureKind { kBegin, kDecoder };
constexpr auto enum_names(MixtureKind) {
  return std::array<std::string_view, 2>{"begin", "decoder"};
}

// p(z|x) of a mixture: learned from the mean of the encoder's output, or the same for all.
enum class MixturePrior { kLearned, kUniform };
constexpr auto enum_names(MixturePrior) {
  return std::array<std::string_view, 2>{"learned", "uniform"};
}

struct MixtureConfig {
  int64_t components = 1;  // K; 1: no mixture
  MixtureKind kind = MixtureKind::kBegin;
  MixturePrior prior = MixturePrior::kLearned;

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("components", self.components, "of a mixture of translations; other methods make it 1");
    field("kind", self.kind, "what each has of its own: first vector or decoder; else by the method");
    field("prior", self.prior, "their probabilities: learned from the source, or uniform");
  }
  bool operator==(const MixtureConfig&) const = default;
};

// Dropout of whole groups of a feed-forward's hidden units (smoe_dropout spec 1.6, --dense_drop): in a pass
// of training each group is left out with probability `rate`, nothing is rescaled, and in use all are there.
struct GroupDropoutConfig {
  int64_t groups = 0;  // G; hidden unit j is of group j mod G; 0: off
  double rate = 0.5;

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("groups", self.groups, "groups of a feed-forward's hidden units; 0 = off; else by the method");
    field("rate", self.rate, "how often a group is left out in training");
  }
  bool operator==(const GroupDropoutConfig&) const = default;
};

struct ModelConfig {
  std::string preset = "tiny";  // fills the fields below that are not given
  ModelKind kind = ModelKind::kEncoderDecoder;
  int64_t width = 128;              // d, of hidden states
  int64_t feed_forward = 256;       // f, inner width of a feed-forward, and of each expert
  int64_t heads = 4;                // attention heads; must divide width
  int64_t head_width = 0;           // of a head; 0: width / heads
  int64_t encoder_layers = 4;       // 0 in a causal_lm
  int64_t decoder_layers = 4;       // 0 in a masked_lm
  double dropout = 0.3;             // on embeddings and on every sublayer's output
  double attention_dropout = 0.0;   // on attention probabilities
  double activation_dropout = 0.0;  // inside the feed-forward, after the activation
  GroupDropoutConfig group_dropout = {};
  // Rate at which concrete dropout begins, which each feed-forward learns for its hidden units (Gal et al.
  // 2017); 0: off.
  double concrete_dropout = 0.0;
  Activation activation = Activation::kRelu;
  NormKind norm = NormKind::kLayerNorm;
  NormPosition norm_position = NormPosition::kPost;
  double norm_epsilon = 1e-5;
  Positions positions = Positions::kSinusoidal;
  // Tokens of a side, end mark included; learned positions have this many vectors. Of relative positions the
  // tokens of a segment in training.
  int64_t max_length = 1024;
  int64_t memory = 0;             // of relative positions: tokens before a segment that it sees, in training
  int64_t evaluation_block = 0;   // of relative positions: tokens of a segment in use; 0: max_length
  int64_t position_buckets = 32;  // of bucketed positions: buckets of a stack
  int64_t position_distance = 128;  // of bucketed positions: from here on all distances share a bucket
  ShareEmbeddings share_embeddings = ShareEmbeddings::kAll;
  Initialisation initialisation = Initialisation::kFairseq;
  bool scale_embeddings = true;   // token embeddings times sqrt(d) before positions are added
  bool norm_embeddings = false;   // a norm over the sum of token embedding and position of the encoder
  bool scale_attention = true;    // scores of attention over sqrt(head width)
  bool scale_output = false;      // what the decoder gives over sqrt(d), before the output's matrix
  bool biases = true;             // of the linear layers of attention and feed-forwards
  bool output_bias = false;       // a number for each symbol, added to its logit
  bool output_transform = false;  // of a masked_lm: norm(act(W h + b)) in place of h before the output
  bool begin_vector = false;      // the decoder's first input is a vector of its own, not the end mark's
  int64_t source_vocabulary = 0;  // 0: taken from the prepared data
  int64_t target_vocabulary = 0;  // 0: taken from the prepared data
  // Of a classifier; 0: taken from the prepared data where that has classes, else the model is none.
  int64_t classes = 0;
  ExpertConfig experts = {};
  MixtureConfig mixture = {};

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("preset", self.preset, "a named architecture; fills the fields not given");
    field("kind", self.kind, "what the model reads and writes; else by the preset");
    field("width", self.width, "d, width of the hidden states");
    field("feed_forward", self.feed_forward, "f, inner width of a feed-forward and of each expert");
    field("heads", self.heads, "attention heads; must divide width");
    field("head_width", self.head_width, "of an attention head; 0 = width / heads");
    field("encoder_layers", self.encoder_layers, "layers of the encoder");
    field("decoder_layers", self.decoder_layers, "layers of the decoder");
    field("dropout", self.dropout, "on embeddings and on every sublayer's output");
    field("attention_dropout", self.attention_dropout, "on attention probabilities");
    field("activation_dropout", self.activation_dropout, "after the activation of a feed-forward");
    field("group_dropout", self.group_dropout, "of a feed-forward's hidden units");
    field("concrete_dropout", self.concrete_dropout,
          "rate that each feed-forward's learned dropout begins with; 0 = off; else by the method");
    field("activation", self.activation, "of the feed-forward");
    field("norm", self.norm, "kind of norm");
    field("norm_position", self.norm_position, "norm after (post) or before (pre) each sublayer");
    field("norm_epsilon", self.norm_epsilon, "added to the variance under the root");
    field("positions", self.positions, "how positions are told");
    field("max_length", self.max_length, "longest side in tokens, end mark included; else tokens of a block");
    field("memory", self.memory, "of relative: tokens before a block that it sees, in training");
    field("evaluation_block", self.evaluation_block, "of relative: tokens of a block in use; 0 = max_length");
    field("position_buckets", self.position_buckets, "of bucketed: buckets of distances");
    field("position_distance", self.position_distance, "of bucketed: farther ones share the last bucket");
    field("share_embeddings", self.share_embeddings, "which of source, target and output share one matrix");
    field("initialisation", self.initialisation, "how values begin");
    field("scale_embeddings", self.scale_embeddings, "token embeddings are multiplied by the root of width");
    field("norm_embeddings", self.norm_embeddings,
          "a norm over the sum of embedding and position of what the encoder reads; else by the preset");
    field("scale_attention", self.scale_attention,
          "scores of attention are divided by the root of a head's width");
    field("scale_output", self.scale_output, "the decoder's states are divided by the root of width");
    field("biases", self.biases, "linear layers of attention and feed-forwards have biases");
    field("output_bias", self.output_bias, "a bias on the logit of each symbol");
    field("output_transform", self.output_transform,
          "of a masked_lm: linear layer, activation and norm before the output; else by the preset");
    field("begin_vector", self.begin_vector,
          "the decoder begins with a vector of its own, not the end mark's");
    field("source_vocabulary", self.source_vocabulary, "0 = taken from the data");
    field("target_vocabulary", self.target_vocabulary, "0 = taken from the data");
    field("classes", self.classes, "of a classifier (data.task classification); 0 = taken from the data");
    field("experts", self.experts, "where the experts are");
    field("mixture", self.mixture, "of whole translations");
  }
  bool operator==(const ModelConfig&) const = default;
};

constexpr bool is_causal_lm(const ModelConfig& config) {
  return config.kind == ModelKind::kCausalLm;
}
constexpr bool is_masked_lm(const ModelConfig& config) {
  return config.kind == ModelKind::kMaskedLm;
}
// A running text is what it reads, not pairs.
constexpr bool is_language_model(const ModelConfig& config) {
  return config.kind != ModelKind::kEncoderDecoder;
}
constexpr bool has_encoder(const ModelConfig& config) {
  return config.kind != ModelKind::kCausalLm;
}
constexpr bool has_decoder(const ModelConfig& config) {
  return config.kind != ModelKind::kMaskedLm;
}

// Whether source and target have one matrix of vectors.
constexpr bool shares_inputs(const ModelConfig& config) {
  return config.share_embeddings == ShareEmbeddings::kAll ||
         config.share_embeddings == ShareEmbeddings::kInputs;
}
// Whether the output's matrix is no embedding.
constexpr bool has_own_output(const ModelConfig& config) {
  return config.share_embeddings == ShareEmbeddings::kNone ||
         config.share_embeddings == ShareEmbeddings::kInputs;
}

// A body with a head that tells the class of a sentence from the state of one of its tokens (SMoE-Dropout's
// SST-2, smoe_dropout spec 4.10): of a causal_lm the last, which has seen all others, of a masked_lm the
// first.
constexpr bool is_classifier(const ModelConfig& config) {
  return config.classes > 0;
}
// Dropout between the two layers of the head.
constexpr double kClassifierDropout = 0.1;

constexpr int64_t width_of_head(const ModelConfig& config) {
  return config.head_width > 0 ? config.head_width : config.width / config.heads;
}
// Of queries, keys and values, all heads together.
constexpr int64_t attention_width(const ModelConfig& config) {
  return config.heads * width_of_head(config);
}

// Whether a text is read in segments that see those before.
constexpr bool has_memory(const ModelConfig& config) {
  return config.positions == Positions::kRelative;
}

// Position i of a text, from 0, sees from max(0, floor(i / block) block - memory) on, up to itself.
struct Segments {
  int64_t block = 0;
  int64_t memory = 0;

  constexpr int64_t first_seen(int64_t position) const {
    const int64_t first = position / block * block - memory;
    return first > 0 ? first : 0;
  }
};
constexpr Segments training_segments(const ModelConfig& config) {
  return {config.max_length, config.memory};
}
// Shorter segments with so much more memory that the last of a segment sees as far as in training. A sentence
// that is classified is one segment with nothing before it, in training and in use.
constexpr Segments evaluation_segments(const ModelConfig& config) {
  if (is_classifier(config)) return training_segments(config);
  const int64_t block = config.evaluation_block > 0 ? config.evaluation_block : config.max_length;
  return {block, config.memory + config.max_length - block};
}
// The most positions that a token sees, itself included.
constexpr int64_t attention_reach(const ModelConfig& config) {
  return config.memory + config.max_length;
}
// In evaluation a text is read in parts of so many tokens, side by side, each with an empty memory at first.
// (The paper's code reads 10 parts, whatever their length.)
constexpr int64_t kEvaluationPart = 16384;

constexpr int64_t layers_of(const ModelConfig& config, Stack stack) {
  return stack == Stack::kEncoder ? config.encoder_layers : config.decoder_layers;
}

constexpr bool is_mixture(const ModelConfig& config) {
  return config.mixture.components > 1;
}
constexpr bool has_learned_prior(const ModelConfig& config) {
  return is_mixture(config) && config.mixture.prior == MixturePrior::kLearned;
}

// Decoders that a model holds. Layers of the second stand behind those of the first in the table of tensors:
// layer i of decoder z is number z * decoder_layers + i.
constexpr int64_t decoders_of(const ModelConfig& config) {
  return config.mixture.kind == MixtureKind::kDecoder ? config.mixture.components : 1;
}

// Layers of a stack that the table of tensors has, those of all decoders.
constexpr int64_t stored_layers_of(const ModelConfig& config, Stack stack) {
  return layers_of(config, stack) * (stack == Stack::kDecoder ? decoders_of(config) : 1);
}

// Inner width of an expert.
constexpr int64_t expert_feed_forward(const ModelConfig& config) {
  return config.experts.feed_forward > 0 ? config.experts.feed_forward : config.feed_forward;
}

// How many tokens of a sentence of `length` each expert of the router expert_choice takes.
constexpr int64_t tokens_of_expert(const ExpertConfig& experts, int64_t length) {
  const int64_t wanted = (experts.active * length + experts.count - 1) / experts.count;
  return wanted < length ? wanted : length;
}

// Whether a layer of residual feed-forwards stands behind layer `layer` (from 0) of a stack: of L layers
// behind the first floor((i + 1) L / (m + 1)), i = 0 ... m - 1 (Dai et al. 2022, section 4.2). With one
// expert it is a dense layer that costs what a token's expert costs.
constexpr bool has_inserted_layer(const ModelConfig& config, Stack stack, int64_t layer) {
  if (config.experts.body != ExpertBody::kInsert) return false;
  if (config.experts.router == RouterKind::kExpertChoice && stack == Stack::kDecoder) return false;
  const int64_t all = layers_of(config, stack), count = config.experts.layers;
  for (int64_t i = 0; i < count; ++i) {
    if ((i + 1) * all / (count + 1) == layer + 1) return true;
  }
  return false;
}

// Whether tokens choose among experts in, or behind, layer `layer` (from 0) of a stack.
constexpr bool is_expert_layer(const ModelConfig& config, Stack stack, int64_t layer) {
  const ExpertConfig& experts = config.experts;
  if (experts.count == 1) return false;
  if (experts.router == RouterKind::kExpertChoice && stack == Stack::kDecoder) return false;
  if (experts.body == ExpertBody::kInsert) return has_inserted_layer(config, stack, layer);
  if (experts.until > 0 && layer >= experts.until) return false;
  return layer % experts.every == experts.offset;
}

// Number of the expert layer `layer` of a stack over both stacks, encoder first: how many stand before it.
constexpr int64_t expert_layer_number(const ModelConfig& config, Stack stack, int64_t layer) {
  int64_t number = 0;
  if (stack == Stack::kDecoder) {
    for (int64_t i = 0; i < config.encoder_layers; ++i) number += is_expert_layer(config, Stack::kEncoder, i);
  }
  for (int64_t i = 0; i < layer; ++i) number += is_expert_layer(config, stack, i);
  return number;
}

// Expert layers of both stacks.
constexpr int64_t count_expert_layers(const ModelConfig& config) {
  return expert_layer_number(config, Stack::kDecoder, config.decoder_layers);
}

// Overwrites the architecture with that of the named preset (the papers'). Throws UsageError
// with the list of presets for an unknown name.
void apply_model_preset(ModelConfig& config, std::string_view name);

// Throws UsageError naming the first field that cannot be (heads that do not divide the width, a dropout of 1
// ...).
void check(const ModelConfig& config);

}  // namespace megin::config
