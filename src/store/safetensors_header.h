// The JSON header of a safetensors file, read without building a document of it: memory stays in proportion
// to the tensors described, whatever a file says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/safetensors.h"

namespace megin::store {

// What the header says of one tensor, checked for form only.
struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // each at least 0
  uint64_t begin = 0;          // offsets into the data
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;
  Metadata metadata;
};

// Throws Error without naming the file: "the header ...".
SafetensorsHeader parse_safetensors_header(std::string_view json);

// The header of a file that holds these tensors one after another, padded to a multiple of 8 bytes.
std::string safetensors_header(std::span<const TensorView> tensors, const Metadata& metadata);

// A name from a file as a message may show it: quoted, shortened, without control characters.
std::string shown_name(std::string_view name);

}  // namespace megin::store
