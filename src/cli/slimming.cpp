#include "cli/slimming.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/processors.h"
#include "cli/label_loss.h"
#include "config/dispatch.h"
#include "runtime/masked_model.h"
#include "store/model_size.h"
#include "text/vocabulary.h"

namespace megin::cli {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

Budget parse_budget(const std::string& text) {
  if (text.empty()) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  const bool right = error == std::errc() && value > 0;
  if (right && unit == "ms") return {.milliseconds = value};
  if (right && unit == "s") return {.milliseconds = 1000 * value};
  if (right && unit == "%" && value <= 100) return {.share = value / 100};
  fail_usage(
      "--budget: wanted a time for a token, as 20ms or 0.5s, or a share of the FLOPs, as 60%; found '{}'",
      text);
}

std::vector<int64_t> numbers_of_experts(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t k = 1; k < count; k *= 2) numbers.push_back(k);
  numbers.push_back(count);
  return numbers;
}

runtime::Transformer with_experts(const runtime::ModelBundle& bundle, std::vector<int64_t> active,
                                  bool scaled) {
  return {bundle.weights,
          {.mode = config::DispatchMode::kRouter, .active = std::move(active), .scaled = scaled}};
}

runtime::LineEncoder line_encoder(const AnalysisOptions& options, const runtime::ModelBundle& bundle) {
  return {bundle.source,
          {.max_tokens = bundle.weights->config.max_length,
           .tag = options.tag,
           .warn = [](const std::string& text) { spdlog::warn(text); }}};
}

Sample read_sample(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                   const runtime::LineEncoder& encoder) {
  constexpr size_t kMostTokens = 64;
  const auto most = std::min(kMostTokens, static_cast<size_t>(bundle.weights->config.max_length));
  const bool masked = config::is_masked_lm(bundle.weights->config);
  Sample sample{.source = {}, .tokens = {masked ? text::kBeginId : text::kEndId}};
  const auto add = [&](const std::string& line) {
    for (const int32_t token : bundle.target.encode(line)) sample.tokens.push_back(token);
    sample.tokens.push_back(text::kEndId);
  };
  if (!options.files.labels.path.empty()) {
    const auto lines = open_labels(options.files.labels);
    for (text::Pair pair; sample.tokens.size() <= 2 && lines->next(pair);) {
      sample.tokens.resize(1);
      add(pair.source);
    }
  } else if (!options.files.text.empty()) {
    text::LineReader lines(options.files.text);
    for (std::string line; sample.tokens.size() < most && lines.next(line);) add(line);
  } else {
    PairReader reader(options.files);
    TestPairs pairs;
    reader.next(pairs);
    for (size_t i = 0; i < pairs.sources.size() && sample.tokens.size() < 2; ++i) {
      sample.source = {};
      if (encoder.encode(pairs.sources[i].text, i, sample.source) == runtime::Encoding::kWhole) {
        add(pairs.references[i]);
      }
    }
  }
  if (sample.tokens.size() < 2) fail("the files hold nothing to measure on");
  sample.tokens.resize(std::min(sample.tokens.size(), most));
  return sample;
}

std::optional<int64_t> largest_fitting(int64_t count, const std::function<bool(int64_t)>& fits) {
  if (fits(count)) return count;
  int64_t fitting = 0, too_many = count;
  while (too_many - fitting > 1) {
    const int64_t middle = (fitting + too_many) / 2;
    (fits(middle) ? fitting : too_many) = middle;
  }
  return fitting > 0 ? std::optional(fitting) : std::nullopt;
}

double flops_of_token(const config::ModelConfig& config, std::span<const int64_t> active) {
  const store::TokenFlops flops = store::count_token_flops(config, active, 0);
  return config::is_masked_lm(config) ? flops.source : flops.source + flops.target;
}

double milliseconds_of_token(const runtime::Transformer& model, const Sample& sample) {
  const double start = system_clock().steady_seconds();
  if (config::is_masked_lm(model.config())) {
    const runtime::MaskedModel masked(model.weights(), model.dispatch());
    masked.states(std::vector<search::Source>{{.tokens = sample.tokens}});
  } else {
    const auto state = model.begin({&sample.source, 1}, 1);
    const bool classifies = config::is_classifier(model.config());
    std::vector<float> found(static_cast<size_t>(classifies ? model.config().width : model.vocabulary()));
    for (const int32_t token : sample.tokens) {
      classifies ? model.read(*state, {&token, 1}, found) : model.step(*state, {&token, 1}, found);
    }
  }
  return 1000 * (system_clock().steady_seconds() - start) / static_cast<double>(sample.tokens.size());
}

std::string cost_note(const config::ModelConfig& config) {
  const bool translates = !config::is_language_model(config);
  return fmt::format("FLOPs: of a token{}. Time: of a {}token, {}, on one thread; the median of 11 runs.\n",
                     translates ? " of each side" : "", translates ? "target " : "",
                     config::is_classifier(config)  ? "reading the first sentence"
                     : translates                   ? "reading the first line and decoding its reference"
                     : config::is_masked_lm(config) ? "reading the first tokens at once"
                                                    : "decoding the first tokens one by one");
}

MemoryUse memory_use(const config::ModelConfig& config) {
  constexpr double kMebibyte = 1 << 20;
  const auto weights = static_cast<double>(store::count_parameters(config).total()) * sizeof(float);
  const auto most = static_cast<double>(process_usage().peak_resident_bytes);
  return {.weights_mebibytes = weights / kMebibyte, .most_mebibytes = most / kMebibyte};
}

std::string memory_note(const MemoryUse& memory) {
  return fmt::format(
      "Memory: {:.1f} MiB of weights, as all experts are loaded whatever the number a token meets; the "
      "process took at most {:.1f} MiB.\n",
      memory.weights_mebibytes, memory.most_mebibytes);
}

void add_memory(const MemoryUse& memory, nlohmann::ordered_json& json) {
  json["weights_mib"] = memory.weights_mebibytes;
  json["peak_resident_mib"] = memory.most_mebibytes;
}

std::string cost_picture(const CostPicture& picture, std::vector<report::Point> points) {
  std::ranges::sort(points, {}, &report::Point::x);
  return report::line_chart_svg({.title = picture.of_classes ? "Accuracy by cost" : "Loss by cost",
                                 .subtitle = picture.subtitle,
                                 .x_label = picture.cost,
                                 .y_label = picture.of_classes ? "accuracy, %" : "loss, nats a token",
                                 .series = {{.name = "experts a token", .points = std::move(points)}}});
}

FileLoss loss_over(const TestFiles& files, const LossTools& tools, const runtime::LineEncoder& encoder,
                   Progress& progress) {
  const auto advanced = [&](int64_t lines) { progress.advance(lines); };
  if (!files.labels.path.empty()) return label_loss(tools, files, advanced);
  if (!files.text.empty()) return text_loss(tools, files, 0, advanced);
  FileLoss loss;
  PairReader reader(files);
  TestPairs pairs;
  for (bool more = true; more;) {
    more = reader.next(pairs);
    add_pair_loss(tools, encoder, files.reference, pairs, loss);
    progress.advance(static_cast<int64_t>(pairs.sources.size()));
  }
  return loss;
}

}  // namespace megin::cli
