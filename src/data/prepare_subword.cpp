#include "data/prepare_subword.h"

#include <algorithm>

#include "base/error.h"
#include "base/human_text.h"
#include "base/progress.h"
#include "base/random.h"
#include "config/enums.h"
#include "data/collect_pairs.h"

namespace megin::data {
namespace {

enum class Sides { kSource, kTarget, kBoth };

// Sentences of the sampled pairs, one at a time.
class Sample {
 public:
  Sample(const config::DataConfig& config, const PairSpool& train, Sides sides)
      : config_(config),
        reader_(train),
        sides_(sides),
        key_(draw_key(static_cast<uint64_t>(config.seed), Purpose::kSampling)) {
    const double pairs = static_cast<double>(train.size()) * (sides == Sides::kBoth ? 2 : 1);
    if (config.subword.sample > 0) share_ = std::min(1.0, static_cast<double>(config.subword.sample) / pairs);
    expected_ = static_cast<int64_t>(pairs * share_);
  }

  int64_t expected() const { return expected_; }

  bool next(std::string& sentence) {
    if (target_waits_) {
      target_waits_ = false;
      sentence = pair_.target;
      return true;
    }
    do {
      if (!reader_.next(pair_)) return false;
    } while (draw_uniform(key_, number_++) >= share_);
    target_waits_ = sides_ == Sides::kBoth;
    sentence = sides_ == Sides::kTarget
                   ? pair_.target
                   : std::string(without_tag(pair_.source, config_.corpora[pair_.corpus].tag));
    return true;
  }

 private:
  const config::DataConfig& config_;
  SpoolReader reader_;
  Sides sides_;
  uint64_t key_;
  double share_ = 1.0;
  int64_t expected_ = 0;
  uint64_t number_ = 0;
  SpooledPair pair_;
  bool target_waits_ = false;
};

text::SubwordModel train_on(const config::DataConfig& config, const PairSpool& train, Sides sides,
                            Console& console) {
  Sample sample(config, train, sides);
  text::SubwordTraining training{config.subword, {}};
  if (sides != Sides::kTarget) training.tags = language_tags(config);
  Progress progress({.label = "subwords", .unit = "sentences", .total = sample.expected()}, console);
  const auto next = [&](std::string& sentence) {
    if (!sample.next(sentence)) return false;
    progress.advance();
    return true;
  };
  const auto stage = [&](std::string_view what) { progress.set_tail(std::string(what)); };
  return text::SubwordModel::from_bytes(text::train_subword(training, next, stage), "the new subword model");
}

text::SubwordModel take_over(const std::string& path, const std::vector<std::string>& tags,
                             const config::DataConfig& data) {
  const config::SubwordConfig& config = data.subword;
  text::SubwordModel model{std::filesystem::path(path)};
  if (model.byte_vocabulary() != nullptr && data.task != config::Task::kClassification) {
    fail(
        "{}: wanted a SentencePiece model, found a vocabulary of bytes, which is for data.task bytes and "
        "classification",
        path);
  }
  if (config.mask_symbol && !model.mask_id()) {
    fail(
        "{}: this subword model has no mask symbol (<mask> or [MASK]), which a masked_lm needs; take one "
        "that "
        "was trained with data.subword.mask_symbol, or leave data.subword.model empty to train one",
        path);
  }
  for (const std::string& tag : tags) {
    if (!model.id(tag)) {
      fail(
          "{}: this subword model has no symbol \"{}\"; take one that was trained with it, or leave "
          "data.subword.model "
          "empty to train one",
          path, tag);
    }
  }
  for (const std::string& word : config.symbols) {
    if (const size_t symbols = model.encode(word).size(); symbols != 1) {
      fail(
          "{}: this subword model spells \"{}\" of data.subword.symbols in {} symbols; take one that was "
          "trained "
          "with it, or leave data.subword.symbols empty",
          path, word, symbols);
    }
  }
  return model;
}

}  // namespace

std::vector<std::string> language_tags(const config::DataConfig& config) {
  std::vector<std::string> tags;
  for (const auto* corpora : {&config.corpora, &config.split.valid, &config.split.test}) {
    for (const config::CorpusConfig& corpus : *corpora) {
      if (corpus.tag.empty() || std::find(tags.begin(), tags.end(), corpus.tag) != tags.end()) continue;
      if (!text::is_language_tag(corpus.tag)) {
        fail_usage("data.corpora.tag: wanted a tag like \"<2de>\", found \"{}\"", corpus.tag);
      }
      tags.push_back(corpus.tag);
    }
  }
  return tags;
}

SubwordPair make_subwords(const config::DataConfig& config, const PairSpool& train, Console& console) {
  const config::SubwordConfig& subword = config.subword;
  if (!subword.model.empty()) {
    const text::SubwordModel source = take_over(subword.model, language_tags(config), config);
    const text::SubwordModel target = subword.joint ? source : take_over(subword.target_model, {}, config);
    return {source, target, "taken over from a given model"};
  }
  std::string description = fmt::format("{}, trained here", config::enum_name(subword.kind));
  if (config.task != config::Task::kTranslation) {
    const bool labelled = config.task == config::Task::kClassification;  // what stands there first is text
    const text::SubwordModel model =
        train_on(config, train, labelled ? Sides::kSource : Sides::kTarget, console);
    return {model, model, std::move(description)};
  }
  if (subword.joint) {
    const text::SubwordModel model = train_on(config, train, Sides::kBoth, console);
    return {model, model, std::move(description)};
  }
  const text::SubwordModel source = train_on(config, train, Sides::kSource, console);
  return {source, train_on(config, train, Sides::kTarget, console), std::move(description)};
}

}  // namespace megin::data
