// What preparing found and did: counts by corpus and rule, lengths, unknowns.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "config/data_config.h"
#include "text/cleaning.h"

namespace megin::data {

inline constexpr std::array<const char*, 3> kSplits = {"train", "valid", "test"};

// What became of one corpus of the configuration.
struct CorpusReport {
  std::string name;  // its files
  text::CleaningCounts counts;
  uint64_t too_many_tokens = 0;                  // kept by the rules, but above data.max_tokens
  std::array<uint64_t, kSplits.size()> split{};  // pairs that went to each split; of bytes, bytes
};

// How many sentences have each length.
class LengthCounts {
 public:
  void add(size_t length);
  double mean() const;
  uint64_t quantile(double share) const;  // the least length that `share` of the sentences do not exceed
  uint64_t longest() const { return counts_.empty() ? 0 : counts_.size() - 1; }

 private:
  std::vector<uint64_t> counts_;
  uint64_t sentences_ = 0;
  uint64_t sum_ = 0;
};

struct SideReport {
  uint64_t tokens = 0;    // without end marks
  uint64_t unknowns = 0;  // among them
  LengthCounts lengths;   // in tokens, without end marks

  void add(std::span<const int32_t> ids);  // one example's
};

struct SplitReport {
  uint64_t pairs = 0;  // or lines of a running text, which are all target; or pieces of a text of bytes
  uint64_t bytes = 0;  // of a text of bytes: all of them, newlines that are dropped included
  uint64_t shards = 0;
  bool given = false;                  // used as it is, not cut from the corpora
  std::vector<uint64_t> classes = {};  // sentences of each class; empty: they have none
  SideReport source;
  SideReport target;  // sentences with labels stand here
};

struct PrepareReport {
  config::Task task = config::Task::kTranslation;
  std::string folder;
  std::string source_language;
  std::string target_language;
  int64_t source_vocabulary = 0;
  int64_t target_vocabulary = 0;
  bool joint = true;
  std::string subword;  // "unigram, trained on 58,000 sentences", "taken over from x.model"
  std::string fingerprint;
  int64_t max_tokens = 0;
  std::vector<std::string> classes = {};  // their labels, in their order
  std::vector<CorpusReport> corpora;
  std::array<SplitReport, kSplits.size()> splits;  // in the order of kSplits
};

nlohmann::ordered_json report_to_json(const PrepareReport& report);

// Markdown whose tables also read well on a terminal. Of more corpora than `most_corpora` only the sum is
// shown (0: all are).
std::string report_to_text(const PrepareReport& report, size_t most_corpora = 0);

}  // namespace megin::data
