// Training: the method's objective, the optimiser and its schedule, batches, validation, what is kept.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace megin::config {

// One key that sets the objective and the number of experts; every field can still be set by hand.
//   dense   one pass, one expert, cross-entropy
//   dense_group_dropout, dense_concrete_dropout  the same with dropout of groups of hidden units, or at rates
//           that are learned (Gal et al. 2017): SMoE-Dropout's dense baselines
//   r_drop  two passes, one expert, consistency (Liang et al. 2021): THOR with one expert
//   r3f     two passes, one expert: the second over embeddings with noise, for consistency alone
//           (Aghajanyan et al. 2020)
//   smart   the same with the noise that changes the prediction most (Jiang et al. 2020)
//   thor    two passes, random experts, consistency (Zuo et al. 2022)
//   thor_shared_dropout  the same with one dropout mask for both passes: isolates what the experts do
//   switch               one expert a token by a learned router, with a balance loss (Fedus et al. 2021)
//   switch_sentence      the same, one expert a sentence
//   switch_random        one expert a token by hash: what Switch is without its router
//   top_k                the two best experts of each token (Shazeer et al. 2017; GShard)
//   loss_free            the same balanced by biases instead of a loss (Wang et al. 2024)
//   hash                 a fixed table from token to expert (Roller et al. 2021)
//   base                 experts of equal load by assignment (Lewis et al. 2021)
//   expert_choice        experts choose tokens, in the encoder (Zhou et al. 2022)
//   stable_moe           learned routing, distilled into a frozen router (Dai et al. 2022)
//   smoe_dropout         a random router that is never trained, more and more experts (Chen et al. 2023)
//   hash_position, random_experts  its baselines: experts by a table from positions, or drawn anew each time
//   moe_tok              a mixture of translations that differ in the decoder's first vector
//                        (Shen et al. 2019)
//   moe_dec              the same with a decoder for each
enum class Method {
  kDense,
  kDenseGroupDropout,
  kDenseConcreteDropout,
  kRDrop,
  kR3f,
  kSmart,
  kThor,
  kThorSharedDropout,
  kSwitch,
  kSwitchSentence,
  kSwitchRandom,
  kTopK,
  kLossFree,
  kHash,
  kBase,
  kExpertChoice,
  kStableMoe,
  kSmoeDropout,
  kHashPosition,
  kRandomExperts,
  kMoeTok,
  kMoeDec
};
constexpr auto enum_names(Method) {
  return std::array<std::string_view, 22>{"dense",
                                          "dense_group_dropout",
                                          "dense_concrete_dropout",
                                          "r_drop",
                                          "r3f",
                                          "smart",
                                          "thor",
                                          "thor_shared_dropout",
                                          "switch",
                                          "switch_sentence",
                                          "switch_random",
                                          "top_k",
                                          "loss_free",
                                          "hash",
                                          "base",
                                          "expert_choice",
                                          "stable_moe",
                                          "smoe_dropout",
                                          "hash_position",
                                          "random_experts",
                                          "moe_tok",
                                          "moe_dec"};
}

enum class Pair { kIndependent, kDistinct };
constexpr auto enum_names(Pair) {
  return std::array<std::string_view, 2>{"independent", "distinct"};
}

enum class UnusedExpert { kZeroGrad, kSkip };
constexpr auto enum_names(UnusedExpert) {
  return std::array<std::string_view, 2>{"zero_grad", "skip"};
}

// What is added to the token embeddings of the second pass.
//   normal, uniform  noise N(0, size^2) or U(-size, size) (R3F)
//   adversarial      noise that changes the prediction most, found by ascent within a ball (SMART)
enum class Perturbation { kNone, kNormal, kUniform, kAdversarial };
constexpr auto enum_names(Perturbation) {
  return std::array<std::string_view, 4>{"none", "normal", "uniform", "adversarial"};
}

struct PerturbationConfig {
  Perturbation kind = Perturbation::kNone;
  double size = 1e-5;   // of normal and uniform; of adversarial: the radius, L2 over a side of a sentence
  bool target = false;  // also of the target's embeddings
  // Of adversarial (defaults: the NMT code of SMART's authors, thor spec 2.4).
  int64_t steps = 1;        // of ascent
  double step_size = 1e-4;  // times the gradient of the consistency
  double start = 1e-4;      // standard deviation of the noise that ascent begins with
  bool normalised = false;  // the gradient is divided by its L2 norm over a side of a sentence

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("kind", self.kind, "what is added to the embeddings of the second pass; else by the method");
    field("size", self.size, "of the noise; of adversarial the largest norm by sentence; else by the method");
    field("target", self.target, "also to the target's embeddings; else by the method");
    field("steps", self.steps, "of adversarial: steps of ascent");
    field("step_size", self.step_size, "of adversarial: times the gradient");
    field("start", self.start, "of adversarial: deviation of the noise it begins with");
    field("normalised", self.normalised, "of adversarial: divide the gradient by its norm by sentence");
  }
  bool operator==(const PerturbationConfig&) const = default;
};

// token: the consistency is a sum over target tokens, as the cross-entropy (THOR, R-Drop).
// fairseq: as fairseq's R3F: both divergences in full and not their mean, times target tokens by sentences.
enum class ConsistencyUnit { kToken, kFairseq };
constexpr auto enum_names(ConsistencyUnit) {
  return std::array<std::string_view, 2>{"token", "fairseq"};
}

// Which components of a mixture learn from a sentence: the likeliest, or all by their share.
enum class Expectation { kHard, kSoft };
constexpr auto enum_names(Expectation) {
  return std::array<std::string_view, 2>{"hard", "soft"};
}

// A second term of the loss: the divergence from what a teacher, a model that is trained already, predicts
// (Hinton et al. 2015).
struct TeacherConfig {
  std::string model = {};    // model directory, or a run with one; empty: none
  double weight = 1.0;       // of T^2 KL(teacher || model), beside weight_first of the cross-entropy
  double temperature = 1.0;  // T, that both models' logits are divided by

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("model", self.model, "model whose predictions are learned, too; empty = none");
    field("weight", self.weight, "of the divergence from the teacher");
    field("temperature", self.temperature, "that logits of both are divided by");
  }
  bool operator==(const TeacherConfig&) const = default;
};

struct ObjectiveConfig {
  int64_t passes = 1;               // forward passes over each micro-batch: 1, or 2 with a consistency term
  double alpha = 5.0;               // weight of the consistency term CR (Zuo et al. 2022, eq. 3)
  double weight_first = 1.0;        // of the first pass's cross-entropy
  double weight_second = 1.0;       // of the second pass's cross-entropy
  double weight_consistency = 1.0;  // multiplies alpha * CR; 0 switches the term off (Table 4 of the paper)
  double label_smoothing = 0.1;     // epsilon: the other symbols share it evenly (fairseq)
  Pair pair = Pair::kIndependent;   // whether the two passes' experts of a layer may coincide
  // Experts drawn in no pass of an update: treated as having a zero gradient, or left alone (value and
  // moments).
  UnusedExpert unused_expert = UnusedExpert::kZeroGrad;
  bool shared_dropout = false;  // one dropout mask for both passes
  bool fixed_first = false;     // consistency trains the second pass alone (SMART)
  ConsistencyUnit consistency_unit = ConsistencyUnit::kToken;
  PerturbationConfig perturbation = {};
  TeacherConfig teacher = {};
  Expectation expectation = Expectation::kHard;  // of a mixture: hard or soft EM
  // Of concrete dropout (Gal et al. 2017, eq. 3 to 4; defaults of its code): what is added for each
  // feed-forward is concrete_weight |W2|^2 / (1 - p) - concrete_entropy f H(p), H(p) = -p log p - (1 - p)
  // log(1 - p).
  double concrete_weight = 1e-6;
  double concrete_entropy = 1e-5;

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("passes", self.passes, "forward passes over each micro-batch, 1 or 2; else by the method");
    field("alpha", self.alpha, "weight of the consistency term; else by the method");
    field("weight_first", self.weight_first, "of the first pass's cross-entropy");
    field("weight_second", self.weight_second, "of the second pass's cross-entropy; else by the method");
    field("weight_consistency", self.weight_consistency, "multiplies alpha times the consistency term");
    field("label_smoothing", self.label_smoothing,
          "probability given to the other symbols; if not given, 0 for a language model");
    field("pair", self.pair, "may the experts of the two passes coincide");
    field("unused_expert", self.unused_expert, "experts that no pass of an update drew");
    field("shared_dropout", self.shared_dropout, "one dropout mask for both passes; else by the method");
    field("fixed_first", self.fixed_first, "consistency trains the second pass alone; else by the method");
    field("consistency_unit", self.consistency_unit, "what alpha counts; else by the method");
    field("perturbation", self.perturbation, "of the second pass's embeddings");
    field("teacher", self.teacher, "another model to learn from");
    field("expectation", self.expectation,
          "of a mixture: a sentence trains its likeliest component, or all by their share");
    field("concrete_weight", self.concrete_weight, "of concrete dropout: weight of the second matrix's norm");
    field("concrete_entropy", self.concrete_entropy, "of concrete dropout: weight of the rate's entropy");
  }
  bool operator==(const ObjectiveConfig&) const = default;
};

// GShard's rule for the second of two experts: always, or with probability 2 times its gate at most.
enum class SecondExpert { kAlways, kSampled };
constexpr auto enum_names(SecondExpert) {
  return std::array<std::string_view, 2>{"always", "sampled"};
}

// How many experts a token meets in an update, from first_active to model.experts.active over the training
// (smoe_dropout spec 1.4):
//   constant     model.experts.active
//   linear       in equal steps, rounded, halves to even
//   cosine       slowly at first: round((first - last) cos(pi t / 2 T)) + last
//   exponential  fast at first: round((first - last) 0.99^floor(t / floor(T / 300))) + last
//   doubling     1, 2, 4 ... those powers of two from first to last that there are, each for as long
//   random       drawn anew for each update, each number alike
//   random_by_layer  the same for each expert layer (M-MoE, arXiv 2509.26520)
enum class ActiveSchedule { kConstant, kLinear, kCosine, kExponential, kDoubling, kRandom, kRandomByLayer };
constexpr auto enum_names(ActiveSchedule) {
  return std::array<std::string_view, 7>{"constant", "linear", "cosine",         "exponential",
                                         "doubling", "random", "random_by_layer"};
}

// How routers are trained; nothing of it is needed to use the model.
struct RoutingConfig {
  ActiveSchedule active_schedule = ActiveSchedule::kConstant;
  int64_t first_active = 0;  // of the schedule; 0: half of model.experts.active, rounded up
  double anchor = 0.0;  // share of updates, drawn by hash, with first_active experts (PHDS, arXiv 2509.23012)

  // Weight of each layer's balance loss: N sum_i f_i P_i (Fedus et al. 2021, eq. 4); of distilled routers the
  // mean of (n_i / (T / N) - 1) sigmoid(score) (Dai et al. 2022, eq. 8).
  double balance = 0.0;
  double z_loss = 0.0;       // weight of the mean squared log-sum-exp of the scores (Zoph et al. 2022, eq. 5)
  double capacity = 0.0;     // most tokens of an expert, times tokens * active / experts; 0: no limit
  bool random_drops = true;  // which tokens an overfull expert drops: at random, else the later ones
  double jitter = 0.0;       // the router's input is multiplied by U(1 - jitter, 1 + jitter)
  SecondExpert second_expert = SecondExpert::kAlways;
  double bias_rate = 0.001;     // of biased routers: how far a bias moves in an update
  int64_t workers = 1;          // of balanced assignment: groups of tokens, each assigned by itself
  int64_t first_stage = 0;      // of distilled: updates until it is frozen; 0: a tenth of train.max_updates
  double distillation = 0.3;    // of distilled: weight of learning the choices of the first stage
  bool balanced_stage = false;  // of distilled: the first stage assigns tokens as base does

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("balance", self.balance, "weight of the balance loss; else by the method");
    field("z_loss", self.z_loss, "weight of the router z-loss");
    field("capacity", self.capacity, "most tokens of an expert, relative to equal shares; 0 = no limit");
    field("random_drops", self.random_drops,
          "which tokens an overfull expert drops: random ones, or later ones");
    field("jitter", self.jitter, "noise on the router's input, relative");
    field("second_expert", self.second_expert, "with two experts a token: the second one always, or sampled");
    field("active_schedule", self.active_schedule,
          "how many experts a token meets over the training; else by the method");
    field("first_active", self.first_active, "how many at first; 0 = half of model.experts.active");
    field("anchor", self.anchor, "share of updates that go on with train.routing.first_active experts");
    field("bias_rate", self.bias_rate, "of biased routers: how far a bias moves in an update");
    field("workers", self.workers, "of base: groups of tokens that are assigned by themselves");
    field("first_stage", self.first_stage,
          "of distilled: updates until the router is frozen; 0 = a tenth of train.max_updates");
    field("distillation", self.distillation, "of distilled: weight of learning the first stage's choices");
    field("balanced_stage", self.balanced_stage, "of distilled: assign as base does in the first stage");
  }
  bool operator==(const RoutingConfig&) const = default;
};

// Which tokens of a text a masked_lm is to restore, and what it sees in their place (Devlin et al. 2019,
// section 3.1). Drawn anew in each epoch (dynamic masking: Liu et al. 2019, section 4.1).
struct MaskingConfig {
  double rate = 0.15;        // share of the tokens that are predicted
  double masked = 0.8;       // of these: share seen as the mask symbol
  double random = 0.1;       // share seen as a symbol drawn at random; the rest is seen as it is
  bool whole_words = false;  // words are drawn, not tokens: all tokens of a word or none

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("rate", self.rate, "of a masked_lm: share of the tokens that are predicted");
    field("masked", self.masked, "of these: share seen as the mask symbol");
    field("random", self.random, "of these: share seen as a random symbol; the rest is seen as it is");
    field("whole_words", self.whole_words, "words are drawn, not tokens: all tokens of one or none");
  }
  bool operator==(const MaskingConfig&) const = default;
};

enum class OptimizerKind { kAdam, kAdamW, kRAdam };
constexpr auto enum_names(OptimizerKind) {
  return std::array<std::string_view, 3>{"adam", "adamw", "radam"};
}

enum class ScheduleKind { kInverseSqrt, kCosine, kLinear, kConstant };
constexpr auto enum_names(ScheduleKind) {
  return std::array<std::string_view, 4>{"inverse_sqrt", "cosine", "linear", "constant"};
}

struct OptimizerConfig {
  OptimizerKind kind =
      OptimizerKind::kAdamW;  // adam adds the decay to the gradient; adamw (as fairseq) and radam decouple it
  double learning_rate = 1e-3;  // peak
  double beta1 = 0.9;
  double beta2 = 0.98;
  double epsilon = 1e-8;
  double weight_decay = 0.0;  // on all parameters, norms and biases included (fairseq)
  double clip_norm = 0.0;     // largest L2 norm of the whole gradient; 0: no clipping
  ScheduleKind schedule = ScheduleKind::kInverseSqrt;
  int64_t warmup = 4000;               // updates of linear warm-up
  double warmup_start = 0.0;           // learning rate of update 0
  double minimum_learning_rate = 0.0;  // where cosine and linear end

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("kind", self.kind, "adamw decouples the weight decay (as fairseq's adam), adam does not");
    field("learning_rate", self.learning_rate, "peak of the schedule");
    field("beta1", self.beta1, "decay of the first moment");
    field("beta2", self.beta2, "decay of the second moment");
    field("epsilon", self.epsilon, "added to the root of the second moment");
    field("weight_decay", self.weight_decay, "on all parameters");
    field("clip_norm", self.clip_norm, "largest L2 norm of the gradient; 0 = no clipping");
    field("schedule", self.schedule, "of the learning rate after the warm-up");
    field("warmup", self.warmup, "updates of linear warm-up");
    field("warmup_start", self.warmup_start, "learning rate of the first update");
    field("minimum_learning_rate", self.minimum_learning_rate, "where cosine and linear end");
  }
  bool operator==(const OptimizerConfig&) const = default;
};

struct ValidationConfig {
  int64_t every = 500;           // updates between validations; 0: only at the end
  bool bleu = true;              // translate the validation set and score it
  int64_t beam = 1;              // 1: greedy
  int64_t sentences = 0;         // of the set used for BLEU, or a language model's blocks; 0: all
  std::string experts = "auto";  // routing used: a dispatch mode (dispatch.h), or auto
  int64_t patience = 0;          // stop after so many validations without a better one; 0: never
  // bleu, loss or accuracy: what decides the best checkpoint and the patience.
  std::string best_by = "bleu";

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("every", self.every, "updates between validations; 0 = only at the end");
    field("bleu", self.bleu, "translate the validation set and score it; false for a language model");
    field("beam", self.beam, "beam width of that translation; 1 = greedy");
    field("sentences", self.sentences,
          "how many of the set are translated, or blocks of a language model; 0 = all");
    field("experts", self.experts,
          "routing used: sentence, token, position, batch, ensemble, path:..., router, k=K or "
          "k=K,K,...; auto = ensemble "
          "for random experts, token for uniform, else router");
    field("patience", self.patience, "stop after so many validations without a better one; 0 = never");
    field("best_by", self.best_by,
          "bleu, loss or accuracy; loss for a language model, accuracy for a classifier");
  }
  bool operator==(const ValidationConfig&) const = default;
};

// The parts of a training that have a fused form of our own and a plain libtorch twin.
//   products         of linear layers: attention's projections, and a plain feed_forward's
//   feed_forward     both products, activation and dropout, part by part
//   attention        scores, mask, softmax and mixing, head by head
//   residual         dropout, residual sum and norm in one pass
//   vocabulary_loss  projection to the vocabulary, softmaxes, losses and gradients, in chunks
//   passes           both passes of an objective as one batch
//   optimizer        clipping, Adam and clearing of gradients in one pass
//   memory           freed memory stays in the process
enum class FusedPart {
  kAll,
  kProducts,
  kFeedForward,
  kAttention,
  kResidual,
  kVocabularyLoss,
  kPasses,
  kOptimizer,
  kMemory
};
constexpr auto enum_names(FusedPart) {
  return std::array<std::string_view, 9>{"all",       "products",  "feed_forward",
                                         "attention", "residual",  "vocabulary_loss",
                                         "passes",    "optimizer", "memory"};
}

struct TrainConfig {
  std::string data = {};  // folder written by `megin prepare`
  std::string run = {};   // run directory, made here
  int64_t seed = 1;
  int64_t threads = 0;  // 0: all processors this process may use (cgroup quota respected)
  int64_t max_updates = 10000;
  int64_t max_epochs = 0;       // 0: no limit
  double max_minutes = 0;       // of training, validation included; 0: no limit (a resumed run counts on)
  int64_t batch_tokens = 4096;  // padded tokens of a micro-batch: longest side times sentences
  int64_t batch_sentences = 0;  // of a micro-batch at most; 0: no limit; not of a running text
  int64_t accumulate = 1;       // micro-batches of an update
  Method method = Method::kThor;
  ObjectiveConfig objective = {};
  RoutingConfig routing = {};
  MaskingConfig masking = {};
  OptimizerConfig optimizer = {};
  ValidationConfig validation = {};
  int64_t log_every = 50;           // updates between log lines
  int64_t checkpoint_every = 500;   // updates between checkpoints; 0: only at the end and on a signal
  int64_t keep_checkpoints = 5;     // newest ones kept beside the best
  int64_t average_checkpoints = 0;  // the model is the mean of so many newest checkpoints; 0, 1: no mean
  double average_decay = 0.0;  // exponential moving average of the weights, which validation and the model
                               // then use; 0: off
  // Parts that run as libtorch's own operations instead of the fused ones: slow, to compare with.
  std::vector<FusedPart> plain_operations = {};

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("data", self.data, "folder written by `megin prepare`");
    field("run", self.run, "run directory, made by `megin train`");
    field("seed", self.seed, "of every random draw");
    field("threads", self.threads, "0 = all processors this process may use");
    field("max_updates", self.max_updates, "updates of the optimiser");
    field("max_epochs", self.max_epochs, "passes over the data; 0 = no limit");
    field("max_minutes", self.max_minutes, "of training; 0 = no limit");
    field("batch_tokens", self.batch_tokens, "padded tokens of a micro-batch");
    field("batch_sentences", self.batch_sentences, "and most sentences of it; 0 = no limit");
    field("accumulate", self.accumulate, "micro-batches of an update");
    field("method", self.method, "sets passes, experts and dropout sharing");
    field("objective", self.objective, "the loss");
    field("routing", self.routing, "how routers are trained");
    field("masking", self.masking, "what a masked_lm is to restore");
    field("optimizer", self.optimizer, "the optimiser and its schedule");
    field("validation", self.validation, "what is measured, and how often");
    field("log_every", self.log_every, "updates between log lines");
    field("checkpoint_every", self.checkpoint_every, "updates between checkpoints; 0 = only at the end");
    field("keep_checkpoints", self.keep_checkpoints, "newest checkpoints kept beside the best");
    field("average_checkpoints", self.average_checkpoints,
          "the model is the mean of so many checkpoints; 0 = no mean");
    field("average_decay", self.average_decay, "moving average of the weights; 0 = off");
    field("plain_operations", self.plain_operations,
          "parts that run as libtorch's own operations instead of fused ones; slow");
  }
  bool operator==(const TrainConfig&) const = default;
};

// How often a side of a micro-batch is computed forward and backward: what a training costs. A pass forward
// alone is a third of one.
struct ComputedPasses {
  double source = 1;  // the encoder
  double target = 1;  // the decoder
};

// Of a model that is a mixture of `components` (1: none), which all look at a micro-batch before it trains
// them; with adversarial noise, the passes that look for it among them.
constexpr ComputedPasses computed_passes(const TrainConfig& config, int64_t components) {
  if (components > 1) {
    const auto looks = static_cast<double>(components);
    const bool soft = config.objective.expectation == Expectation::kSoft;
    return {.source = 1.0 + 1.0 / 3.0, .target = (soft ? looks : 1.0) + looks / 3.0};
  }
  const PerturbationConfig& perturbation = config.objective.perturbation;
  const bool searches = perturbation.kind == Perturbation::kAdversarial;
  const auto passes = static_cast<double>(config.objective.passes + (searches ? perturbation.steps : 0));
  return {.source = passes, .target = passes};
}

// Throws UsageError naming the first field that cannot be.
void check(const TrainConfig& config);

}  // namespace megin::config
