// Whole folders: a checkpoint of another program as a model directory, and a model directory as such a
// checkpoint.
#pragma once

#include <filesystem>
#include <string>

#include "store/model_directory.h"

namespace megin::exchange {

// Writes the checkpoint in `folder` (transformers' gpt2, marian, t5, bert and roberta) as the model directory
// `output`, whole or not at all; its config and tokenizer files are kept in it, in `imported/`, and in a
// model.safetensors there the tensors that an export needs beside the model's (kept_tensors()). Returns what
// was written. Throws Error as read_plan(), SourceTensors and import_tensors() do, before anything is
// written.
store::ModelDescription import_model(const std::filesystem::path& folder,
                                     const std::filesystem::path& output);

// Writes a dense model as such a checkpoint: model.safetensors, config.json and tokenizer files as in
// `files`, the folder of the imported model's files, or the checkpoint itself. What was imported comes back
// bit for bit, as fp32. A classifier over the files of a bert or roberta is written with its own head and
// labels, whatever head these describe. Returns the kind ("gpt2"). Throws UsageError for a model that is none
// of what `files` describe, naming a key that differs; Error when `output` exists.
std::string export_model(const store::ModelDirectory& model, const std::filesystem::path& files,
                         const std::filesystem::path& output);

// The same of a dense model that was not imported, where transformers has its architecture: a causal_lm as
// gpt2, an encoder_decoder as marian. Importing what was written gives the same logits bit for bit. Throws
// UsageError as describe_own_model() does; Error when `output` exists.
std::string export_own_model(const store::ModelDirectory& model, const std::filesystem::path& output);

}  // namespace megin::exchange
