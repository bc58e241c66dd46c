// A model directory: all that serving needs, in one folder that can be copied anywhere.
//
//   model.safetensors   the tensors of tensor_names.h, fp32
//   config.json         format version, model dimensions, languages, subword files, provenance
//   subword.model       the subword model; source.model and target.model when the sides have their own
//   imported/           config and tokenizer files of an imported model, which an export gives back
//
// Described for other programs in docs/model_format.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "store/safetensors.h"

namespace megin::store {

inline constexpr const char* kImportedFolder = "imported";

// Where a model comes from.
struct Provenance {
  std::string method;           // thor, r_drop, dense ...
  int64_t updates = 0;          // of training
  std::vector<uint64_t> seeds;  // of the run, or of the runs that were averaged
  std::string data_checksum;    // of the prepared data, as `megin prepare` printed it; empty: unknown
  std::map<std::string, double> scores;  // of the best validation: "loss", "bleu" ...; finite
  std::vector<std::string> averaged;     // the models or checkpoints this one is the mean of; empty: none
  std::string megin_version;             // set by write_model_directory

  bool operator==(const Provenance&) const = default;
};

struct ModelDescription {
  config::ModelConfig model;  // with both vocabularies' sizes filled in
  std::string source_language;
  std::string target_language;
  std::vector<std::string> tags;          // target-language tags the model was trained with; empty: none
  std::vector<std::string> classes = {};  // labels of a classifier, as many as model.classes; else none
  Provenance provenance;
};

// Subword model files; equal paths: one joint model.
struct SubwordFiles {
  std::filesystem::path source;
  std::filesystem::path target;
  std::filesystem::path imported = {};  // folder of what an imported model's program has; empty: none

  bool joint() const { return source == target; }
};

// Writes a model directory as a whole or not at all, replacing one that is there; the subword files are
// copied into it. Throws Error when a tensor is missing, left over or has the wrong shape, or on a full disk,
// and when `path` exists but is not a model directory.
void write_model_directory(const std::filesystem::path& path, const ModelDescription& description,
                           std::span<const TensorView> tensors, const SubwordFiles& subwords);

// An opened model directory. Safe to read from any number of threads.
struct ModelDirectory {
  std::filesystem::path path;
  ModelDescription description;
  SubwordFiles subwords;    // paths inside the directory
  SafetensorsFile weights;  // mapped; holds every tensor of tensor_shapes(description.model), in its shape
};

// Opens and validates. Throws Error naming the file, key or tensor that is missing or wrong, and the shape
// wanted and found.
ModelDirectory open_model_directory(const std::filesystem::path& path);

// Throws Error unless `found` are exactly the tensors of a model of `config`, all fp32. `where` names them in
// messages.
void check_tensors(const config::ModelConfig& config, std::span<const TensorView> found,
                   const std::string& where);

}  // namespace megin::store
