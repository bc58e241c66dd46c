#include "train/training.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <memory>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/human_text.h"
#include "base/processors.h"
#include "base/progress.h"
#include "base/stop_signal.h"
#include "config/active_schedule.h"
#include "config/enums.h"
#include "store/model_size.h"
#include "train/batches.h"
#include "train/complete_configuration.h"
#include "train/event_log.h"
#include "train/hash_tables.h"
#include "train/library_threads.h"
#include "train/run_directory.h"
#include "train/start_from.h"
#include "train/teacher.h"
#include "train/training_step.h"
#include "train/validation.h"

namespace megin::train {
namespace {

// One session of a run.
class Session {
 public:
  Session(config::RunConfig& config, const TrainingOptions& options, Console& console);
  TrainingResult run();

 private:
  bool restore();
  void publish_best();
  std::vector<int64_t> active_in(int64_t update) const;
  std::vector<double> active_of_interval() const;
  void log_end(const std::string& reason);
  void count_token_flops();
  void update();
  void take_time();
  void drop_time();
  void log_interval();
  void note(std::string_view line);
  bool is_to_validate() const;
  void validate_now();
  std::string reason_to_stop() const;  // empty: go on
  void finish(const std::string& reason);
  std::string describe() const;
  void save();
  double seconds_now() const { return seconds_before_ + clock_.steady_seconds() - started_; }

  config::RunConfig& config_;
  Console& console_;
  const Clock& clock_ = system_clock();
  data::PreparedData data_;
  ThreadPool pool_;
  TrainingState state_;
  store::TokenFlops token_flops_;
  std::unique_ptr<Teacher> teacher_;
  store::TokenFlops teacher_flops_ = {};
  std::vector<int64_t> active_ = {};  // experts of a token that these are of
  RunDirectory directory_;
  std::unique_ptr<data::BatchStream> stream_;
  TrainingStep step_;
  StopSignal stop_;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<Progress> progress_;
  double taken_ = 0;  // until when time was added to the interval, on the clock
  double cpu_taken_ = 0;
  double started_ = 0;         // of this session, on the clock
  double seconds_before_ = 0;  // of training in former sessions
  int64_t saved_ = -1;         // update of the last checkpoint
  int64_t tokens_at_start_ = 0;
};

// A distilled router's first stage is a tenth of the run, as long as that was when the run began.
void complete_first_stage(config::RunConfig& config, const TrainingOptions& options) {
  int64_t& first_stage = config.train.routing.first_stage;
  if (config.model.experts.router != config::RouterKind::kDistilled || first_stage > 0) return;
  const std::filesystem::path former = configuration_path(config.train.run);
  first_stage = options.resume && std::filesystem::exists(former)
                    ? config::load_run_config(former, {}).train.routing.first_stage
                    : std::clamp<int64_t>(config.train.max_updates / 10, 1,
                                          std::max<int64_t>(1, config.train.max_updates - 1));
}

data::PreparedData open_data(config::RunConfig& config, const TrainingOptions& options) {
  complete_first_stage(config, options);
  data::verify_prepared(config.train.data);
  data::PreparedData data = data::open_prepared(config.train.data);
  complete_configuration(config, data);
  return data;
}

int thread_count(const config::TrainConfig& config) {
  return config.threads > 0 ? static_cast<int>(config.threads) : usable_processors();
}

std::unique_ptr<Teacher> open_teacher(const config::RunConfig& config, const data::PreparedData& data) {
  const std::string& path = config.train.objective.teacher.model;
  return path.empty() ? nullptr : std::make_unique<Teacher>(path, data, config.model);
}

Session::Session(config::RunConfig& config, const TrainingOptions& options, Console& console)
    : config_(config),
      console_(console),
      data_(open_data(config, options)),
      pool_(thread_count(config.train)),
      state_(config),
      teacher_(open_teacher(config, data_)),
      directory_(config.train.run, config, data_),
      stream_(training_batches(config, data_)),
      step_(config.train, state_.model, pool_,
            {.memory = &state_.memory, .teacher = teacher_.get(), .teacher_memory = &state_.teacher_memory}) {
  set_library_threads(pool_.threads(), operations_of(config.train));
  const bool goes_on = options.resume && directory_.holds_run();
  const std::string& teacher = config.train.objective.teacher.model;
  if (goes_on) check_teacher(teacher, directory_.path());
  const bool restored = goes_on && restore();
  if (!restored) {
    const std::filesystem::path from =
        goes_on ? begun_from(directory_.path()) : std::filesystem::path(options.from);
    fill_hash_tables(data_, state_);
    if (!from.empty()) start_from(from, data_, state_, console_);
  }
  if (!goes_on) {
    directory_.start();
    if (!options.from.empty()) remember_start(options.from, directory_.path());
  }
  if (!restored && teacher_) remember_teacher(teacher, directory_.path());
  if (teacher_) teacher_flops_ = store::count_token_flops(teacher_->config(), teacher_->active(), 0);
  seconds_before_ = state_.progress.seconds;
  tokens_at_start_ = state_.progress.target_tokens;
  log_ = std::make_unique<EventLog>(directory_.path(), state_.progress);
}

bool Session::restore() {
  const std::string run = directory_.path().string();
  const bool restored = directory_.restore(state_, console_);
  directory_.write_configuration();
  if (!restored) {
    note(fmt::format("{} has no checkpoint to go on from: starting from the beginning", run));
    return false;
  }
  const ProgressRecord& progress = state_.progress;
  stream_->seek(progress.position);
  saved_ = progress.update;
  note(fmt::format("resuming {} after update {}", run, progress.update));
  // The former session may have been killed between saving and publishing.
  if (progress.best && progress.best->update == progress.update) publish_best();
  return true;
}

void Session::publish_best() {
  directory_.mark_best(state_.progress.update);
  directory_.publish(state_);
}

void Session::note(std::string_view line) {
  if (!console_.quiet()) console_.print(line);
}

std::string Session::describe() const {
  int64_t parameters = 0;
  for (const net::Parameter& p : state_.model.parameters().all()) parameters += p.size;
  const config::ModelConfig& model = state_.model.config();
  const std::string_view unit = config::is_classifier(model)        ? "sentences"
                                : !config::is_text(data_.task)      ? "pairs"
                                : config::has_end_marks(data_.task) ? "lines"
                                                                    : "pieces";
  const bool mixture = config::is_mixture(model);
  return fmt::format("{}: {:.2f} M parameters, {} {}, {} {}, {} batches an epoch, {} threads",
                     config::enum_name(config_.train.method), static_cast<double>(parameters) / 1e6,
                     mixture ? model.mixture.components : model.experts.count,
                     mixture ? "components" : "experts", data_.train.size(), unit, stream_->batches(),
                     pool_.threads());
}

// Experts that a token meets in the update after so many: in all layers, or in each of them.
std::vector<int64_t> Session::active_in(int64_t update) const {
  return config::active_by_layer_at(config_.train.routing, config_.model.experts, update,
                                    config_.train.max_updates, static_cast<uint64_t>(config_.train.seed),
                                    config::count_expert_layers(config_.model));
}

// The mean over the interval's updates; empty where the number stays. A schedule knows it of any update, so
// that no checkpoint has to.
std::vector<double> Session::active_of_interval() const {
  std::vector<double> mean;
  const ProgressRecord& progress = state_.progress;
  if (config_.train.routing.active_schedule == config::ActiveSchedule::kConstant) return mean;
  const auto layers = static_cast<size_t>(config::count_expert_layers(config_.model));
  const bool by_layer = config_.train.routing.active_schedule == config::ActiveSchedule::kRandomByLayer;
  mean.resize(by_layer ? layers : 1);
  for (int64_t u = progress.update - progress.interval.updates; u < progress.update; ++u) {
    const std::vector<int64_t> active = active_in(u);  // of an anchored update one number for all layers
    for (size_t i = 0; i < mean.size(); ++i) {
      mean[i] += static_cast<double>(active[std::min(i, active.size() - 1)]);
    }
  }
  for (double& of_layer : mean) of_layer /= static_cast<double>(progress.interval.updates);
  return mean;
}

// Of a token with as many experts as it meets in the next update.
void Session::count_token_flops() {
  const std::vector<int64_t> active = active_in(state_.progress.update);
  if (active == active_) return;
  active_ = active;
  token_flops_ = store::count_token_flops(config_.model, active, 0);
}

void Session::update() {
  count_token_flops();
  std::vector<data::TokenBatch> batches;
  for (int64_t i = 0; i < config_.train.accumulate; ++i) batches.push_back(stream_->next());
  const UpdateReport report = step_.run(batches, state_.progress.update, state_.optimizer);
  ++state_.progress.update;
  state_.progress.position = stream_->position();
  state_.progress.target_tokens += report.target_tokens;
  state_.progress.cost.flops += store::count_training_flops(
      token_flops_, config::computed_passes(config_.train, config_.model.mixture.components),
      report.source_tokens, report.target_tokens);
  constexpr config::ComputedPasses kForwardAlone{.source = 1.0 / 3.0, .target = 1.0 / 3.0};
  state_.progress.cost.flops +=
      store::count_training_flops(teacher_flops_, kForwardAlone, report.source_tokens, report.target_tokens);

  Interval& interval = state_.progress.interval;
  UpdateReport& sums = interval.sums;
  sums.sentences += report.sentences;
  sums.source_tokens += report.source_tokens;
  sums.target_tokens += report.target_tokens;
  sums.predictions += report.predictions;
  for (size_t p = 0; p < 2; ++p) {
    sums.cross_entropy[p] += report.cross_entropy[p];
    sums.nll[p] += report.nll[p];
  }
  sums.consistency += report.consistency;
  sums.distillation += report.distillation;
  for (size_t i = 0; i < report.routing.size(); ++i) {
    const RoutingReport& of = report.routing[i];  // the same layers in every update
    if (i == sums.routing.size()) {
      sums.routing.push_back({.mixture = of.mixture, .stack = of.stack, .layer = of.layer});
    }
    sums.routing[i].add(of);
  }
  sums.gradient_norm = report.gradient_norm;
  sums.learning_rate = report.learning_rate;
  ++interval.updates;
}

// Gives the time since the last call of this or of drop_time() to the interval and to the run.
void Session::take_time() {
  Interval& interval = state_.progress.interval;
  TrainingCost& cost = state_.progress.cost;
  const double seconds = clock_.steady_seconds() - taken_;
  const double cpu_seconds = process_usage().cpu_seconds - cpu_taken_;
  interval.seconds += seconds;
  interval.cpu_seconds += cpu_seconds;
  cost.seconds += seconds;
  cost.cpu_seconds += cpu_seconds;
  drop_time();
}

// Gives it to nothing: validating and saving are not training's speed.
void Session::drop_time() {
  taken_ = clock_.steady_seconds();
  cpu_taken_ = process_usage().cpu_seconds;
}

void Session::log_interval() {
  take_time();
  Interval& interval = state_.progress.interval;
  interval.seconds = std::max(1e-9, interval.seconds);
  log_->updated(state_.progress, {.dropout_rates = learned_dropout_rates(state_.model),
                                  .active_experts = active_of_interval()});
  const double tokens = static_cast<double>(std::max<int64_t>(1, interval.sums.target_tokens));
  const std::string_view dot = console_.unicode() ? " · " : ", ";
  const double predictions = static_cast<double>(std::max<int64_t>(1, interval.sums.predictions));
  progress_->set_tail(fmt::format("loss {:.3f}{}{} tok/s{}{} MiB", interval.sums.nll[0] / predictions, dot,
                                  human_rate(tokens / interval.seconds), dot,
                                  process_usage().resident_bytes >> 20));
}

void Session::save() {
  if (saved_ == state_.progress.update) return;
  take_time();
  state_.progress.seconds = seconds_now();
  directory_.save(state_);
  saved_ = state_.progress.update;
  drop_time();
}

bool Session::is_to_validate() const {
  return data_.valid.size() > 0 && state_.progress.last_validation != state_.progress.update;
}

void Session::validate_now() {
  ProgressRecord& progress = state_.progress;
  if (!is_to_validate()) return;
  take_time();
  const ValidationResult result = validate(state_, data_, config_.train, pool_);
  drop_time();
  log_->validated(progress, result);
  if (!result.routes.empty()) {
    store::write_routing_snapshot(directory_.path(), {.update = progress.update, .layers = result.routes});
  }
  const BestValidation found{.update = progress.update,
                             .loss = result.loss,
                             .bleu = result.bleu,
                             .accuracy = share_of(result.accuracy)};
  const bool better = !progress.best || merit(found, config_.train.validation) >
                                            merit(*progress.best, config_.train.validation);
  progress.last_validation = progress.update;
  progress.validations_without_best = better ? 0 : progress.validations_without_best + 1;
  if (better) progress.best = found;
  saved_ = -1;  // the record of the validation belongs into the checkpoint of this update
  if (better) {
    save();
    publish_best();
  }
  std::string line = fmt::format("update {}: valid loss {:.3f}", progress.update, result.loss);
  if (result.accuracy) {
    line += fmt::format(", accuracy {:.2f} %", 100 * result.accuracy->share());
  } else {
    line += fmt::format(", perplexity {:.2f}", std::exp(result.loss));
  }
  if (result.word_perplexity) line += fmt::format(" ({:.2f} a word)", *result.word_perplexity);
  if (result.bits_per_token) line += fmt::format(", {:.3f} bits a masked token", *result.bits_per_token);
  if (result.bits_per_byte) line += fmt::format(", {:.3f} bits a byte", *result.bits_per_byte);
  if (result.bleu) line += fmt::format(", BLEU {:.2f} ({})", *result.bleu, result.search);
  note(fmt::format("{}, experts {}, {:.1f} s{}", line, result.routing, result.seconds,
                   better ? ", best" : ""));
  drop_time();
}

std::string Session::reason_to_stop() const {
  const config::TrainConfig& train = config_.train;
  if (state_.progress.update >= train.max_updates) return "max_updates";
  if (train.max_epochs > 0 && state_.progress.position.epoch >= train.max_epochs) return "max_epochs";
  if (train.max_minutes > 0 && seconds_now() >= 60 * train.max_minutes) return "max_minutes";
  if (train.validation.patience > 0 &&
      state_.progress.validations_without_best >= train.validation.patience) {
    return "patience";
  }
  return StopSignal::requested() ? "signal" : "";
}

// Of a schedule that is as long as the run, where something else ended that, also what it had come to.
void Session::log_end(const std::string& reason) {
  config::RoutingConfig routing = config_.train.routing;
  const int64_t update = state_.progress.update;
  nlohmann::json facts = {{"reason", reason}};
  if (reason != "max_updates" && config::is_as_long_as_run(routing.active_schedule)) {
    routing.anchor = 0;  // the schedule's own number, whether or not the last update kept to it
    const int64_t last = config_.train.max_updates;
    const int64_t active =
        config::active_experts_at(routing, config_.model.experts, std::max<int64_t>(0, update - 1), last,
                                  static_cast<uint64_t>(config_.train.seed));
    note(
        fmt::format("{} ended the training after {} of {} updates (train.max_updates): a token had come to "
                    "{} of {} experts (train.routing.active_schedule {})",
                    reason, update, last, active, config_.model.experts.active,
                    config::enum_name(routing.active_schedule)));
    facts["active_experts"] = active;
    facts["max_updates"] = last;
  }
  log_->ended(update, facts);
}

void Session::finish(const std::string& reason) {
  const bool interrupted = reason == "signal";
  if (!interrupted && is_to_validate()) {
    save();  // a validation that fails costs no training; what it finds goes into the same checkpoint
    validate_now();
  }
  // The interval stays open: a session that goes on takes this line back, and writes it again behind the
  // validation, which stays.
  if (state_.progress.interval.updates > 0) log_interval();
  save();
  if (!interrupted && config_.train.average_checkpoints > 1) {
    const int64_t count = directory_.publish_mean(state_, config_.train.average_checkpoints);
    note(fmt::format("model: the mean of the last {} checkpoints", count));
  } else if (!std::filesystem::exists(directory_.model_path())) {
    directory_.publish(state_);
  }
  log_end(reason);
}

TrainingResult Session::run() {
  note(describe());
  log_->started({{"update", state_.progress.update}, {"threads", pool_.threads()}, {"facts", describe()}});
  started_ = clock_.steady_seconds();
  drop_time();
  progress_ = std::make_unique<Progress>(ProgressOptions{.label = "train",
                                                         .unit = "updates",
                                                         .total = config_.train.max_updates,
                                                         .start = state_.progress.update},
                                         console_);
  const auto every = [&](int64_t interval) { return interval > 0 && state_.progress.update % interval == 0; };
  std::string reason = reason_to_stop();
  while (reason.empty()) {
    update();
    progress_->set(state_.progress.update);
    if (every(config_.train.log_every)) {
      log_interval();
      state_.progress.interval = {};
    }
    if (every(config_.train.validation.every)) validate_now();
    if (every(config_.train.checkpoint_every)) save();
    reason = reason_to_stop();
  }
  finish(reason);
  progress_.reset();
  const double seconds = std::max(1e-9, clock_.steady_seconds() - started_);
  return {.update = state_.progress.update,
          .reason = reason,
          .interrupted = reason == "signal",
          .best = state_.progress.best,
          .model = directory_.model_path().string(),
          .seconds = state_.progress.seconds,
          .target_tokens_per_second =
              static_cast<double>(state_.progress.target_tokens - tokens_at_start_) / seconds};
}

}  // namespace

TrainingResult run_training(config::RunConfig config, const TrainingOptions& options, Console& console) {
  if (operations_of(config.train).fused(config::FusedPart::kMemory)) keep_freed_memory();
  return Session(config, options, console).run();
}

}  // namespace megin::train
