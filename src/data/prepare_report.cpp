#include "data/prepare_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/human_text.h"
#include "text/vocabulary.h"

namespace megin::data {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

std::string count(uint64_t number) {
  return grouped(static_cast<int64_t>(number));
}

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::vector<std::pair<std::string, uint64_t>> drops(const CorpusReport& corpus) {
  std::vector<std::pair<std::string, uint64_t>> list;
  for (size_t i = 1; i < text::kVerdicts; ++i) {
    const auto verdict = static_cast<text::Verdict>(i);
    list.emplace_back(text::verdict_name(verdict), corpus.counts[verdict]);
  }
  list.emplace_back("too_many_tokens", corpus.too_many_tokens);
  return list;
}

CorpusReport sum(const std::vector<CorpusReport>& corpora) {
  CorpusReport all = {.name = "all", .counts = {}};
  for (const CorpusReport& corpus : corpora) {
    all.counts.add(corpus.counts);
    all.too_many_tokens += corpus.too_many_tokens;
    for (size_t i = 0; i < kSplits.size(); ++i) all.split[i] += corpus.split[i];
  }
  return all;
}

Json side_json(const SideReport& side) {
  return {{"tokens", side.tokens},
          {"unknowns", side.unknowns},
          {"unknown_rate", share(side.unknowns, side.tokens)},
          {"mean_length", side.lengths.mean()},
          {"median_length", side.lengths.quantile(0.5)},
          {"length_95", side.lengths.quantile(0.95)},
          {"longest", side.lengths.longest()}};
}

// A Markdown table with aligned columns; the first is text, the others stand to the right.
std::string table(const std::vector<Row>& rows) {
  std::vector<int64_t> widths(rows[0].size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
  }
  const auto cell = [&](const Row& row, size_t i) {
    const std::string space(static_cast<size_t>(widths[i] - display_width(row[i])), ' ');
    return fmt::format(" {}{} |", i == 0 ? row[i] : space, i == 0 ? space : row[i]);
  };
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    text += "|";
    for (size_t i = 0; i < rows[r].size(); ++i) text += cell(rows[r], i);
    text += "\n";
    if (r > 0) continue;
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i) {
      const auto width = static_cast<size_t>(widths[i]);
      text += i == 0 ? std::string(width + 2, '-') + "|" : std::string(width + 1, '-') + ":|";
    }
    text += "\n";
  }
  return text;
}

std::string corpora_table(const PrepareReport& report, size_t most_corpora) {
  std::vector<Row> rows = {{"corpus", "read", "train", "valid", "test", "dropped"}};
  const auto add = [&](const CorpusReport& corpus) {
    uint64_t dropped = 0;
    for (const auto& [name, pairs] : drops(corpus)) dropped += pairs;
    rows.push_back({corpus.name, count(corpus.counts.total()), count(corpus.split[0]), count(corpus.split[1]),
                    count(corpus.split[2]), count(dropped)});
  };
  if (most_corpora == 0 || report.corpora.size() <= most_corpora) {
    for (const CorpusReport& corpus : report.corpora) add(corpus);
  }
  if (report.corpora.size() > 1) add(sum(report.corpora));
  return table(rows);
}

// Rules that dropped something, a column each; nothing when none did.
std::string drops_table(const PrepareReport& report, size_t most_corpora) {
  const CorpusReport all = sum(report.corpora);
  const auto of_all = drops(all);
  Row head = {"dropped because"};
  for (const auto& [name, pairs] : of_all) {
    if (pairs > 0) head.push_back(name);
  }
  if (head.size() == 1) return "";
  std::vector<Row> rows = {head};
  const auto add = [&](const CorpusReport& corpus) {
    Row row = {corpus.name};
    const auto list = drops(corpus);
    for (size_t i = 0; i < list.size(); ++i) {
      if (of_all[i].second > 0) row.push_back(count(list[i].second));
    }
    rows.push_back(row);
  };
  if (most_corpora == 0 || report.corpora.size() <= most_corpora) {
    for (const CorpusReport& corpus : report.corpora) add(corpus);
  }
  if (report.corpora.size() > 1) add(all);
  return table(rows);
}

std::string lines_table(const PrepareReport& report) {
  std::vector<Row> rows = {{"split", "lines", "tokens", "end marks", "unknown"}};
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const SplitReport& split = report.splits[i];
    rows.push_back({kSplits[i], count(split.pairs), count(split.target.tokens), count(split.pairs),
                    fmt::format("{:.3f} %", 100 * share(split.target.unknowns, split.target.tokens))});
  }
  return table(rows);
}

std::string bytes_table(const PrepareReport& report) {
  std::vector<Row> rows = {{"split", "bytes", "newlines dropped", "symbols", "unknown"}};
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const SplitReport& split = report.splits[i];
    rows.push_back({std::string(kSplits[i]) + (split.given ? " (given)" : ""), count(split.bytes),
                    count(split.bytes - split.target.tokens), count(split.target.tokens),
                    count(split.target.unknowns)});
  }
  return table(rows);
}

std::string classes_table(const PrepareReport& report) {
  std::vector<Row> rows = {{"split", "sentences", "tokens", "mean", "95 %", "longest", "unknown"}};
  for (const std::string& label : report.classes) rows[0].push_back("class " + label);
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const SplitReport& split = report.splits[i];
    const SideReport& side = split.target;
    rows.push_back({std::string(kSplits[i]) + (split.given ? " (given)" : ""), count(split.pairs),
                    count(side.tokens), fmt::format("{:.1f}", side.lengths.mean()),
                    count(side.lengths.quantile(0.95)), count(side.lengths.longest()),
                    fmt::format("{:.3f} %", 100 * share(side.unknowns, side.tokens))});
    for (const uint64_t sentences : split.classes) rows.back().push_back(count(sentences));
  }
  return table(rows);
}

std::string splits_table(const PrepareReport& report) {
  std::vector<Row> rows = {
      {"split", "side", "pairs", "tokens", "mean", "median", "95 %", "longest", "unknown"}};
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const SplitReport& split = report.splits[i];
    for (const bool source : {true, false}) {
      const SideReport& side = source ? split.source : split.target;
      rows.push_back({std::string(kSplits[i]) + (split.given ? " (given)" : ""),
                      source ? report.source_language : report.target_language, count(split.pairs),
                      count(side.tokens), fmt::format("{:.1f}", side.lengths.mean()),
                      count(side.lengths.quantile(0.5)), count(side.lengths.quantile(0.95)),
                      count(side.lengths.longest()),
                      fmt::format("{:.3f} %", 100 * share(side.unknowns, side.tokens))});
    }
  }
  return table(rows);
}

}  // namespace

void SideReport::add(std::span<const int32_t> ids) {
  tokens += ids.size();
  unknowns += static_cast<uint64_t>(std::ranges::count(ids, text::kUnknownId));
  lengths.add(ids.size());
}

void LengthCounts::add(size_t length) {
  if (length >= counts_.size()) counts_.resize(length + 1);
  ++counts_[length];
  ++sentences_;
  sum_ += length;
}

double LengthCounts::mean() const {
  return share(sum_, sentences_);
}

uint64_t LengthCounts::quantile(double part) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(part * static_cast<double>(sentences_)));
  uint64_t seen = 0;
  for (size_t length = 0; length < counts_.size(); ++length) {
    seen += counts_[length];
    if (seen >= wanted) return length;
  }
  return 0;
}

Json report_to_json(const PrepareReport& report) {
  Json json = {{"subword", report.subword}, {"corpora", Json::array()}, {"splits", Json::object()}};
  for (const CorpusReport& corpus : report.corpora) {
    Json dropped = Json::object();
    for (const auto& [name, pairs] : drops(corpus)) dropped[name] = pairs;
    json["corpora"].push_back({{"name", corpus.name},
                               {"read", corpus.counts.total()},
                               {"train", corpus.split[0]},
                               {"valid", corpus.split[1]},
                               {"test", corpus.split[2]},
                               {"dropped", dropped}});
  }
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const SplitReport& split = report.splits[i];
    json["splits"][kSplits[i]] = {{"pairs", split.pairs},
                                  {"given", split.given},
                                  {"source", side_json(split.source)},
                                  {"target", side_json(split.target)}};
    if (report.task == config::Task::kBytes) json["splits"][kSplits[i]]["bytes"] = split.bytes;
    for (size_t c = 0; c < split.classes.size(); ++c) {
      json["splits"][kSplits[i]]["classes"][report.classes[c]] = split.classes[c];
    }
  }
  return json;
}

std::string report_to_text(const PrepareReport& report, size_t most_corpora) {
  if (report.task == config::Task::kBytes) {
    return fmt::format("# {}: {} training symbols\n\n{} symbols; {}.\n\n", report.target_language,
                       count(report.splits[0].target.tokens), grouped(report.target_vocabulary),
                       report.subword) +
           bytes_table(report) + "\nA model predicts symbols; no marks stand between them.\n";
  }
  if (report.task == config::Task::kLanguageModel) {
    std::string text =
        fmt::format("# {}: {} training tokens\n\nSubwords: {} symbols; {}.\n\n", report.target_language,
                    count(report.splits[0].target.tokens + report.splits[0].pairs),
                    grouped(report.target_vocabulary), report.subword);
    if (const std::string dropped = drops_table(report, most_corpora); !dropped.empty())
      text += dropped + "\n";
    return text + lines_table(report) +
           "\nAn end mark stands behind every line; a model predicts tokens and end marks.\n";
  }
  if (report.task == config::Task::kClassification) {
    std::string text =
        fmt::format("# {}: {} training sentences of {} classes\n\nSubwords: {} symbols; {}.\n\n",
                    report.target_language, count(report.splits[0].pairs), report.classes.size(),
                    grouped(report.target_vocabulary), report.subword);
    text += corpora_table(report, most_corpora) + "\n";
    if (const std::string dropped = drops_table(report, most_corpora); !dropped.empty())
      text += dropped + "\n";
    return text + classes_table(report) +
           fmt::format(
               "\nLengths are in subwords, without marks; training sentences have at most {} with both.\n",
               report.max_tokens);
  }
  const std::string symbols =
      report.joint ? fmt::format("{} joint symbols", grouped(report.source_vocabulary))
                   : fmt::format("{} source and {} target symbols", grouped(report.source_vocabulary),
                                 grouped(report.target_vocabulary));
  std::string text =
      fmt::format("# {} to {}: {} training pairs\n\nSubwords: {}; {}.\n\n", report.source_language,
                  report.target_language, count(report.splits[0].pairs), symbols, report.subword);
  text += corpora_table(report, most_corpora) + "\n";
  if (const std::string dropped = drops_table(report, most_corpora); !dropped.empty()) text += dropped + "\n";
  return text + splits_table(report) +
         fmt::format(
             "\nLengths are in subwords, without end marks; training pairs have at most {} with it.\n",
             report.max_tokens);
}

}  // namespace megin::data
