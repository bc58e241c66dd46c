#include "train/batches.h"

#include "data/block_stream.h"
#include "data/lane_stream.h"
#include "data/masked_stream.h"
#include "data/pair_stream.h"

namespace megin::train {
namespace {

// Of a classifier how it reads a sentence; nothing of models that read pairs.
data::SentenceReading reading_of(const config::ModelConfig& model) {
  if (!config::is_classifier(model)) return {};
  return {.most = model.max_length, .masked = config::is_masked_lm(model)};
}

}  // namespace

std::unique_ptr<data::BatchStream> training_batches(const config::RunConfig& config,
                                                    const data::PreparedData& data) {
  const config::TrainConfig& train = config.train;
  const auto seed = static_cast<uint64_t>(train.seed);
  if (!config::is_text(data.task)) {
    return std::make_unique<data::PairStream>(data.train,
                                              data::PairStreamOptions{.max_tokens = train.batch_tokens,
                                                                      .max_sentences = train.batch_sentences,
                                                                      .classified = reading_of(config.model),
                                                                      .seed = seed,
                                                                      .shuffle = true,
                                                                      .corpus_weights = data.corpus_weights});
  }
  if (config::has_memory(config.model)) {
    return std::make_unique<data::LaneStream>(
        data.train, data::LaneStreamOptions{.block_tokens = config.model.max_length,
                                            .max_tokens = train.batch_tokens,
                                            .end_marks = config::has_end_marks(data.task)});
  }
  if (config::is_masked_lm(config.model)) {
    return std::make_unique<data::MaskedStream>(
        data.train,
        data::MaskedStreamOptions{.row_tokens = config.model.max_length,
                                  .max_tokens = train.batch_tokens,
                                  .seed = seed,
                                  .shuffle = true},
        text::Masking(train.masking, *data.target_subword, seed));
  }
  return std::make_unique<data::BlockStream>(
      data.train, data::BlockStreamOptions{.block_tokens = config.model.max_length,
                                           .max_tokens = train.batch_tokens,
                                           .seed = seed,
                                           .shuffle = true,
                                           .end_marks = config::has_end_marks(data.task)});
}

std::unique_ptr<data::BatchStream> validation_batches(const config::TrainConfig& train,
                                                      const config::ModelConfig& model,
                                                      const data::PreparedData& data) {
  if (!config::is_text(data.task)) {
    return std::make_unique<data::PairStream>(data.valid,
                                              data::PairStreamOptions{.max_tokens = train.batch_tokens,
                                                                      .classified = reading_of(model),
                                                                      .seed = 0,
                                                                      .shuffle = false,
                                                                      .corpus_weights = {}});
  }
  if (config::has_memory(model)) {
    return std::make_unique<data::LaneStream>(
        data.valid, data::LaneStreamOptions{.block_tokens = config::evaluation_segments(model).block,
                                            .max_tokens = train.batch_tokens,
                                            .lane_tokens = config::kEvaluationPart,
                                            .tokens = train.validation.sentences * model.max_length,
                                            .end_marks = config::has_end_marks(data.task)});
  }
  if (config::is_masked_lm(model)) {
    return std::make_unique<data::MaskedStream>(
        data.valid,
        data::MaskedStreamOptions{.row_tokens = model.max_length,
                                  .max_tokens = train.batch_tokens,
                                  .seed = 0,
                                  .shuffle = false,
                                  .rows = train.validation.sentences},
        text::Masking(train.masking, *data.target_subword, text::kEvaluationMaskSeed));
  }
  return std::make_unique<data::BlockStream>(
      data.valid, data::BlockStreamOptions{.block_tokens = model.max_length,
                                           .max_tokens = train.batch_tokens,
                                           .seed = 0,
                                           .shuffle = false,
                                           .blocks = train.validation.sentences,
                                           .end_marks = config::has_end_marks(data.task)});
}

}  // namespace megin::train
