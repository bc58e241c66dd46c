#include "data/data_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "config/enums.h"

namespace megin::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "megin-data";
constexpr int64_t kVersion = 1;

std::string hex(uint64_t number) {
  return fmt::format("{:016x}", number);
}

DataIndex from_json(const Json& json) {
  DataIndex index;
  // Absent in folders made before there was more than one task.
  index.task = config::parse_enum<config::Task>(json.value("task", "translation"), "task");
  index.source_language = json.at("source_language");
  index.target_language = json.at("target_language");
  index.joint = json.at("joint");
  index.source_vocabulary = json.at("source_vocabulary");
  index.target_vocabulary = json.at("target_vocabulary");
  index.corpus_weights = json.at("corpus_weights").get<std::vector<double>>();
  index.classes = json.value("classes", std::vector<std::string>());
  for (size_t i = 0; i < kSplits.size(); ++i) {
    const Json& split = json.at("splits").at(kSplits[i]);
    index.pairs[i] = split.at("pairs");
    index.shards[i] = split.at("shards");
  }
  for (const Json& file : json.at("files")) {
    const std::string checksum = file.at("xxh3");
    index.files.push_back({file.at("name"), file.at("bytes"), std::stoull(checksum, nullptr, 16)});
  }
  return index;
}

}  // namespace

std::string DataIndex::fingerprint() const {
  std::string all;
  for (const FileEntry& file : files)
    all += fmt::format("{} {} {}\n", file.name, file.bytes, hex(file.checksum));
  return hex(megin::checksum(all));
}

std::vector<FileEntry> list_files(const fs::path& folder) {
  std::vector<FileEntry> list;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != kIndexFile) list.push_back({name, entry.file_size(), file_checksum(entry.path())});
  }
  std::sort(list.begin(), list.end(), [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
  return list;
}

Json index_to_json(const DataIndex& index) {
  Json json = {{"format", kFormat},
               {"version", kVersion},
               {"fingerprint", index.fingerprint()},
               {"task", config::enum_name(index.task)},
               {"source_language", index.source_language},
               {"target_language", index.target_language},
               {"joint", index.joint},
               {"source_vocabulary", index.source_vocabulary},
               {"target_vocabulary", index.target_vocabulary},
               {"corpus_weights", index.corpus_weights}};
  if (!index.classes.empty()) json["classes"] = index.classes;
  for (size_t i = 0; i < kSplits.size(); ++i) {
    json["splits"][kSplits[i]] = {{"pairs", index.pairs[i]}, {"shards", index.shards[i]}};
  }
  json["files"] = Json::array();
  for (const FileEntry& file : index.files) {
    json["files"].push_back({{"name", file.name}, {"bytes", file.bytes}, {"xxh3", hex(file.checksum)}});
  }
  return json;
}

DataIndex read_index(const fs::path& folder) {
  const fs::path path = folder / kIndexFile;
  if (!fs::exists(path)) {
    fail("{}: wanted a folder made by `megin prepare`, found no {} in it; run `megin prepare` first",
         folder.string(), kIndexFile);
  }
  try {
    const Json json = Json::parse(read_file(path));
    if (json.value("format", "") != kFormat)
      fail("{}: this is no index of prepared data; prepare it again", path.string());
    if (const int64_t version = json.at("version"); version != kVersion) {
      fail("{}: this is data of version {}, wanted {}; prepare it again with this megin", path.string(),
           version, kVersion);
    }
    return from_json(json);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& damage) {
    fail("{}: this index of prepared data is damaged ({}); prepare the data again", path.string(),
         damage.what());
  }
}

}  // namespace megin::data
