#include "train/complete_configuration.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "config/enums.h"
#include "train/longest_pairs.h"
#include "train/validation.h"

namespace megin::train {
namespace {

// Whether an id means the same piece on both sides, so that one table of vectors can serve them: two models
// of one vocabulary, as an imported Marian has them.
bool have_one_numbering(const text::SubwordModel& source, const text::SubwordModel& target) {
  if (source.size() != target.size()) return false;
  for (int32_t id = 0; id < source.size(); ++id) {
    if (source.piece(id) != target.piece(id)) return false;
  }
  return true;
}

// Data of another task than the recipe's, whose defaults went by that.
void check_task(const config::RunConfig& config, const data::PreparedData& data) {
  const bool classifies = data.task == config::Task::kClassification;
  if (!config::is_task_of(data.task, config.model)) {
    fail_usage("{}: was prepared for the task {}, and model.kind is {}", data.folder.string(),
               config::enum_name(data.task), config::enum_name(config.model.kind));
  }
  if (classifies != (config.data.task == config::Task::kClassification)) {
    fail_usage("{}: was prepared for the task {}, and data.task is {}", data.folder.string(),
               config::enum_name(data.task), config::enum_name(config.data.task));
  }
}

// What the first validation would refuse is refused before anything is trained.
void check_validation(const config::RunConfig& config) {
  try {
    const config::Dispatch dispatch = validation_dispatch(config.train, config.model);
    config::check(dispatch, config.model);
    const bool has_router = config.model.experts.count > 1 && !config::is_drawn(config.model.experts.router);
    if (has_router && dispatch.mode != config::DispatchMode::kRouter) {
      fail_usage("{}: wanted router (or auto), as the method has one; megin evaluate draws experts past it",
                 config::to_string(dispatch));
    }
  } catch (const UsageError& error) {
    fail_usage("train.validation.experts: {}", error.what());
  }
}

}  // namespace

void complete_configuration(config::RunConfig& config, const data::PreparedData& data) {
  check_task(config, data);
  if (config::is_masked_lm(config.model) && !data.target_subword->mask_id()) {
    fail_usage(
        "{}: wanted data whose vocabulary has a mask symbol, as model.kind is masked_lm, found none; prepare "
        "it again with this recipe (data.subword.mask_symbol true), into another data.output if others use "
        "it",
        data.folder.string());
  }
  const auto take = [](int64_t& field, int64_t found, const char* name) {
    if (field != 0 && field != found) {
      fail_usage("model.{} is {}, but the data's vocabulary has {} symbols; leave it 0 to take the data's",
                 name, field, found);
    }
    field = found;
  };
  take(config.model.source_vocabulary, data.source_vocabulary, "source_vocabulary");
  take(config.model.target_vocabulary, data.target_vocabulary, "target_vocabulary");
  const auto classes = static_cast<int64_t>(data.classes.size());
  if (config.model.classes != 0 && config.model.classes != classes) {
    fail_usage("model.classes is {}, but the data has {} classes ({}); leave it 0 to take the data's",
               config.model.classes, classes, fmt::join(data.classes, ", "));
  }
  config.model.classes = classes;
  config::check(config.model);
  if (!data.joint && config::shares_inputs(config.model) &&
      !have_one_numbering(*data.source_subword, *data.target_subword)) {
    fail_usage(
        "model.share_embeddings is {}, but source and target have vocabularies of their own; set it to "
        "decoder or none, or prepare the data with data.subword.joint=true",
        config::enum_name(config.model.share_embeddings));
  }
  if (data.train.size() == 0) fail("{}: the training set is empty", data.folder.string());
  check_lengths(data, config.model);
  check_validation(config);
}

}  // namespace megin::train
