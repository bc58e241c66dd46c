// What commands have in common that make a model directory out of another (convert, export, calibrate).
#pragma once

#include <functional>
#include <string>

#include "cli/command.h"
#include "store/expert_conversion.h"

namespace megin::cli {

// The arguments MODEL and OUT of `command`; `wanted` says what a MODEL may be.
void add_model_and_output(CLI::App& command, const std::string& wanted, std::string& model,
                          std::string& output);

using Rewrite = std::function<store::ConvertedModel(const config::ModelConfig& model,
                                                    const store::TensorLookup& tensors)>;

// Calls `rewrite` with the model in `given` (a model or run directory), writes what it returns as the model
// directory `output`, and says so; `how`, in a few words, goes into its provenance. Throws UsageError, with
// the model's path, for what `rewrite` refuses.
void write_rewritten(const std::string& given, const std::string& output, const std::string& how,
                     CommandContext& context, const Rewrite& rewrite);

}  // namespace megin::cli
