#include "store/safetensors_header.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/error.h"

namespace megin::store {
namespace {

using nlohmann::json;

constexpr size_t kMostDimensions = 32;
constexpr std::string_view kMetadataKey = "__metadata__";

struct DTypeRow {
  DType dtype;
  std::string_view name;
  size_t bytes;
};
constexpr std::array<DTypeRow, 13> kDTypes = {{{DType::kF64, "F64", 8},
                                               {DType::kF32, "F32", 4},
                                               {DType::kF16, "F16", 2},
                                               {DType::kBF16, "BF16", 2},
                                               {DType::kI64, "I64", 8},
                                               {DType::kI32, "I32", 4},
                                               {DType::kI16, "I16", 2},
                                               {DType::kI8, "I8", 1},
                                               {DType::kU64, "U64", 8},
                                               {DType::kU32, "U32", 4},
                                               {DType::kU16, "U16", 2},
                                               {DType::kU8, "U8", 1},
                                               {DType::kBool, "BOOL", 1}}};

DType parse_dtype(const std::string& name, const std::string& tensor) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row.dtype;
  }
  fail("tensor {} has dtype {}, which is not among those that are read (F64 to U8, BOOL)", shown_name(tensor),
       shown_name(name));
}

// Takes the events of the JSON parser. Depth 1: tensor names; 2: fields of a tensor or of the metadata;
// 3: the numbers of a shape or of offsets.
class HeaderReader {
 public:
  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a truth value"); }
  bool number_float(double, const std::string&) { return unexpected("a fraction"); }
  bool binary(json::binary_t&) { return unexpected("binary data"); }

  bool number_integer(int64_t) { return unexpected("a negative number"); }

  bool number_unsigned(uint64_t value) {
    if (depth_ != 3) return unexpected("a number");
    const size_t most = field_ == Field::kShape ? kMostDimensions : 2;
    if (numbers_.size() == most) {
      fail("{} of tensor {} has more than {} numbers", field_name(), shown_name(name_), most);
    }
    numbers_.push_back(value);
    return true;
  }

  bool string(std::string& value) {
    if (depth_ == 2 && in_metadata_) {
      if (!header_.metadata.emplace(field_key_, std::move(value)).second) {
        fail("the metadata key {} stands twice in the header", shown_name(field_key_));
      }
      return true;
    }
    if (depth_ != 2 || field_ != Field::kDType) return unexpected("a string");
    entry_.dtype = parse_dtype(value, name_);
    return true;
  }

  bool start_object(size_t) {
    if (depth_ >= 2) return unexpected("an object");
    ++depth_;
    return true;
  }

  bool key(std::string& key) {
    if (depth_ == 1) {
      start_entry(std::move(key));
    } else if (in_metadata_) {
      field_key_ = std::move(key);
    } else {
      start_field(key);
    }
    return true;
  }

  bool end_object() {
    if (depth_ == 2 && !in_metadata_) finish_entry();
    --depth_;
    return true;
  }

  bool start_array(size_t) {
    if (depth_ != 2 || in_metadata_ || (field_ != Field::kShape && field_ != Field::kOffsets)) {
      return unexpected("a list");
    }
    ++depth_;
    numbers_.clear();
    return true;
  }

  bool end_array() {
    --depth_;
    if (field_ == Field::kShape) {
      for (const uint64_t size : numbers_) {
        if (size > INT64_MAX) fail("tensor {} has the dimension {}", shown_name(name_), size);
        entry_.shape.push_back(static_cast<int64_t>(size));
      }
    } else {
      if (numbers_.size() != 2) fail("data_offsets of tensor {} are not two numbers", shown_name(name_));
      entry_.begin = numbers_[0];
      entry_.end = numbers_[1];
    }
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception&) {
    fail("the header is not JSON at its byte {}", position);
  }

  SafetensorsHeader take() { return std::move(header_); }

 private:
  enum class Field { kDType, kShape, kOffsets };

  void start_entry(std::string name) {
    name_ = std::move(name);
    in_metadata_ = name_ == kMetadataKey;
    if (in_metadata_ && std::exchange(has_metadata_, true)) fail("the header has two __metadata__ entries");
    entry_ = {};
    seen_ = {};
  }

  void start_field(const std::string& key) {
    if (key == "dtype") {
      field_ = Field::kDType;
    } else if (key == "shape") {
      field_ = Field::kShape;
    } else if (key == "data_offsets") {
      field_ = Field::kOffsets;
    } else {
      fail("tensor {} has the unknown field {}", shown_name(name_), shown_name(key));
    }
    if (std::exchange(seen_[static_cast<size_t>(field_)], true)) {
      fail("tensor {} has {} twice", shown_name(name_), field_name());
    }
  }

  void finish_entry() {
    for (const Field field : {Field::kDType, Field::kShape, Field::kOffsets}) {
      field_ = field;
      if (!seen_[static_cast<size_t>(field)]) fail("tensor {} has no {}", shown_name(name_), field_name());
    }
    entry_.name = std::move(name_);
    header_.tensors.push_back(std::move(entry_));
  }

  bool unexpected(std::string_view what) {
    if (depth_ == 0) fail("the header is {}, not an object", what);
    fail("the header has {} where it cannot be, in the entry {}", what, shown_name(name_));
  }

  std::string_view field_name() const {
    return std::array<std::string_view, 3>{"dtype", "shape", "data_offsets"}[static_cast<size_t>(field_)];
  }

  SafetensorsHeader header_;
  int depth_ = 0;
  bool in_metadata_ = false;
  bool has_metadata_ = false;
  std::string name_;
  std::string field_key_;
  Field field_ = Field::kDType;
  std::array<bool, 3> seen_ = {};
  TensorEntry entry_;
  std::vector<uint64_t> numbers_;
};

std::string json_string(std::string_view text) {
  try {
    return json(text).dump();
  } catch (const json::exception&) {
    fail("the name {} is not UTF-8 and cannot be written to a safetensors file", shown_name(text));
  }
}

}  // namespace

std::string_view dtype_name(DType dtype) {
  return kDTypes[static_cast<size_t>(dtype)].name;
}

size_t dtype_bytes(DType dtype) {
  return kDTypes[static_cast<size_t>(dtype)].bytes;
}

std::string shown_name(std::string_view name) {
  constexpr size_t kMost = 100;
  std::string shown = "'";
  for (const char c : name.substr(0, kMost))
    shown += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return shown + (name.size() > kMost ? "...'" : "'");
}

SafetensorsHeader parse_safetensors_header(std::string_view text) {
  HeaderReader reader;
  json::sax_parse(text, &reader);
  return reader.take();
}

std::string safetensors_header(std::span<const TensorView> tensors, const Metadata& metadata) {
  std::vector<std::string> entries;
  if (!metadata.empty())
    entries.push_back(fmt::format("{}:{}", json_string(kMetadataKey), json(metadata).dump()));
  uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    const uint64_t end = offset + tensor.bytes.size();
    entries.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                  json_string(tensor.name), dtype_name(tensor.dtype),
                                  fmt::join(tensor.shape, ","), offset, end));
    offset = end;
  }
  std::string header = fmt::format("{{{}}}", fmt::join(entries, ","));
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

}  // namespace megin::store
