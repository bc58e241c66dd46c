#include "data/collect_pairs.h"

#include <utility>

#include "base/error.h"
#include "base/progress.h"
#include "base/stop_signal.h"
#include "text/corpus.h"
#include "text/duplicates.h"
#include "text/split.h"
#include "text/unicode.h"

namespace megin::data {
namespace {

enum SplitIndex : size_t { kTrain = 0, kValid = 1, kTest = 2 };

bool is_english(const std::string& language) {
  return language == "en" || language.starts_with("en-");
}

text::CorpusSpec spec_of(const config::CorpusConfig& corpus, const config::DataConfig& config) {
  text::CorpusSpec spec;
  spec.format = corpus.format == "plain" ? text::CorpusFormat::kParallel : text::corpus_format(corpus.format);
  spec.paths.assign(corpus.paths.begin(), corpus.paths.end());
  spec.source_language = config.source_language;
  spec.target_language = config.target_language;
  spec.columns = {corpus.source_column, corpus.target_column};
  spec.header = corpus.header;
  spec.where = corpus.where;
  // Catalogues translate out of English.
  const text::CorpusFormat format = text::detect_format(spec);
  const bool catalogue = format == text::CorpusFormat::kPo || format == text::CorpusFormat::kMo;
  spec.swap_sides = catalogue && is_english(config.target_language) && !is_english(config.source_language);
  return spec;
}

std::string name_of(const config::CorpusConfig& corpus) {
  std::string name;
  for (const std::string& path : corpus.paths) {
    name += (name.empty() ? "" : " + ") + std::filesystem::path(path).filename().string();
  }
  return name;
}

void put_tag(std::string& source, const std::string& tag) {
  if (!tag.empty()) source.insert(0, tag + " ");
}

text::CleaningOptions cleaning_options(const config::DataConfig& data) {
  const config::CleaningConfig& config = data.cleaning;
  text::CleaningOptions options;
  options.max_words = static_cast<size_t>(config.max_words);
  options.max_bytes = static_cast<size_t>(config.max_bytes);
  options.max_length_ratio = config.max_ratio;
  options.drop_identical = config.drop_identical;
  options.drop_no_letters = config.drop_no_letters;
  if (data.task == config::Task::kClassification) {  // a label is no translation
    options.max_length_ratio = 0;
    options.drop_identical = options.drop_no_letters = false;
  }
  return options;
}

text::CleaningCounts difference(const text::CleaningCounts& after, const text::CleaningCounts& before) {
  text::CleaningCounts counts;
  for (size_t i = 0; i < text::kVerdicts; ++i) {
    const auto verdict = static_cast<text::Verdict>(i);
    counts.add(verdict, after[verdict] - before[verdict]);
  }
  return counts;
}

std::string one_line(const std::string& text) {
  return text.find_first_of("\n\r") == std::string::npos ? text : text::normalise_whitespace(text);
}

class Collector {
 public:
  Collector(const config::DataConfig& config, const std::filesystem::path& directory, Console& console)
      : config_(config),
        console_(console),
        cleaner_(cleaning_options(config)),
        planner_(split_options(config)),
        finder_({.rule = text::DuplicateRule::kPair, .temporary_directory = directory}),
        kept_(directory),
        collected_{.splits = {PairSpool(directory), PairSpool(directory), PairSpool(directory)},
                   .corpora = {}} {}

  CollectedPairs run() {
    take_given(config_.split.valid, kValid);
    take_given(config_.split.test, kTest);
    read_corpora();
    if (kept_.size() == 0) fail_empty();
    route();
    for (PairSpool& split : collected_.splits) split.flush();
    if (collected_.splits[kTrain].size() == 0) fail_empty();
    return std::move(collected_);
  }

 private:
  static text::SplitOptions split_options(const config::DataConfig& config) {
    text::SplitOptions options;
    options.seed = static_cast<uint64_t>(config.seed);
    if (config.split.valid.empty()) options.valid.count = static_cast<uint64_t>(config.split.valid_pairs);
    if (config.split.test.empty()) options.test.count = static_cast<uint64_t>(config.split.test_pairs);
    return options;
  }

  [[noreturn]] void fail_empty() const {
    text::CleaningCounts all;
    for (const CorpusReport& corpus : collected_.corpora) all.add(corpus.counts);
    std::string reasons;
    for (size_t i = 1; i < text::kVerdicts; ++i) {
      const auto verdict = static_cast<text::Verdict>(i);
      if (all[verdict] > 0) reasons += fmt::format(", {} {}", text::verdict_name(verdict), all[verdict]);
    }
    fail("no pair is left to train on of {} read{}; check data.corpora and data.cleaning", all.total(),
         reasons);
  }

  void take_given(const std::vector<config::CorpusConfig>& corpora, SplitIndex split) {
    collected_.given[split] = !corpora.empty();
    for (size_t i = 0; i < corpora.size(); ++i) {
      const auto reader = text::open_corpus(spec_of(corpora[i], config_));
      text::Pair pair;
      while (reader->next(pair)) {
        if (!text::is_valid_utf8(pair.source) || !text::is_valid_utf8(pair.target)) {
          fail("{}: this line of a given {} set is not UTF-8; convert the file (iconv -t UTF-8)",
               reader->where(), kSplits[split]);
        }
        if (config_.cleaning.drop_leaks) cleaner_.forbid_source(pair.source);
        SpooledPair spooled{one_line(pair.source), one_line(pair.target), static_cast<uint32_t>(i)};
        put_tag(spooled.source, corpora[i].tag);
        collected_.splits[split].add(spooled);
      }
    }
  }

  void read_corpora() {
    Progress progress({.label = "read", .unit = "pairs"}, console_);
    for (size_t i = 0; i < config_.corpora.size(); ++i) {
      const text::CleaningCounts before = cleaner_.counts();
      read_corpus(static_cast<uint32_t>(i), progress);
      const text::CleaningCounts counts = difference(cleaner_.counts(), before);
      collected_.corpora.push_back({.name = name_of(config_.corpora[i]), .counts = counts});
    }
    kept_.flush();
  }

  void read_corpus(uint32_t number, Progress& progress) {
    const config::CorpusConfig& corpus = config_.corpora[number];
    progress.set_tail(name_of(corpus));
    const auto reader = text::open_corpus(spec_of(corpus, config_));
    text::Pair pair;
    while (reader->next(pair)) {
      progress.advance();
      if (StopSignal::requested()) fail("stopped by a signal while reading; nothing was written");
      if (cleaner_.check(pair) != text::Verdict::kKeep) continue;
      planner_.add(pair.source);
      put_tag(pair.source, corpus.tag);
      if (config_.cleaning.drop_duplicates) finder_.add(pair);
      kept_.add({pair.source, pair.target, number});
    }
  }

  void route() {
    const text::DuplicateSet duplicates = finder_.finish();
    const text::Splitter splitter = planner_.finish();
    Progress progress({.label = "split", .unit = "pairs", .total = static_cast<int64_t>(kept_.size())},
                      console_);
    SpoolReader reader(kept_);
    SpooledPair pair;
    for (uint64_t i = 0; reader.next(pair); ++i) {
      progress.advance();
      if (StopSignal::requested()) fail("stopped by a signal while splitting; nothing was written");
      if (config_.cleaning.drop_duplicates && duplicates.contains(i)) {
        collected_.corpora[pair.corpus].counts.move(text::Verdict::kKeep, text::Verdict::kDuplicate);
        continue;
      }
      const text::Split split = splitter.split_of(without_tag(pair.source, config_.corpora[pair.corpus].tag));
      const SplitIndex index =
          split == text::Split::kTrain ? kTrain : (split == text::Split::kValid ? kValid : kTest);
      ++collected_.corpora[pair.corpus].split[index];
      collected_.splits[index].add(pair);
    }
  }

  const config::DataConfig& config_;
  Console& console_;
  text::Cleaner cleaner_;
  text::SplitPlanner planner_;
  text::DuplicateFinder finder_;
  PairSpool kept_;
  CollectedPairs collected_;
};

}  // namespace

std::string_view without_tag(std::string_view source, std::string_view tag) {
  return tag.empty() ? source : source.substr(tag.size() + 1);
}

CollectedPairs collect_pairs(const config::DataConfig& config, const std::filesystem::path& directory,
                             Console& console) {
  return Collector(config, directory, console).run();
}

}  // namespace megin::data
