#include "store/model_directory.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "config/run_config.h"
#include "store/tensor_names.h"

#ifndef MEGIN_VERSION
#error "the build defines MEGIN_VERSION"
#endif

namespace megin::store {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kConfigFile = "config.json";

ordered_json to_json(const Provenance& provenance) {
  ordered_json scores = ordered_json::object();
  for (const auto& [name, score] : provenance.scores) {
    if (std::isfinite(score)) scores[name] = score;  // JSON has no other numbers
  }
  return {{"method", provenance.method},
          {"updates", provenance.updates},
          {"seeds", provenance.seeds},
          {"data_checksum", provenance.data_checksum},
          {"scores", scores},
          {"averaged", provenance.averaged},
          {"megin_version", MEGIN_VERSION}};
}

Provenance provenance_from(const json& value) {
  Provenance provenance;
  value.at("method").get_to(provenance.method);
  value.at("updates").get_to(provenance.updates);
  value.at("seeds").get_to(provenance.seeds);
  value.at("data_checksum").get_to(provenance.data_checksum);
  value.at("scores").get_to(provenance.scores);
  value.at("averaged").get_to(provenance.averaged);
  value.at("megin_version").get_to(provenance.megin_version);
  return provenance;
}

// The names of the subword files in a model directory.
SubwordFiles names_of(const SubwordFiles& subwords) {
  if (subwords.joint()) return {.source = "subword.model", .target = "subword.model"};
  return {.source = "source.model", .target = "target.model"};
}

void write_config(const fs::path& file, const ModelDescription& description, const SubwordFiles& names) {
  ordered_json config = {{"format", kFormat},
                         {"model", config::model_to_json(description.model)},
                         {"source_language", description.source_language},
                         {"target_language", description.target_language},
                         {"tags", description.tags},
                         {"subwords", {{"source", names.source.string()}, {"target", names.target.string()}}},
                         {"provenance", to_json(description.provenance)}};
  if (!description.classes.empty()) config["classes"] = description.classes;
  write_file_atomically(file, config.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

// A file beside config.json that it names.
fs::path named_file(const fs::path& directory, const json& name) {
  const fs::path file = name.get<std::string>();
  if (file.empty() || file != file.filename() || file == "." || file == "..") {
    fail("{}: wanted the name of a subword file beside it, found '{}'", (directory / kConfigFile).string(),
         file.string());
  }
  if (!fs::is_regular_file(directory / file)) {
    fail("{}: not found, and {} names it as the subword model", (directory / file).string(), kConfigFile);
  }
  return directory / file;
}

// Of a classifier, one for each class.
void require_labels(const ModelDescription& description, const std::string& where) {
  if (static_cast<int64_t>(description.classes.size()) == description.model.classes) return;
  fail("{}: wanted labels of {} classes, as its model has them, found {}", where, description.model.classes,
       description.classes.size());
}

struct ConfigFile {
  ModelDescription description;
  SubwordFiles subwords;
};

ConfigFile parse_config(const fs::path& directory, const json& config) {
  const std::string where = (directory / kConfigFile).string();
  const auto format = config.at("format").get<int64_t>();
  if (format != kFormat) {
    fail("{}: wanted format {}, found {}; use the version of megin that wrote this model", where, kFormat,
         format);
  }
  ConfigFile result;
  ModelDescription& description = result.description;
  description.model = config::model_from_json(config.at("model"), where);
  config.at("source_language").get_to(description.source_language);
  config.at("target_language").get_to(description.target_language);
  config.at("tags").get_to(description.tags);
  description.classes = config.value("classes", std::vector<std::string>());
  require_labels(description, where);
  description.provenance = provenance_from(config.at("provenance"));
  result.subwords = {.source = named_file(directory, config.at("subwords").at("source")),
                     .target = named_file(directory, config.at("subwords").at("target"))};
  return result;
}

ConfigFile read_config(const fs::path& directory) {
  constexpr int kMostDepth = 16;  // what reads the values does so by recursion
  const fs::path file = directory / kConfigFile;
  const std::string text = read_file(file);
  const auto bounded = [&](int depth, json::parse_event_t, const json&) {
    if (depth > kMostDepth) fail("{}: not the config.json of a model: nested too deeply", file.string());
    return true;
  };
  try {
    return parse_config(directory, json::parse(text, bounded));
  } catch (const json::exception& error) {
    fail("{}: not the config.json of a model: {}", file.string(), error.what());
  } catch (const UsageError& error) {
    throw Error(error.what());  // the file is wrong, not the call
  }
}

void copy_files(const fs::path& from, const fs::path& to) {
  fs::create_directory(to);
  for (const fs::directory_entry& file : fs::directory_iterator(from)) {
    if (file.is_regular_file()) write_file_atomically(to / file.path().filename(), read_file(file.path()));
  }
}

// "out/" and "out" are the same directory; the temporary one must stand beside it, not in it.
fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() || !path.has_parent_path() ? path : path.parent_path();
}

void require_replaceable(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  const bool is_model =
      fs::is_regular_file(path / kConfigFile, error) && fs::is_regular_file(path / kWeightsFile, error);
  if (is_model || (fs::is_directory(path, error) && fs::is_empty(path, error))) return;
  fail("{}: exists and is not a model directory, so it is left alone; choose another name", path.string());
}

// Keeps the arithmetic of shapes far from overflow and the table of names no longer than the file's.
void check_size(const config::ModelConfig& config, size_t tensors, const std::string& where) {
  constexpr int64_t kMost = int64_t{1} << 31;
  for (const int64_t size :
       {config.width, config.feed_forward, config.max_length, config.experts.count, config.mixture.components,
        config.source_vocabulary, config.target_vocabulary, config.classes}) {
    if (size > kMost) fail("{}: a model dimension of {} is more than any model has", where, size);
  }
  const auto most_layers = static_cast<int64_t>(tensors);
  if (config.encoder_layers > most_layers || config.decoder_layers > most_layers ||
      config::stored_layers_of(config, config::Stack::kDecoder) > most_layers) {
    fail("{}: wanted the tensors of {} and {} layers, found {} tensors", where, config.encoder_layers,
         config.decoder_layers, tensors);
  }
}

}  // namespace

void check_tensors(const config::ModelConfig& config, std::span<const TensorView> found,
                   const std::string& where) {
  check_size(config, found.size(), where);
  std::map<std::string_view, const TensorView*> by_name;
  for (const TensorView& tensor : found) by_name[tensor.name] = &tensor;
  for (const TensorShape& wanted : tensor_shapes(config)) {
    const auto entry = by_name.find(wanted.name);
    if (entry == by_name.end()) {
      fail("{}: tensor '{}' of shape {} is missing", where, wanted.name, shape_text(wanted.shape));
    }
    const TensorView& tensor = *entry->second;
    if (tensor.shape != wanted.shape) {
      fail("{}: tensor '{}': wanted shape {} by the configuration, found {}", where, wanted.name,
           shape_text(wanted.shape), shape_text(tensor.shape));
    }
    if (tensor.dtype != DType::kF32) {
      fail("{}: tensor '{}': wanted dtype F32, found {}", where, wanted.name, dtype_name(tensor.dtype));
    }
    by_name.erase(entry);
  }
  if (!by_name.empty()) {
    fail("{}: tensor '{}' belongs to no part of the model that the configuration describes", where,
         by_name.begin()->first);
  }
}

void write_model_directory(const fs::path& path, const ModelDescription& description,
                           std::span<const TensorView> tensors, const SubwordFiles& subwords) {
  const fs::path target = without_trailing_slash(path);
  require_replaceable(target);
  check_tensors(description.model, tensors, target.string());
  require_labels(description, target.string());
  const SubwordFiles names = names_of(subwords);
  const auto fill = [&](const fs::path& directory) {
    write_safetensors(directory / kWeightsFile, tensors, {{"format", "megin"}});
    write_file_atomically(directory / names.source, read_file(subwords.source));
    if (!subwords.joint()) write_file_atomically(directory / names.target, read_file(subwords.target));
    if (!subwords.imported.empty()) copy_files(subwords.imported, directory / kImportedFolder);
    write_config(directory / kConfigFile, description, names);
  };
  write_directory_atomically(target, fill, true);
}

ModelDirectory open_model_directory(const fs::path& path) {
  if (!fs::is_directory(path)) {
    fail("{}: wanted a model directory (model.safetensors, config.json, subword model), found {}",
         path.string(), fs::exists(path) ? "a file" : "nothing");
  }
  ConfigFile config = read_config(path);
  if (fs::is_directory(path / kImportedFolder)) config.subwords.imported = path / kImportedFolder;
  ModelDirectory model{.path = path,
                       .description = std::move(config.description),
                       .subwords = std::move(config.subwords),
                       .weights = SafetensorsFile(path / kWeightsFile)};
  check_tensors(model.description.model, model.weights.tensors(), model.weights.path().string());
  return model;
}

}  // namespace megin::store
