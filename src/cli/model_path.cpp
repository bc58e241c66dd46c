#include "cli/model_path.h"

#include "base/error.h"

namespace megin::cli {

std::filesystem::path find_model(const std::string& given) {
  namespace fs = std::filesystem;
  const fs::path path(given);
  if (fs::exists(path / "model.safetensors")) return path;
  if (fs::exists(path / "model" / "model.safetensors")) return path / "model";
  fail(
      "{}: wanted a model directory or a run directory with a model, found {}; 'megin train' writes "
      "RUN/model at its end",
      given, fs::exists(path) ? "no model.safetensors in it" : "nothing there");
}

}  // namespace megin::cli
