#include "runtime/model_bundle.h"

#include "base/error.h"

namespace megin::runtime {
namespace {

void check_size(const text::SubwordModel& subword, const std::filesystem::path& file, int64_t vocabulary) {
  if (subword.size() != vocabulary) {
    fail("{}: wanted the {} symbols of the model's vocabulary, found {}; the directory mixes two models",
         file.string(), vocabulary, subword.size());
  }
}

}  // namespace

ModelBundle open_model(const std::filesystem::path& path) {
  const bool is_run = !std::filesystem::exists(path / "model.safetensors") &&
                      std::filesystem::exists(path / "model" / "model.safetensors");
  auto directory = std::make_shared<const store::ModelDirectory>(
      store::open_model_directory(is_run ? path / "model" : path));
  text::SubwordModel source(directory->subwords.source);
  text::SubwordModel target =
      directory->subwords.joint() ? source : text::SubwordModel(directory->subwords.target);
  check_size(source, directory->subwords.source, directory->description.model.source_vocabulary);
  check_size(target, directory->subwords.target, directory->description.model.target_vocabulary);
  auto weights = std::make_shared<const Weights>(directory->description.model, tensors_of(directory));
  return {std::move(directory), std::move(weights), std::move(source), std::move(target)};
}

}  // namespace megin::runtime
