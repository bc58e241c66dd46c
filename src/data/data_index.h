// data.json: the table of contents of a prepared folder (docs/data_format.md).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/prepare_report.h"

namespace megin::data {

inline constexpr const char* kIndexFile = "data.json";
inline constexpr const char* kJointModelFile = "subword.model";
inline constexpr const char* kSourceModelFile = "subword.source.model";
inline constexpr const char* kTargetModelFile = "subword.target.model";

struct FileEntry {
  std::string name;
  uint64_t bytes = 0;
  uint64_t checksum = 0;  // XXH3, of the whole file
};

// What opening a folder needs of data.json; the file holds the report and the configuration besides.
struct DataIndex {
  config::Task task = config::Task::kTranslation;
  std::string source_language;
  std::string target_language;
  bool joint = true;
  int64_t source_vocabulary = 0;
  int64_t target_vocabulary = 0;
  std::vector<double> corpus_weights;
  std::vector<std::string> classes;  // labels of sentences, in the order of their numbers; else none
  std::array<int64_t, kSplits.size()> pairs{};  // in the order of kSplits
  std::array<int64_t, kSplits.size()> shards{};
  std::vector<FileEntry> files;  // all but data.json itself, by name

  // 16 hexadecimal digits that stand for the content of all files.
  std::string fingerprint() const;
};

// The files of a folder with their sizes and checksums, by name.
std::vector<FileEntry> list_files(const std::filesystem::path& folder);

nlohmann::ordered_json index_to_json(const DataIndex& index);

// Throws Error naming the file when it is missing, damaged or of another version.
DataIndex read_index(const std::filesystem::path& folder);

}  // namespace megin::data
