#include "exchange/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/error.h"

namespace megin::exchange {
namespace {

using store::DType;

struct StorageType {
  std::string_view name;
  DType dtype;
};
constexpr StorageType kStorages[] = {
    {"torch FloatStorage", DType::kF32},     {"torch HalfStorage", DType::kF16},
    {"torch BFloat16Storage", DType::kBF16}, {"torch DoubleStorage", DType::kF64},
    {"torch LongStorage", DType::kI64},      {"torch IntStorage", DType::kI32},
    {"torch ShortStorage", DType::kI16},     {"torch CharStorage", DType::kI8},
    {"torch ByteStorage", DType::kU8},       {"torch BoolStorage", DType::kBool},
};
constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr std::string_view kTensor = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kParameter = "torch._utils _rebuild_parameter";

// What a reference to a value may copy is short, so that memory is bounded by the pickle's length.
constexpr size_t kMostDimensions = 64, kLongestKey = 64;

bool is_known(std::string_view name) {
  return name == kOrderedDict || name == kTensor || name == kParameter ||
         std::ranges::find(kStorages, name, &StorageType::name) != std::end(kStorages);
}

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  Pickled run() {
    while (!step()) continue;
    result_.root = pop();
    return std::move(result_);
  }

 private:
  using Value = PickledValue;

  [[noreturn]] void damaged(std::string_view what) const {
    fail("{}: wanted a pickle of tensors and plain containers, found a damaged one: {}", where_, what);
  }

  // Reading.
  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) damaged("it ends too early");
    const std::string_view read(reinterpret_cast<const char*>(bytes_.data()) + at_, count);
    at_ += count;
    return read;
  }
  uint64_t number(uint64_t bytes) {
    uint64_t value = 0;
    const std::string_view read = take(bytes);
    for (uint64_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(read[i]);
    return value;
  }
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
    const size_t end = rest.find('\n');
    if (end == rest.npos) damaged("it ends too early");
    take(end + 1);
    return rest.substr(0, end);
  }

  // The stack.
  template <typename T>
  void push(T value) {
    stack_.push_back(&result_.all.emplace_back(Value{std::move(value)}));
  }
  Value* pop() {
    if (stack_.size() <= bottom()) damaged("its stack is empty");
    Value* const value = stack_.back();
    stack_.pop_back();
    return value;
  }
  Value* top() {
    Value* const value = pop();
    stack_.push_back(value);
    return value;
  }
  size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<const Value*> pop_to_mark() {
    if (marks_.empty()) damaged("a mark is missing");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<const Value*> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return values;
  }
  void push_tuple(size_t count) {
    PickledList tuple;
    for (size_t i = 0; i < count; ++i) tuple.items.push_back(pop());
    std::ranges::reverse(tuple.items);
    push(std::move(tuple));
  }

  template <typename T>
  const T& as(const Value* value, std::string_view what) const {
    const T* const found = std::get_if<T>(&value->value);
    if (found == nullptr) damaged(fmt::format("{} is of another kind", what));
    return *found;
  }
  const std::vector<const Value*>& tuple_of(const Value* value, size_t least, std::string_view what) const {
    const auto& items = as<PickledList>(value, what).items;
    if (items.size() < least) damaged(fmt::format("{} has {} parts", what, items.size()));
    return items;
  }

  void append(std::span<const Value* const> items) {
    auto* const list = std::get_if<PickledList>(&top()->value);
    if (list == nullptr) damaged("something is appended to what is no list");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
  void set_items(std::span<const Value* const> items) {
    auto* const dict = std::get_if<PickledDict>(&top()->value);
    if (dict == nullptr || items.size() % 2 != 0) damaged("items are set in what is no dictionary");
    for (size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
  }

  void global() {
    const std::string_view module = line(), name = line();
    std::string full = fmt::format("{} {}", module, name);
    if (!is_known(full)) {
      fail(
          "{}: wanted tensors and plain containers, found the Python object {}.{}, which is not run; save "
          "the "
          "weights alone, best as safetensors",
          where_, shown(module), shown(name));
    }
    push(PickledGlobal{std::move(full)});
  }
  // Of the file's bytes what can be printed.
  static std::string shown(std::string_view text) {
    std::string clean(text.substr(0, 100));
    for (char& c : clean) c = c >= ' ' && c <= '~' ? c : '?';
    return clean;
  }

  void reduce() {
    const Value* const arguments = pop();
    const std::string& name = as<PickledGlobal>(pop(), "what is called").name;
    if (name == kOrderedDict) {
      if (!tuple_of(arguments, 0, "OrderedDict").empty()) damaged("an OrderedDict is made with arguments");
      push(PickledDict{});
    } else if (name == kTensor) {
      push(tensor(tuple_of(arguments, 4, "a tensor")));
    } else if (name == kParameter) {
      push(as<PickledTensor>(tuple_of(arguments, 1, "a parameter")[0], "a parameter"));
    } else {
      damaged("a storage is called");
    }
  }

  std::vector<int64_t> numbers(const Value* value, std::string_view what) const {
    std::vector<int64_t> found;
    for (const Value* const item : tuple_of(value, 0, what)) found.push_back(as<int64_t>(item, what));
    return found;
  }

  PickledTensor tensor(std::span<const Value* const> parts) const {
    if (tuple_of(parts[2], 0, "a tensor's shape").size() > kMostDimensions)
      damaged("a tensor has no end of dimensions");
    if (tuple_of(parts[3], 0, "a tensor's strides").size() != tuple_of(parts[2], 0, "").size()) {
      damaged("a tensor has a stride too few or too many");
    }
    return {.storage = as<PickledStorage>(parts[0], "a tensor's storage"),
            .offset = as<int64_t>(parts[1], "a tensor's offset"),
            .shape = numbers(parts[2], "a tensor's shape"),
            .strides = numbers(parts[3], "a tensor's strides")};
  }

  // ('storage', type, key, location, elements)
  void storage() {
    const auto& parts = tuple_of(pop(), 5, "a storage");
    if (as<std::string>(parts[0], "a storage's mark") != "storage") damaged("an unknown persistent object");
    const std::string& type = as<PickledGlobal>(parts[1], "a storage's type").name;
    const std::string& key = as<std::string>(parts[2], "a storage's key");
    if (key.size() > kLongestKey) damaged("a storage's key is too long");
    const auto* const known = std::ranges::find(kStorages, type, &StorageType::name);
    if (known == std::end(kStorages)) damaged("a storage's type is none");
    push(PickledStorage{
        .key = key, .dtype = known->dtype, .elements = as<int64_t>(parts[4], "a storage's size")});
  }

  void memorise(uint64_t place) { memo_[place] = top(); }
  void recall(uint64_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) damaged("it recalls what it never stored");
    stack_.push_back(found->second);
  }

  void long_number() {
    const uint64_t bytes = number(1);
    if (bytes > 8) damaged("a number does not fit into 64 bits");
    uint64_t value = number(bytes);
    if (bytes > 0 && bytes < 8 && (value >> (8 * bytes - 1) & 1) != 0) value |= ~uint64_t{0} << (8 * bytes);
    push(static_cast<int64_t>(value));
  }

  void real_number() {  // big-endian
    uint64_t bits = 0;
    for (const char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
    push(std::bit_cast<double>(bits));
  }

  bool step();  // true: that was the last

  std::span<const std::byte> bytes_;
  const std::string& where_;
  uint64_t at_ = 0;
  Pickled result_;
  std::vector<Value*> stack_;
  std::vector<size_t> marks_;  // sizes of the stack
  std::unordered_map<uint64_t, Value*> memo_;
};

// The operations of protocol 2 that a checkpoint has, by their bytes (Python's pickletools).
bool Machine::step() {
  const auto operation = static_cast<unsigned char>(take(1)[0]);
  switch (operation) {
    case 0x80:  // PROTO
      if (const uint64_t protocol = number(1); protocol != 2) {
        fail("{}: wanted a pickle of protocol 2, as torch.save writes it, found protocol {}", where_,
             protocol);
      }
      return false;
    case '.':  // STOP
      return true;
    case '(':  // MARK
      marks_.push_back(stack_.size());
      return false;
    case 'N':
      push(PickledNone{});
      return false;
    case 0x88:  // NEWTRUE, NEWFALSE
    case 0x89:
      push(operation == 0x88);
      return false;
    case 'J':  // BININT
      push(int64_t{static_cast<int32_t>(number(4))});
      return false;
    case 'K':  // BININT1, BININT2
    case 'M':
      push(static_cast<int64_t>(number(operation == 'K' ? 1 : 2)));
      return false;
    case 0x8A:  // LONG1
      long_number();
      return false;
    case 'G':  // BINFLOAT
      real_number();
      return false;
    case 'X':  // BINUNICODE
    case 'T':  // BINSTRING
      push(std::string(take(number(4))));
      return false;
    case 'U':  // SHORT_BINSTRING
      push(std::string(take(number(1))));
      return false;
    case ']':
      push(PickledList{});
      return false;
    case ')':
      push_tuple(0);
      return false;
    case 't':  // TUPLE
      push(PickledList{pop_to_mark()});
      return false;
    case 0x85:  // TUPLE1, TUPLE2, TUPLE3
    case 0x86:
    case 0x87:
      push_tuple(operation - 0x84U);
      return false;
    case '}':
      push(PickledDict{});
      return false;
    case 'a': {  // APPEND
      const Value* const item = pop();
      append({&item, 1});
      return false;
    }
    case 'e':  // APPENDS
      append(pop_to_mark());
      return false;
    case 's': {  // SETITEM
      const Value* const value = pop();
      const std::array<const Value*, 2> item = {pop(), value};
      set_items(item);
      return false;
    }
    case 'u':  // SETITEMS
      set_items(pop_to_mark());
      return false;
    case 'c':
      global();
      return false;
    case 'R':
      reduce();
      return false;
    case 'b':  // BUILD: what a state_dict has beside its items
      pop();
      if (!std::holds_alternative<PickledDict>(top()->value)) damaged("a state is given to no dictionary");
      return false;
    case 'Q':  // BINPERSID
      storage();
      return false;
    case 'q':  // BINPUT, LONG_BINPUT
    case 'r':
      memorise(number(operation == 'q' ? 1 : 4));
      return false;
    case 'h':  // BINGET, LONG_BINGET
    case 'j':
      recall(number(operation == 'h' ? 1 : 4));
      return false;
    default:
      fail("{}: wanted the operations that a checkpoint needs, found 0x{:02x} at byte {} of its pickle",
           where_, operation, at_ - 1);
  }
}

}  // namespace

Pickled read_pickle(std::span<const std::byte> bytes, const std::string& where) {
  return Machine(bytes, where).run();
}

}  // namespace megin::exchange
