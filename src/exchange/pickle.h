// Pickles (Python's object format, protocol 2) that hold plain data and PyTorch tensors, and nothing else. A
// pickle is a program for a stack machine whose GLOBAL and REDUCE operations can call any Python function:
// this machine knows six of these functions, calls none, and refuses every other by name.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "store/safetensors.h"

namespace megin::exchange {

// Numbers of one kind in a row, by the name of the file that holds them.
struct PickledStorage {
  std::string key;
  store::DType dtype = store::DType::kF32;
  int64_t elements = 0;
};

// A view of a storage, as the pickle says it: nothing is checked against the storage yet.
struct PickledTensor {
  PickledStorage storage;
  int64_t offset = 0;                   // in elements
  std::vector<int64_t> shape, strides;  // of the same size; strides in elements
};

struct PickledValue;

struct PickledList {
  std::vector<const PickledValue*> items;
};

struct PickledDict {
  std::vector<std::pair<const PickledValue*, const PickledValue*>> items;
};

struct PickledNone {};

// A name in a Python module: what GLOBAL leaves on the stack.
struct PickledGlobal {
  std::string name;  // "module name"
};

struct PickledValue {
  std::variant<PickledNone, bool, int64_t, double, std::string, PickledList, PickledDict, PickledGlobal,
               PickledStorage, PickledTensor>
      value;
};

// The values of one pickle, which may refer to each other in any way, and the one that it stands for.
struct Pickled {
  std::deque<PickledValue> all;  // addresses stay
  const PickledValue* root = nullptr;
};

// Throws Error, beginning with `where`, for what is no such pickle, is damaged, or names a function that is
// none of those for tensors and plain containers. Memory and time are bounded by the bytes' number.
Pickled read_pickle(std::span<const std::byte> bytes, const std::string& where);

}  // namespace megin::exchange
