#include "data/prepared_data.h"

#include "base/error.h"
#include "base/files.h"
#include "data/data_index.h"

namespace megin::data {
namespace {

namespace fs = std::filesystem;

bool is_shard(const FileEntry& file) {
  return fs::path(file.name).extension() == ".shard";
}

void check_size(const fs::path& path, const FileEntry& file) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  if (error) fail("{}: this file of the prepared data is missing; prepare the data again", path.string());
  if (bytes != file.bytes) {
    fail("{}: wanted {} bytes, found {}; prepare the data again", path.string(), file.bytes, bytes);
  }
}

void check_content(const fs::path& path, const FileEntry& file) {
  if (file_checksum(path) != file.checksum) {
    fail("{}: the content does not match its checksum; prepare the data again", path.string());
  }
}

std::vector<std::string> read_lines(const fs::path& path, int64_t wanted) {
  const std::string text = read_file(path);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (static_cast<int64_t>(lines.size()) != wanted) {
    fail("{}: wanted {} lines, found {}; prepare the data again", path.string(), wanted, lines.size());
  }
  return lines;
}

ParallelText read_text(const PreparedData& data, const std::string& split, int64_t lines) {
  ParallelText text;
  if (data.task == config::Task::kBytes || data.task == config::Task::kClassification) return text;
  if (data.task == config::Task::kTranslation) {
    text.source = read_lines(data.folder / (split + ".src"), lines);
  }
  text.target = read_lines(data.folder / (split + ".tgt"), lines);
  return text;
}

// What batches and losses take for granted.
void check_classes(const PreparedData& data) {
  if (data.task != config::Task::kClassification) return;
  const auto classes = static_cast<int64_t>(data.classes.size());
  for (const ExampleSet* set : {&data.train, &data.valid, &data.test}) {
    for (int64_t i = 0; i < set->size(); ++i) {
      const auto label = set->example(i).source;
      if (label.size() == 1 && label[0] >= 0 && label[0] < classes) continue;
      fail("{}: wanted one class below {} for each sentence, found something else; prepare the data again",
           data.folder.string(), classes);
    }
  }
}

ExampleSet open_split(const fs::path& folder, const DataIndex& index, size_t split) {
  ExampleSet set(folder, kSplits[split], index.shards[split]);
  if (set.size() != index.pairs[split]) {
    fail("{}: wanted {} pairs for {}, found {}; prepare the data again", folder.string(), index.pairs[split],
         kSplits[split], set.size());
  }
  return set;
}

std::shared_ptr<const text::SubwordModel> open_model(const fs::path& path, int64_t vocabulary) {
  auto model = std::make_shared<const text::SubwordModel>(path);
  if (model->size() != vocabulary) {
    fail("{}: wanted a model of {} symbols, found {}; prepare the data again", path.string(), vocabulary,
         model->size());
  }
  return model;
}

}  // namespace

PreparedData open_prepared(const fs::path& folder) {
  const DataIndex index = read_index(folder);
  for (const FileEntry& file : index.files) {
    check_size(folder / file.name, file);
    if (!is_shard(file)) check_content(folder / file.name, file);
  }
  PreparedData data;
  data.task = index.task;
  data.folder = folder;
  data.source_language = index.source_language;
  data.target_language = index.target_language;
  data.train = open_split(folder, index, 0);
  data.valid = open_split(folder, index, 1);
  data.test = open_split(folder, index, 2);
  data.valid_text = read_text(data, "valid", data.valid.size());
  data.joint = index.joint;
  data.source_vocabulary = index.source_vocabulary;
  data.target_vocabulary = index.target_vocabulary;
  data.source_subword =
      open_model(folder / (index.joint ? kJointModelFile : kSourceModelFile), index.source_vocabulary);
  data.target_subword =
      index.joint ? data.source_subword : open_model(folder / kTargetModelFile, index.target_vocabulary);
  data.classes = index.classes;
  check_classes(data);
  data.corpus_weights = index.corpus_weights;
  data.fingerprint = index.fingerprint();
  return data;
}

void verify_prepared(const fs::path& folder) {
  for (const FileEntry& file : read_index(folder).files) {
    check_size(folder / file.name, file);
    check_content(folder / file.name, file);
  }
}

ParallelText test_text(const PreparedData& data) {
  return read_text(data, "test", data.test.size());
}

}  // namespace megin::data
