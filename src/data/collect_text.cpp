#include "data/collect_text.h"

#include <array>

#include "base/error.h"
#include "base/progress.h"
#include "base/stop_signal.h"
#include "text/line_reader.h"
#include "text/unicode.h"

namespace megin::data {
namespace {

class TextCollector {
 public:
  TextCollector(const std::filesystem::path& directory, Console& console)
      : progress_({.label = "read", .unit = "lines"}, console),
        collected_{.splits = {PairSpool(directory), PairSpool(directory), PairSpool(directory)},
                   .corpora = {}} {}

  CollectedPairs run(const config::DataConfig& config) {
    const std::array corpora = {&config.corpora, &config.split.valid, &config.split.test};
    for (size_t split = 0; split < kSplits.size(); ++split) {
      collected_.given[split] = split > 0 && !corpora[split]->empty();
      for (size_t i = 0; i < corpora[split]->size(); ++i) read((*corpora[split])[i].paths[0], split, i);
      collected_.splits[split].flush();
    }
    if (collected_.splits[0].size() == 0) fail("no line is left to train on; check data.corpora");
    return std::move(collected_);
  }

 private:
  void read(const std::filesystem::path& path, size_t split, size_t number) {
    progress_.set_tail(path.filename().string());
    CorpusReport report{.name = path.filename().string(), .counts = {}};
    text::LineReader reader(path);
    for (std::string line; reader.next(line);) {
      progress_.advance();
      if (StopSignal::requested()) fail("stopped by a signal while reading; nothing was written");
      const bool valid = text::is_valid_utf8(line);
      if (!valid && split > 0) {
        fail("{}: this line of a given {} set is not UTF-8; convert the file (iconv -t UTF-8)",
             reader.where(), kSplits[split]);
      }
      report.counts.add(valid ? text::Verdict::kKeep : text::Verdict::kInvalidUtf8);
      if (!valid) continue;
      ++report.split[split];
      collected_.splits[split].add({.source = "", .target = line, .corpus = static_cast<uint32_t>(number)});
    }
    if (split == 0) collected_.corpora.push_back(std::move(report));
  }

  Progress progress_;
  CollectedPairs collected_;
};

}  // namespace

CollectedPairs collect_text(const config::DataConfig& config, const std::filesystem::path& directory,
                            Console& console) {
  return TextCollector(directory, console).run(config);
}

}  // namespace megin::data
