#include "train/run_directory.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "config/active_schedule.h"
#include "config/enums.h"
#include "net/initialisation.h"
#include "store/averaging.h"
#include "store/checkpoint.h"
#include "store/model_directory.h"
#include "store/routing_snapshot.h"
#include "train/kept_memory.h"

namespace megin::train {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConfigFile = "config.yaml";

// Keys that may change between the sessions of one run: none of them changes what an update does (but see
// is_free).
constexpr std::array<std::string_view, 12> kFreeKeys = {
    "/train/data", "/train/run", "/train/threads", "/train/max_updates", "/train/max_epochs",
    "/train/max_minutes",
    // Where it lies; that it is the same, teacher.h sees.
    "/train/objective/teacher/model", "/train/validation", "/train/log_every", "/train/checkpoint_every",
    "/train/keep_checkpoints", "/train/average_checkpoints"};

bool is_free(const std::string& key, const config::TrainConfig& train) {
  // Some schedules are as long as the run.
  const config::ScheduleKind schedule = train.optimizer.schedule;
  const bool ends = schedule == config::ScheduleKind::kCosine || schedule == config::ScheduleKind::kLinear ||
                    config::is_as_long_as_run(train.routing.active_schedule);
  if (key == "/train/max_updates" && ends) return false;
  return std::ranges::any_of(kFreeKeys, [&](std::string_view free) { return key.starts_with(free); });
}

// All of these are tensors of checkpoints beside the parameters.
template <typename Float>  // float, or const float of a state that is only read
struct NamedMemory {
  std::string_view prefix;
  std::span<Float> memory;
};

template <typename Float, typename State>
std::vector<NamedMemory<Float>> memories(State& state) {
  std::vector<NamedMemory<Float>> all = {{store::kValuePrefix, state.model.parameters().values()},
                                         {store::kFirstMomentPrefix, state.optimizer.first_moments},
                                         {store::kSecondMomentPrefix, state.optimizer.second_moments}};
  if (!state.optimizer.average.empty()) all.push_back({store::kAveragePrefix, state.optimizer.average});
  return all;
}

}  // namespace

TrainingState::TrainingState(const config::RunConfig& config)
    : model(config.model, config.train.routing), optimizer(model, config.train) {
  net::initialise(model.parameters(), config.model, static_cast<uint64_t>(config.train.seed));
  if (!optimizer.average.empty()) std::ranges::copy(model.parameters().values(), optimizer.average.begin());
}

std::span<const float> TrainingState::served_values() const {
  if (!optimizer.average.empty()) return optimizer.average;
  return model.parameters().values();
}

std::vector<store::TensorView> tensor_views(const net::ParameterMemory& layout, std::span<const float> memory,
                                            std::string_view prefix) {
  std::vector<store::TensorView> views;
  for (const net::Parameter& p : layout.all()) {
    views.push_back(
        store::float_tensor(std::string(prefix) + p.name, p.shape, memory.subspan(p.offset, p.size)));
  }
  return views;
}

RunDirectory::RunDirectory(fs::path path, const config::RunConfig& config, const data::PreparedData& data)
    : path_(std::move(path)), config_(config), data_(data) {}

std::filesystem::path configuration_path(const std::filesystem::path& run) {
  return run / kConfigFile;
}

bool RunDirectory::holds_run() const {
  return fs::exists(path_ / kConfigFile);
}

void RunDirectory::start() {
  if (holds_run()) {
    fail(
        "{}: already holds a training run; add --resume to continue it, or choose another folder with "
        "--set train.run=FOLDER",
        path_.string());
  }
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) fail("{}: cannot make the run directory: {}", path_.string(), error.message());
  lock_.emplace(path_);
  write_configuration();
}

void RunDirectory::write_configuration() const {
  write_file_atomically(path_ / kConfigFile, config::to_yaml(config_));
}

void RunDirectory::require_same_configuration() const {
  const config::RunConfig former = config::load_run_config(path_ / kConfigFile, {});
  const nlohmann::json before = nlohmann::json(config::run_to_json(former)).flatten();
  const nlohmann::json now = nlohmann::json(config::run_to_json(config_)).flatten();
  std::vector<std::string> changes;
  for (const auto& [key, value] : now.items()) {
    if (key.starts_with("/data") || is_free(key, config_.train)) continue;
    if (before.contains(key) && before.at(key) == value) continue;
    std::string name = key.substr(1);
    std::ranges::replace(name, '/', '.');
    changes.push_back(fmt::format("{} was {}, now {}", name,
                                  before.contains(key) ? before.at(key).dump() : "not there", value.dump()));
  }
  if (changes.empty()) return;
  fail_usage(
      "{}: a resumed run keeps its settings, but {}; use the same configuration, or start a new run with "
      "--set train.run=FOLDER",
      path_.string(), fmt::join(changes, "; "));
}

void RunDirectory::set_aside(int64_t update) const {
  const fs::path directory = store::checkpoint_directory(path_, update);
  fs::path aside = directory;
  aside += ".damaged";
  std::error_code error;
  fs::remove_all(aside, error);
  fs::rename(directory, aside, error);
  if (error)
    fail("{}: cannot rename this damaged checkpoint: {}; remove it", directory.string(), error.message());
}

// What a killed session was writing.
void RunDirectory::remove_leftovers() const {
  std::vector<fs::path> leftovers;
  for (const fs::path& folder : {path_, path_ / store::kRoutingFolder}) {
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().string().find(".tmp") != std::string::npos) {
        leftovers.push_back(entry.path());
      }
    }
  }
  std::error_code ignored;
  for (const fs::path& leftover : leftovers) fs::remove_all(leftover, ignored);
}

bool RunDirectory::restore(TrainingState& state, Console& console) {
  if (!holds_run()) return false;
  lock_.emplace(path_);
  require_same_configuration();
  remove_leftovers();
  const auto checkpoint = store::newest_good_checkpoint(path_, [&](int64_t update, const std::string& what) {
    console.print(
        fmt::format("warning: damaged checkpoint, set aside as update-{}.damaged: {}", update, what));
    set_aside(update);
  });
  if (!checkpoint) return false;
  const std::string where = checkpoint->directory.string();
  const std::string fingerprint = checkpoint->state.value("data", "");
  if (fingerprint != data_.fingerprint) {
    fail(
        "{}: this run was trained on other data than {} (its fingerprint differs); point train.data to the "
        "folder that the run was started with",
        where, data_.folder.string());
  }
  for (const auto& part : memories<float>(state)) {
    for (const net::Parameter& p : state.model.parameters().all()) {
      const store::TensorView& tensor = checkpoint->tensors.at(std::string(part.prefix) + p.name);
      if (tensor.shape != p.shape) {
        fail("{}: tensor {} has shape {}, wanted {}; the checkpoint is of another model", where, tensor.name,
             store::shape_text(tensor.shape), store::shape_text(p.shape));
      }
      const std::span<const float> values = store::float_values(tensor);
      std::ranges::copy(values, part.memory.begin() + p.offset);
    }
  }
  state.memory = kept_memory(checkpoint->tensors, store::kMemoryPrefix);
  state.teacher_memory = kept_memory(checkpoint->tensors, store::kTeacherMemoryPrefix);
  state.progress = progress_from_json(checkpoint->state.value("progress", nlohmann::json::object()), where);
  const auto steps = checkpoint->state.value("segment_steps", std::vector<int64_t>());
  if (steps.size() != state.optimizer.segments.size()) {
    fail(
        "{}: the optimiser's state does not fit this model; remove this checkpoint to continue from the one "
        "before",
        where);
  }
  for (size_t i = 0; i < steps.size(); ++i) state.optimizer.segments[i].steps = steps[i];
  return true;
}

void RunDirectory::save(const TrainingState& state) const {
  std::vector<store::TensorView> tensors;
  for (const auto& part : memories<const float>(state)) {
    auto views = tensor_views(state.model.parameters(), part.memory, part.prefix);
    std::ranges::move(views, std::back_inserter(tensors));
  }
  std::ranges::move(memory_views(state.memory, store::kMemoryPrefix), std::back_inserter(tensors));
  std::ranges::move(memory_views(state.teacher_memory, store::kTeacherMemoryPrefix),
                    std::back_inserter(tensors));
  std::vector<int64_t> steps;
  for (const optim::Segment& segment : state.optimizer.segments) steps.push_back(segment.steps);
  store::write_checkpoint(
      path_, state.progress.update,
      {.tensors = tensors,
       .state = {
           {"progress", to_json(state.progress)}, {"segment_steps", steps}, {"data", data_.fingerprint}}});
  std::vector<int64_t> kept;
  if (state.progress.best) kept.push_back(state.progress.best->update);
  store::prune_checkpoints(path_, std::max<int64_t>(1, config_.train.keep_checkpoints), kept);
}

void RunDirectory::mark_best(int64_t update) const {
  const fs::path target = fs::relative(store::checkpoint_directory(path_, update), path_);
  const fs::path link = path_ / "best", fresh = path_ / "best.new";
  std::error_code error;
  fs::remove(fresh, error);
  fs::create_directory_symlink(target, fresh, error);
  if (!error) fs::rename(fresh, link, error);
  if (error) fail("{}: cannot point it at {}: {}", link.string(), target.string(), error.message());
}

void RunDirectory::write_model(const TrainingState& state, std::span<const store::TensorView> tensors,
                               std::vector<std::string> averaged) const {
  store::ModelDescription description{.model = config_.model,
                                      .source_language = data_.source_language,
                                      .target_language = data_.target_language,
                                      .tags = {},
                                      .classes = data_.classes,
                                      .provenance = {}};
  std::set<std::string> tags;
  for (const auto& corpus : config_.data.corpora) {
    if (!corpus.tag.empty()) tags.insert(corpus.tag);
  }
  description.tags.assign(tags.begin(), tags.end());
  store::Provenance& from = description.provenance;
  from.method = std::string(config::enum_name(config_.train.method));
  from.updates = state.progress.update;
  from.seeds = {static_cast<uint64_t>(config_.train.seed)};
  from.data_checksum = data_.fingerprint;
  from.averaged = std::move(averaged);
  if (state.progress.best) {
    from.scores["valid_loss"] = state.progress.best->loss;
    if (state.progress.best->bleu) from.scores["valid_bleu"] = *state.progress.best->bleu;
    if (state.progress.best->accuracy) from.scores["valid_accuracy"] = *state.progress.best->accuracy;
  }
  const fs::path source = path_ / "subword.source.tmp", target = path_ / "subword.target.tmp";
  write_file_atomically(source, data_.source_subword->bytes());
  if (!data_.joint) write_file_atomically(target, data_.target_subword->bytes());
  store::write_model_directory(model_path(), description, tensors, {source, data_.joint ? source : target});
  fs::remove(source);
  if (!data_.joint) fs::remove(target);
}

void RunDirectory::publish(const TrainingState& state) const {
  write_model(state, tensor_views(state.model.parameters(), state.served_values(), ""), {});
}

int64_t RunDirectory::publish_mean(const TrainingState& state, int64_t count) const {
  const auto checkpoints = store::newest_good_checkpoints(path_, count, [](int64_t, const std::string&) {});
  std::vector<store::WeightSource> sources;
  std::vector<std::string> names;
  for (const store::Checkpoint& checkpoint : checkpoints) {
    sources.push_back({&checkpoint.tensors, std::string(store::kValuePrefix)});
    names.push_back(checkpoint.directory.filename().string());
  }
  const auto mean = store::average_weights(sources);
  write_model(state, store::views(mean), std::move(names));
  return static_cast<int64_t>(checkpoints.size());
}

}  // namespace megin::train
