#include "train/hash_tables.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "routing/hash_router.h"
#include "text/vocabulary.h"

namespace megin::train {
namespace {

struct Frequencies {
  std::vector<int64_t> source, target;
};

Frequencies count_symbols(const data::PreparedData& data, const config::ModelConfig& model) {
  Frequencies counts{.source = std::vector<int64_t>(static_cast<size_t>(model.source_vocabulary)),
                     .target = std::vector<int64_t>(static_cast<size_t>(model.target_vocabulary))};
  const bool end_marks = config::has_end_marks(data.task);
  const auto count = [end_marks](std::vector<int64_t>& counted, std::span<const int32_t> tokens) {
    for (const int32_t token : tokens) ++counted.at(static_cast<size_t>(token));
    if (end_marks) ++counted.at(text::kEndId);
  };
  for (int64_t i = 0; i < data.train.size(); ++i) {
    const data::Example example = data.train.example(i);
    if (data.task != config::Task::kClassification) count(counts.source, example.source);  // else a class
    count(counts.target, example.target);
  }
  return counts;
}

}  // namespace

void fill_hash_tables(const data::PreparedData& data, TrainingState& state) {
  const config::ModelConfig& model = state.model.config();
  if (model.experts.count == 1 || model.experts.router != config::RouterKind::kHash) return;
  const Frequencies counts = count_symbols(data, model);
  const bool of_pairs = !config::is_language_model(model);
  net::ParameterMemory& parameters = state.model.parameters();
  for (const net::Parameter& parameter : parameters.all()) {
    if (!parameter.name.ends_with("router.table")) continue;
    constexpr uint64_t kSeed = 1;  // the table is a part of the method, not of the run's draws
    const bool source = parameter.name.starts_with("encoder.");
    const bool by_position = model.experts.hash == config::HashTable::kPosition;
    const auto table =
        by_position
            ? routing::position_table(source ? config::Stack::kEncoder : config::Stack::kDecoder,
                                      model.max_length, model.experts, kSeed)
            : routing::hash_table(model.experts.hash, of_pairs && source ? counts.source : counts.target,
                                  model.experts.count, kSeed);
    const auto values = parameters.values_of(parameter);
    std::ranges::transform(table, values.begin(), [](int64_t e) { return static_cast<float>(e); });
    if (!state.optimizer.average.empty()) {
      std::ranges::copy(values, state.optimizer.average.begin() + parameter.offset);
    }
  }
}

}  // namespace megin::train
