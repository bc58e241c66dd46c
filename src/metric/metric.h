// Scores of a translation against references: what sacreBLEU computes, with its signatures.
//
// Every metric here sums a few numbers over segments and makes the score of the corpus out of the sums. So a
// corpus is scored while it is read (metric/corpus.h), and resampled cheaply (metric/bootstrap.h).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "metric/tokenizer.h"

namespace megin::metric {

// The release of sacreBLEU that the scores equal; `version:` in the signatures. docs/scoring.md tells how
// that is shown.
inline constexpr std::string_view kSacrebleuVersion = "2.6.0";

struct Score {
  std::string name;       // "BLEU", "chrF2", "chrF2++", "TER"
  double value = 0;       // in percent; more is better but for TER, which may pass 100
  std::string signature;  // "nrefs:1|case:mixed|..."
  std::string verbose;    // BLEU: precisions, brevity penalty, lengths; else empty
};

// One line as sacreBLEU prints it: "BLEU|nrefs:1|... = 41.0 71.0/47.5/34.3/24.5 (BP = ...)". `decimals` are
// those of the value (sacreBLEU's --width; its default is 1).
std::string format_score(const Score& score, int decimals);

// A metric is const in use and may be shared by threads.
class Metric {
 public:
  virtual ~Metric() = default;

  // As sacreBLEU prints it.
  virtual std::string name() const = 0;
  // The middle of the signature, between the number of references and the version.
  virtual std::string settings() const = 0;
  // How many numbers describe a segment.
  virtual size_t columns() const = 0;

  // The numbers of one segment, into `statistics` [columns()]. Both sides are valid UTF-8; there is at least
  // one reference (an empty one counts as a reference).
  virtual void segment(std::string_view hypothesis, std::span<const std::string> references,
                       std::span<double> statistics) const = 0;

  // The score of a corpus whose segments' numbers sum up to `totals` [columns()].
  virtual double value(std::span<const double> totals) const = 0;
  // The part of the printed line that follows the value.
  virtual std::string verbose(std::span<const double> /*totals*/) const { return {}; }
};

// What BLEU does with an n-gram order that has no match (Chen and Cherry 2014, sacreBLEU's names).
enum class Smoothing {
  kExp,    // "exp": half, a quarter, ... of a match
  kFloor,  // "floor": a fixed small number of matches, 0.1 unless said otherwise
  kAddK,   // "add-k": k more matches and n-grams in all orders above 1, 1 unless said otherwise
  kNone,   // "none": the score is 0
};

// The name in signatures and on the command line, and the method of a name (UsageError that lists them).
std::string_view name_of(Smoothing smoothing);
Smoothing smoothing_named(std::string_view name);

// Everything a metric can be asked for; each metric reads what concerns it.
struct MetricOptions {
  // BLEU and chrF ignore case. TER always does, as in sacreBLEU.
  bool lowercase = false;

  // BLEU only.
  Tokenization tokenization = Tokenization::k13a;
  Smoothing smoothing = Smoothing::kExp;
  std::optional<double> smoothing_value = std::nullopt;  // for floor and add-k
  // Leave out the orders of which the hypothesis has no n-gram. For scores of single sentences.
  bool effective_order = false;
};

// "bleu", "chrf", "chrf++" or "ter", in any case. Throws UsageError that lists them.
std::unique_ptr<Metric> make_metric(std::string_view name, const MetricOptions& options = {});

}  // namespace megin::metric
