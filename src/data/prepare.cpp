#include "data/prepare.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/processors.h"
#include "base/thread_pool.h"
#include "config/fields.h"
#include "data/class_labels.h"
#include "data/collect_pairs.h"
#include "data/collect_text.h"
#include "data/data_index.h"
#include "data/encode_split.h"
#include "data/prepare_bytes.h"
#include "data/prepare_subword.h"

namespace megin::data {
namespace {

namespace fs = std::filesystem;

void check_output(const fs::path& output, Existing existing) {
  if (output.empty()) fail_usage("data.output: wanted the folder to write, found nothing");
  if (!fs::exists(output)) return;
  if (existing == Existing::kRefuse) {
    fail("{}: already exists; give --overwrite to replace it, or another data.output", output.string());
  }
  if (!fs::is_directory(output) || (!fs::is_empty(output) && !fs::exists(output / kIndexFile))) {
    fail("{}: is not prepared data, so it will not be replaced; give another data.output", output.string());
  }
}

void write_models(const fs::path& folder, const SubwordPair& subwords, bool joint) {
  write_file_atomically(folder / (joint ? kJointModelFile : kSourceModelFile), subwords.source.bytes());
  if (!joint) write_file_atomically(folder / kTargetModelFile, subwords.target.bytes());
}

PrepareReport start_report(const config::DataConfig& config, const SubwordPair& subwords) {
  PrepareReport report;
  report.task = config.task;
  report.folder = config.output;
  report.source_language = config.source_language;
  report.target_language = config.target_language;
  report.source_vocabulary = subwords.source.size();
  report.target_vocabulary = subwords.target.size();
  report.joint = config.subword.joint;
  report.subword = subwords.description;
  report.max_tokens = config.max_tokens;
  return report;
}

void encode_splits(PrepareReport& report, const fs::path& folder, const CollectedPairs& pairs,
                   const EncodeTools& tools) {
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const bool train = i == 0, of_pairs = !config::is_text(report.task);
    const EncodeOptions options = {.folder = folder,
                                   .split = kSplits[i],
                                   .max_tokens = train && of_pairs ? report.max_tokens : 0,
                                   .keep_text = !train,
                                   .pairs = of_pairs,
                                   .classes = report.classes.empty() ? nullptr : &report.classes};
    EncodedSplit encoded = encode_split(pairs.splits[i], options, tools);
    encoded.report.given = pairs.given[i];
    report.splits[i] = std::move(encoded.report);
    for (size_t corpus = 0; corpus < encoded.too_long.size(); ++corpus) {
      report.corpora[corpus].too_many_tokens = encoded.too_long[corpus];
      report.corpora[corpus].split[i] -= encoded.too_long[corpus];
    }
  }
  if (report.splits[0].pairs == 0) {
    fail("no pair is left to train on: all have a side above data.max_tokens, which is {}",
         report.max_tokens);
  }
}

DataIndex index_of(const PrepareReport& report, const config::DataConfig& config, const fs::path& folder) {
  DataIndex index;
  index.task = report.task;
  index.source_language = report.source_language;
  index.target_language = report.target_language;
  index.joint = report.joint;
  index.source_vocabulary = report.source_vocabulary;
  index.target_vocabulary = report.target_vocabulary;
  index.classes = report.classes;
  for (const config::CorpusConfig& corpus : config.corpora) index.corpus_weights.push_back(corpus.weight);
  for (size_t i = 0; i < kSplits.size(); ++i) {
    index.pairs[i] = static_cast<int64_t>(report.splits[i].pairs);
    index.shards[i] = static_cast<int64_t>(report.splits[i].shards);
  }
  index.files = list_files(folder);
  return index;
}

void write_index(const DataIndex& index, const PrepareReport& report, const config::DataConfig& config,
                 const fs::path& folder) {
  nlohmann::ordered_json json = index_to_json(index);
  json["tool"] = "megin " MEGIN_VERSION;
  json["report"] = report_to_json(report);
  json["config"] = config::as_json(config);
  write_file_atomically(folder / kIndexFile, json.dump(2) + "\n");
}

PrepareReport fill_with_sentences(const config::DataConfig& config, const fs::path& folder, ThreadPool& pool,
                                  Console& console) {
  const CollectedPairs pairs = config::is_text(config.task) ? collect_text(config, folder, console)
                                                            : collect_pairs(config, folder, console);
  const SubwordPair subwords = make_subwords(config, pairs.splits[0], console);
  PrepareReport report = start_report(config, subwords);
  report.corpora = pairs.corpora;
  if (config.task == config::Task::kClassification) report.classes = find_classes(pairs.splits[0]);
  write_models(folder, subwords, report.joint);
  encode_splits(report, folder, pairs, {subwords, pool, console});
  return report;
}

PrepareReport fill_with_bytes(const config::DataConfig& config, const fs::path& folder, Console& console) {
  PreparedBytes bytes = prepare_bytes(config, folder, console);
  const std::string newlines =
      config.bytes.newlines == config::Newlines::kDrop ? "newlines are dropped" : "newlines are kept";
  const SubwordPair symbols = {bytes.symbols, bytes.symbols, "bytes, " + newlines};
  PrepareReport report = start_report(config, symbols);
  report.corpora = std::move(bytes.corpora);
  report.splits = std::move(bytes.splits);
  write_models(folder, symbols, report.joint);
  return report;
}

}  // namespace

PrepareReport prepare(const config::DataConfig& config, Existing existing, Console& console) {
  config::check(config);
  language_tags(config);
  check_output(config.output, existing);
  ThreadPool pool(config.threads > 0 ? static_cast<int>(config.threads) : usable_processors());
  PrepareReport report;
  const auto fill = [&](const fs::path& folder) {
    report = config.task == config::Task::kBytes ? fill_with_bytes(config, folder, console)
                                                 : fill_with_sentences(config, folder, pool, console);
    write_file_atomically(folder / "report.md", report_to_text(report));
    const DataIndex index = index_of(report, config, folder);
    report.fingerprint = index.fingerprint();
    write_index(index, report, config, folder);
  };
  write_directory_atomically(config.output, fill, existing == Existing::kReplace);
  return report;
}

}  // namespace megin::data
