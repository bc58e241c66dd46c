// Corpora made up for the tests of preparing, and a folder for each test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "base/console.h"
#include "base/error.h"
#include "base/files.h"
#include "data/prepare.h"

namespace megin::data {

// Sentence `number` of a small grammar: 8 * 8 * 8 * 8 different ones, then they go on with a number at the
// end. Both sides say the same, so they can be told to belong together.
inline std::pair<std::string, std::string> sentence_pair(uint64_t number) {
  static const std::vector<std::vector<std::pair<std::string, std::string>>> kParts = {
      {{"the dog", "der Hund"},
       {"the cat", "die Katze"},
       {"a girl", "ein Mädchen"},
       {"a man", "ein Mann"},
       {"my brother", "mein Bruder"},
       {"her sister", "ihre Schwester"},
       {"the horse", "das Pferd"},
       {"one bird", "ein Vogel"}},
      {{"sees", "sieht"},
       {"hears", "hört"},
       {"finds", "findet"},
       {"paints", "malt"},
       {"buys", "kauft"},
       {"loses", "verliert"},
       {"carries", "trägt"},
       {"likes", "mag"}},
      {{"the house", "das Haus"},
       {"a book", "ein Buch"},
       {"the river", "den Fluss"},
       {"two apples", "zwei Äpfel"},
       {"the street", "die Straße"},
       {"a song", "ein Lied"},
       {"some bread", "etwas Brot"},
       {"the moon", "den Mond"}},
      {{"today", "heute"},
       {"at night", "nachts"},
       {"in the rain", "im Regen"},
       {"again", "wieder"},
       {"on Monday", "am Montag"},
       {"far away", "weit weg"},
       {"very slowly", "sehr langsam"},
       {"twice", "zweimal"}}};
  std::pair<std::string, std::string> pair;
  uint64_t rest = number;
  for (const auto& part : kParts) {
    const auto& [english, german] = part[rest % 8];
    rest /= 8;
    pair.first += english + " ";
    pair.second += german + " ";
  }
  const std::string end = rest == 0 ? "." : std::to_string(rest) + ".";
  return {pair.first + end, pair.second + end};
}

class PrepareTest : public testing::Test {
 protected:
  std::filesystem::path folder_;

  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) /
              (std::string("megin-") + test->test_suite_name() + "-" + test->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string put(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  // Pairs [begin, end) of the grammar as two files.
  config::CorpusConfig corpus(const std::string& name, uint64_t begin, uint64_t end) const {
    std::ofstream source(folder_ / (name + ".en")), target(folder_ / (name + ".de"));
    for (uint64_t i = begin; i < end; ++i) {
      const auto [english, german] = sentence_pair(i);
      source << english << '\n';
      target << german << '\n';
    }
    config::CorpusConfig corpus;
    corpus.paths = {(folder_ / (name + ".en")).string(), (folder_ / (name + ".de")).string()};
    return corpus;
  }

  config::CorpusConfig tsv(const std::string& name, const std::string& text) const {
    config::CorpusConfig corpus;
    corpus.paths = {put(name, text)};
    return corpus;
  }

  config::DataConfig config(const std::vector<config::CorpusConfig>& corpora) const {
    config::DataConfig config;
    config.output = (folder_ / "out").string();
    config.corpora = corpora;
    config.split.valid_pairs = 50;
    config.split.test_pairs = 30;
    config.subword.vocabulary = 340;
    config.threads = 2;
    return config;
  }

  PrepareReport run(const config::DataConfig& config, Existing existing = Existing::kRefuse) const {
    Console console({}, true);
    return prepare(config, existing, console);
  }

  std::string error_of(const config::DataConfig& config, Existing existing = Existing::kRefuse) const {
    try {
      run(config, existing);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  std::set<std::string> names() const {
    std::set<std::string> list;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      list.insert(entry.path().filename().string());
    return list;
  }
};

}  // namespace megin::data
