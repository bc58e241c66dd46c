#include "train/perturbation.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "objective/vocabulary_loss.h"
#include "text/vocabulary.h"
#include "train/predictions.h"

namespace megin::train {
namespace {

// The sides of a batch.
enum Side : uint64_t { kSource = 0, kTarget = 1 };

// draw(key, element) for every number of a side's embeddings; zero on padding.
template <typename Draw>
at::Tensor draw_side(Side side, const data::TokenBatch& batch, int64_t width,
                     const net::ForwardContext& context, const Draw& draw) {
  const std::vector<int32_t>& tokens = side == kSource ? batch.source : batch.target_input;
  const at::Tensor noise =
      at::zeros({batch.sentences, static_cast<int64_t>(tokens.size()) / batch.sentences, width}, at::kFloat);
  const uint64_t key = draw_key(context.seed, Purpose::kPerturbation,
                                {context.update, context.micro_batch,
                                 static_cast<uint64_t>(context.first_pass), static_cast<uint64_t>(side)});
  float* const to = noise.data_ptr<float>();
  for (size_t token = 0; token < tokens.size(); ++token) {
    if (tokens[token] == text::kPadId) continue;
    for (uint64_t i = 0; i < static_cast<uint64_t>(width); ++i) {
      const uint64_t element = token * static_cast<uint64_t>(width) + i;
      to[element] = static_cast<float>(draw(key, element));
    }
  }
  return noise;
}

template <typename Draw>
model::EmbeddingNoise draw_sides(const config::PerturbationConfig& config, const data::TokenBatch& batch,
                                 const model::Transformer& model, const net::ForwardContext& context,
                                 const Draw& draw) {
  const int64_t width = model.config().width;
  const bool has_source = config::has_encoder(model.config());
  const bool has_target = config::has_decoder(model.config());
  model::EmbeddingNoise noise;
  if (has_source) noise.source = draw_side(kSource, batch, width, context, draw);
  if (has_target && (config.target || !has_source)) {
    noise.target = draw_side(kTarget, batch, width, context, draw);
  }
  return noise;
}

// [sentences, 1, 1]: the L2 norm over a side of each sentence. Summed one dimension at a time, in an order
// that no number of threads changes.
at::Tensor norms(const at::Tensor& noise) {
  return noise.square().sum(2, true).sum(1, true).sqrt();
}

// One step of ascent, and back into the ball.
at::Tensor stepped(const at::Tensor& noise, const at::Tensor& gradient,
                   const config::PerturbationConfig& config) {
  constexpr double kLeastNorm = 1e-6;
  const at::Tensor direction =
      config.normalised ? gradient / norms(gradient).clamp_min(kLeastNorm) : gradient;
  const at::Tensor moved = noise + direction * config.step_size;
  return moved * (config.size / norms(moved).clamp_min(kLeastNorm)).clamp_max(1.0);
}

}  // namespace

model::EmbeddingNoise draw_noise(const config::PerturbationConfig& config, const data::TokenBatch& batch,
                                 const model::Transformer& model, const net::ForwardContext& context) {
  const bool normal = config.kind == config::Perturbation::kNormal;
  return draw_sides(config, batch, model, context, [&](uint64_t key, uint64_t element) {
    return config.size * (normal ? draw_normal(key, element) : 2.0 * draw_uniform(key, element) - 1.0);
  });
}

model::EmbeddingNoise find_adversarial_noise(const config::PerturbationConfig& config,
                                             const data::TokenBatch& batch, const model::Transformer& model,
                                             const net::ForwardContext& context, const at::Tensor& first) {
  model::EmbeddingNoise noise =
      draw_sides(config, batch, model, context,
                 [&](uint64_t key, uint64_t element) { return config.start * draw_normal(key, element); });
  const objective::VocabularyLossWeights weights{
      .label_smoothing = 0, .cross_entropy = {0, 0}, .consistency = 1, .fixed_first = true};
  for (int64_t step = 0; step < config.steps; ++step) {
    std::vector<at::Tensor> sides;
    for (at::Tensor* const side : {&noise.source, &noise.target}) {
      if (!side->defined()) continue;
      *side = side->detach().requires_grad_(true);
      sides.push_back(*side);
    }
    const at::Tensor states = at::cat({first.detach(), model.forward(batch, context, nullptr, noise)});
    const at::Tensor output_weight = model.output_weight().detach(), none;
    const at::Tensor output_bias = model.output_bias().defined() ? model.output_bias().detach() : none;
    const Predictions predictions = predictions_of(model, states, batch, 2, context.operations);
    const auto loss = objective::chunked_vocabulary_loss({.states = predictions.states,
                                                          .output_weight = output_weight,
                                                          .targets = predictions.targets,
                                                          .passes = 2,
                                                          .output_bias = output_bias},
                                                         weights);
    const auto gradients = torch::autograd::grad({loss.total}, sides);
    size_t next = 0;
    for (at::Tensor* const side : {&noise.source, &noise.target}) {
      if (side->defined()) *side = stepped(side->detach(), gradients[next++], config);
    }
  }
  return noise;
}

}  // namespace megin::train
