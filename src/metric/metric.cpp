#include "metric/metric.h"

#include <fmt/format.h>

#include "base/error.h"
#include "metric/bleu.h"
#include "metric/chrf.h"
#include "metric/python_text.h"
#include "metric/ter.h"

namespace megin::metric {

std::string format_score(const Score& score, int decimals) {
  std::string line = fmt::format("{}|{} = {:.{}f}", score.name, score.signature, score.value, decimals);
  if (!score.verbose.empty()) line += " " + score.verbose;
  return line;
}

std::string_view name_of(Smoothing smoothing) {
  switch (smoothing) {
    case Smoothing::kExp:
      return "exp";
    case Smoothing::kFloor:
      return "floor";
    case Smoothing::kAddK:
      return "add-k";
    case Smoothing::kNone:
      return "none";
  }
  return {};
}

Smoothing smoothing_named(std::string_view name) {
  for (const Smoothing smoothing : {Smoothing::kExp, Smoothing::kFloor, Smoothing::kAddK, Smoothing::kNone}) {
    if (name_of(smoothing) == name) return smoothing;
  }
  fail_usage("wanted a smoothing out of exp, floor, add-k, none; found '{}'", name);
}

std::unique_ptr<Metric> make_metric(std::string_view name, const MetricOptions& options) {
  const std::string wanted = lower(name);
  if (wanted == "bleu") return std::make_unique<Bleu>(options);
  if (wanted == "chrf") return std::make_unique<Chrf>(0, options.lowercase);
  if (wanted == "chrf++") return std::make_unique<Chrf>(2, options.lowercase);
  if (wanted == "ter") return std::make_unique<Ter>();
  fail_usage("wanted a metric out of bleu, chrf, chrf++, ter; found '{}'", name);
}

}  // namespace megin::metric
