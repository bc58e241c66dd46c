#include "exchange/source_tensors.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "exchange/foreign_json.h"
#include "exchange/torch_file.h"
#include "store/safetensors.h"

namespace megin::exchange {
namespace fs = std::filesystem;

SourceTensors::SourceTensors(const fs::path& folder) {
  for (const char* const name : {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                 "pytorch_model.bin.index.json"}) {
    file_ = folder / name;
    if (!fs::is_regular_file(file_)) continue;
    if (file_.extension() != ".json") {
      add_file(file_);
      return;
    }
    std::set<std::string> pieces;
    const nlohmann::json index = read_json(file_);
    const auto places = member<nlohmann::json>(index, "weight_map", file_);
    for (const auto& [tensor, piece] : places.items()) {
      if (!piece.is_string() || fs::path(piece.get<std::string>()).has_parent_path()) {
        fail("{}: wanted names of files beside it in weight_map, found {}", file_.string(), piece.dump());
      }
      pieces.insert(piece.get<std::string>());
    }
    for (const std::string& piece : pieces) add_file(folder / piece);
    return;
  }
  fail("{}: wanted a checkpoint, found neither model.safetensors nor pytorch_model.bin in it",
       folder.string());
}

void SourceTensors::add_file(const fs::path& path) {
  if (path.extension() == ".safetensors") {
    const auto file = std::make_shared<const store::SafetensorsFile>(path);
    for (const store::TensorView& tensor : file->tensors()) {
      add(tensor.name, {tensor.shape, [file, &tensor] { return store::to_floats(tensor); }});
    }
    return;
  }
  const auto file = std::make_shared<const TorchFile>(path);
  for (const StridedTensor& tensor : file->tensors()) {
    add(tensor.name, {tensor.shape, [file, &tensor] { return to_floats(tensor); }});
  }
}

void SourceTensors::add(const std::string& name, SourceTensor tensor) {
  if (!tensors_.emplace(name, std::move(tensor)).second) {
    fail("{}: tensor '{}' stands twice in this checkpoint", file_.string(), name);
  }
}

}  // namespace megin::exchange
