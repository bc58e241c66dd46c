#include "cli/report_curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "report/line_chart.h"

namespace megin::cli {
namespace {

using report::Scale;

struct Curve {
  const char* event;
  const char* key;
  const char* axis;
  const char* title;
  Scale scale = Scale::kLinear;  // of the number
};

// Whether every run that has the number has the axis's number beside it.
bool is_drawable(const std::vector<RunGroup>& groups, const Curve& curve) {
  const report::LogAxis& axis = report::log_axis(curve.axis);
  for (const RunGroup& group : groups) {
    for (const ReportedRun* run : group.runs) {
      if (last_line(*run, curve.event, curve.key) == nullptr) continue;
      if (last_line(*run, curve.event, axis.key) == nullptr) return false;
    }
  }
  return true;
}

// One line for each group that has the number; nothing where none has.
std::optional<Picture> compare(const std::vector<RunGroup>& groups, const Curve& curve) {
  if (!is_drawable(groups, curve)) return std::nullopt;
  const report::LogAxis& axis = report::log_axis(curve.axis);
  report::LineChart chart{.title = curve.title,
                          .subtitle = "",
                          .x_label = std::string(axis.label),
                          .y_label = curve.key,
                          .series = {},
                          .y_scale = curve.scale};
  for (const RunGroup& group : groups) {
    auto points = group_curve(group, {.event = curve.event, .key = curve.key, .axis = curve.axis});
    if (points.empty()) continue;
    chart.series.push_back({.name = group.name, .points = std::move(points), .look = group.look});
  }
  if (chart.series.empty()) return std::nullopt;
  return Picture{fmt::format("{}-{}-by-{}", curve.event, curve.key, axis.name),
                 report::line_chart_svg(chart)};
}

std::vector<Curve> curves_for(const std::vector<RunGroup>& groups) {
  bool perplexity = false, accuracy = false;
  for (const RunGroup& group : groups) {
    for (const ReportedRun* run : group.runs) {
      perplexity = perplexity || is_without_bleu(*run);
      accuracy = accuracy || last_line(*run, "validation", "accuracy") != nullptr;
    }
  }
  std::vector<Curve> curves;
  for (const char* axis : {"updates", "flops", "cpu-minutes"}) {
    curves.push_back({"validation", "bleu", axis, "Validation BLEU"});
    curves.push_back({"validation", "accuracy", axis, "Validation accuracy"});
    curves.push_back({"validation", "loss", axis,
                      accuracy ? "Validation loss, nats a sentence" : "Validation loss, nats a token"});
    // A perplexity falls from thousands to tens.
    if (perplexity) {
      curves.push_back({"validation", "perplexity", axis, "Validation perplexity, by token", Scale::kLog});
    }
    curves.push_back({"validation", "bits_per_byte", axis, "Validation, bits a byte"});
    curves.push_back({"validation", "bits_per_token", axis, "Validation, bits a masked token"});
    curves.push_back({"validation", "word_perplexity", axis, "Validation perplexity, by word", Scale::kLog});
  }
  curves.push_back({"update", "nll", "updates",
                    accuracy ? "Training loss, nats a sentence" : "Training loss, nats a token"});
  curves.push_back({"update", "consistency", "updates", "Consistency between passes, nats a token"});
  curves.push_back({"update", "active_experts", "updates", "Experts of a token in training"});
  curves.push_back({"update", "gradient_norm", "updates", "Gradient norm"});
  curves.push_back({"update", "target_tokens_per_second", "updates", "Speed, target tokens a second"});
  return curves;
}

}  // namespace

std::string file_name(std::string name) {
  std::ranges::replace(name, '/', '-');
  return name;
}

void add_charts(report::HtmlPage& page, const std::vector<Picture>& pictures) {
  std::vector<std::string> svgs;
  for (const Picture& picture : pictures) svgs.push_back(picture.svg);
  page.charts(svgs);
}

std::vector<Picture> comparison_curves(const std::vector<RunGroup>& groups) {
  std::vector<Picture> pictures;
  for (const Curve& curve : curves_for(groups)) {
    if (auto picture = compare(groups, curve)) pictures.push_back(std::move(*picture));
  }
  return pictures;
}

}  // namespace megin::cli
