#include "exchange/torch_file.h"

#include <cstring>
#include <string_view>

#include "base/error.h"
#include "exchange/pickle.h"

namespace megin::exchange {
namespace {

constexpr int kMostDepth = 8;            // of dictionaries in dictionaries
constexpr size_t kMostValues = 1 << 20;  // shared dictionaries might name one tensor without end
constexpr size_t kLongestName = 1000;

ZipArchive open_archive(const std::filesystem::path& path) {
  if (!is_zip(MappedFile(path).bytes())) {
    fail(
        "{}: wanted the zip format of torch.save (PyTorch 1.6 and later), found another, probably the older "
        "one; load and save it with a current PyTorch, best as safetensors",
        path.string());
  }
  return ZipArchive(path);
}

// Finds the tensors of a pickle and holds each against its storage.
class Collector {
 public:
  Collector(const ZipArchive& archive, std::string folder, std::vector<StridedTensor>& tensors)
      : archive_(archive), folder_(std::move(folder)), tensors_(tensors) {}

  void add(const PickledDict& dict, const std::string& prefix, int depth) {
    if (depth > kMostDepth) fail("{}: dictionaries are nested too deeply", where());
    for (const auto& [key, value] : dict.items) {
      const std::string* const name = std::get_if<std::string>(&key->value);
      if (name == nullptr) continue;
      if (prefix.size() + name->size() > kLongestName) fail("{}: the name of a tensor is too long", where());
      if (++visited_ > kMostValues) fail("{}: more values than any checkpoint has", where());
      if (const auto* const inner = std::get_if<PickledDict>(&value->value)) {
        add(*inner, prefix + *name + ".", depth + 1);
      } else if (const auto* const tensor = std::get_if<PickledTensor>(&value->value)) {
        tensors_.push_back(placed(*tensor, prefix + *name));
      }
    }
  }

 private:
  std::string where() const { return archive_.path().string(); }

  std::span<const std::byte> bytes_of(const PickledStorage& storage) const {
    const ZipMember* const member = archive_.find(folder_ + "data/" + storage.key);
    const auto bytes = static_cast<int64_t>(store::dtype_bytes(storage.dtype));
    if (member == nullptr || storage.elements < 0 ||
        storage.elements > static_cast<int64_t>(member->bytes.size()) / bytes) {
      fail("{}: the bytes of a storage of {} elements are missing; the file is damaged", where(),
           storage.elements);
    }
    return member->bytes.first(static_cast<size_t>(storage.elements * bytes));
  }

  StridedTensor placed(const PickledTensor& tensor, std::string name) const {
    const auto refuse = [&](std::string_view why) {
      fail("{}: a tensor of shape {} {}", where(), store::shape_text(tensor.shape), why);
    };
    const std::span<const std::byte> storage = bytes_of(tensor.storage);
    const int64_t elements = tensor.storage.elements;
    int64_t count = 1, last = tensor.offset;
    for (const int64_t size : tensor.shape) {
      if (size < 0) refuse("has a negative size");
      if (size == 0) count = 0;
    }
    if (tensor.offset < 0 || tensor.offset > elements) refuse("begins outside its storage");
    for (size_t i = 0; count > 0 && i < tensor.shape.size(); ++i) {
      const int64_t size = tensor.shape[i], stride = tensor.strides[i];
      if (size > elements / count) refuse("has more elements than its storage");
      count *= size;
      if (size == 1) continue;
      if (stride < 0 || stride > elements) refuse("has a stride outside its storage");
      if (stride > (elements - last) / (size - 1)) refuse("reaches past its storage");
      last += (size - 1) * stride;
    }
    if (count > 0 && last >= elements) refuse("reaches past its storage");
    const size_t bytes = store::dtype_bytes(tensor.storage.dtype);
    const auto first = static_cast<size_t>(tensor.offset) * bytes;
    const size_t length = count > 0 ? static_cast<size_t>(last - tensor.offset + 1) * bytes : 0;
    return {.name = std::move(name),
            .dtype = tensor.storage.dtype,
            .shape = tensor.shape,
            .strides = tensor.strides,
            .bytes = storage.subspan(first, length)};
  }

  const ZipArchive& archive_;
  std::string folder_;  // of all members
  std::vector<StridedTensor>& tensors_;
  size_t visited_ = 0;
};

bool is_row_major(const StridedTensor& tensor) {
  int64_t wanted = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != wanted) return false;
    wanted *= tensor.shape[i];
  }
  return true;
}

// Copies elements from dimension `dimension` on, row-major.
void gather(const StridedTensor& tensor, size_t element_bytes, size_t dimension, int64_t from,
            std::byte*& to) {
  if (dimension == tensor.shape.size()) {
    std::memcpy(to, tensor.bytes.data() + static_cast<size_t>(from) * element_bytes, element_bytes);
    to += element_bytes;
    return;
  }
  for (int64_t i = 0; i < tensor.shape[dimension]; ++i) {
    gather(tensor, element_bytes, dimension + 1, from + i * tensor.strides[dimension], to);
  }
}

}  // namespace

std::vector<float> to_floats(const StridedTensor& tensor) {
  store::TensorView view{
      .name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape, .bytes = tensor.bytes};
  if (tensor.bytes.empty() || is_row_major(tensor)) return store::to_floats(view);
  const size_t bytes = store::dtype_bytes(tensor.dtype);
  std::vector<std::byte> copy(static_cast<size_t>(store::element_count(tensor.shape)) * bytes);
  std::byte* to = copy.data();
  gather(tensor, bytes, 0, 0, to);
  view.bytes = copy;
  return store::to_floats(view);
}

TorchFile::TorchFile(const std::filesystem::path& path) : archive_(open_archive(path)) {
  constexpr std::string_view kPickle = "data.pkl";
  const ZipMember* pickle = nullptr;
  for (const ZipMember& member : archive_.members()) {
    if (member.name == kPickle || member.name.ends_with("/data.pkl")) pickle = &member;
  }
  if (pickle == nullptr)
    fail("{}: wanted a checkpoint of torch.save, found no data.pkl in it", path.string());
  const std::string folder = pickle->name.substr(0, pickle->name.size() - kPickle.size());
  if (const ZipMember* const order = archive_.find(folder + "byteorder")) {
    const std::string_view text(reinterpret_cast<const char*>(order->bytes.data()), order->bytes.size());
    if (text != "little") fail("{}: wanted little-endian numbers, found others", path.string());
  }
  const Pickled pickled = read_pickle(pickle->bytes, path.string());
  const auto* const dict = std::get_if<PickledDict>(&pickled.root->value);
  if (dict == nullptr) fail("{}: wanted a dictionary of tensors, found another object", path.string());
  Collector(archive_, folder, tensors_).add(*dict, "", 0);
}

}  // namespace megin::exchange
