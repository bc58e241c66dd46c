#include "exchange/zip_archive.h"

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace megin::exchange {
namespace {

constexpr uint32_t kMemberMark = 0x04034B50, kDirectoryMark = 0x02014B50, kEndMark = 0x06054B50;
constexpr uint32_t kEnd64Mark = 0x06064B50, kLocatorMark = 0x07064B50;
constexpr uint64_t kIn64 = 0xFFFFFFFF;  // a field whose value stands among the zip64 fields
constexpr uint64_t kEndBytes = 22, kLocatorBytes = 20, kLongestComment = 0xFFFF;

// Little-endian numbers anywhere in a file; reading past its end throws.
class Bytes {
 public:
  Bytes(std::span<const std::byte> all, std::string name) : all_(all), name_(std::move(name)) {}

  uint64_t size() const { return all_.size(); }

  std::span<const std::byte> part(uint64_t at, uint64_t count) const {
    if (at > all_.size() || count > all_.size() - at) damaged("it ends too early");
    return all_.subspan(at, count);
  }

  uint64_t number(uint64_t at, uint64_t bytes) const {
    uint64_t value = 0;
    const auto read = part(at, bytes);
    for (uint64_t i = bytes; i-- > 0;) value = value << 8 | static_cast<uint64_t>(read[i]);
    return value;
  }

  bool has_mark(uint64_t at, uint32_t mark) const {
    return at <= size() && size() - at >= 4 && number(at, 4) == mark;
  }

  std::string text(uint64_t at, uint64_t count) const {
    const auto read = part(at, count);
    return {reinterpret_cast<const char*>(read.data()), read.size()};
  }

  [[noreturn]] void damaged(std::string_view what) const {
    fail("{}: wanted a zip archive as PyTorch writes it, found a damaged one: {}", name_, what);
  }

 private:
  std::span<const std::byte> all_;
  std::string name_;
};

struct Directory {
  uint64_t first = 0;  // byte
  uint64_t members = 0;
};

uint64_t find_end(const Bytes& file) {
  if (file.size() < kEndBytes) file.damaged("it is too short");
  const uint64_t last = file.size() - kEndBytes;
  for (uint64_t back = 0; back <= std::min(last, kLongestComment); ++back) {
    if (file.has_mark(last - back, kEndMark)) return last - back;
  }
  file.damaged("its end is missing");
}

Directory find_directory(const Bytes& file) {
  const uint64_t end = find_end(file);
  if (end >= kLocatorBytes && file.has_mark(end - kLocatorBytes, kLocatorMark)) {
    const uint64_t end64 = file.number(end - kLocatorBytes + 8, 8);
    if (end64 > file.size() || !file.has_mark(end64, kEnd64Mark)) file.damaged("its zip64 end is missing");
    return {.first = file.number(end64 + 48, 8), .members = file.number(end64 + 32, 8)};
  }
  return {.first = file.number(end + 16, 4), .members = file.number(end + 10, 2)};
}

// What an entry of the directory says of its member.
struct Entry {
  uint64_t packed = 0, size = 0, header = 0;
};

// The zip64 fields replace, in this order, those that do not fit into four bytes.
void read_zip64(const Bytes& file, uint64_t at, uint64_t count, Entry& entry) {
  const uint64_t end = at + count;
  while (at + 4 <= end) {
    const uint64_t kind = file.number(at, 2), size = file.number(at + 2, 2);
    at += 4;
    if (size > end - at) return;  // padding, which is no field
    if (kind == 1) {
      uint64_t from = at;
      for (uint64_t* const field : {&entry.size, &entry.packed, &entry.header}) {
        if (*field != kIn64 || from + 8 > at + size) continue;
        *field = file.number(from, 8);
        from += 8;
      }
    }
    at += size;
  }
}

ZipMember read_member(const Bytes& file, uint64_t& at) {
  if (!file.has_mark(at, kDirectoryMark)) file.damaged("an entry of its directory is missing");
  const uint64_t flags = file.number(at + 8, 2), method = file.number(at + 10, 2);
  Entry entry{
      .packed = file.number(at + 20, 4), .size = file.number(at + 24, 4), .header = file.number(at + 42, 4)};
  const uint64_t name = file.number(at + 28, 2), extra = file.number(at + 30, 2);
  const uint64_t comment = file.number(at + 32, 2);
  ZipMember member{.name = file.text(at + 46, name), .bytes = {}};
  file.part(at + 46 + name, extra);
  read_zip64(file, at + 46 + name, extra, entry);
  if ((flags & 1) != 0) file.damaged(fmt::format("'{}' is encrypted", member.name));
  if (method != 0 || entry.packed != entry.size) {
    file.damaged(fmt::format("'{}' is compressed, which PyTorch never does", member.name));
  }
  if (entry.header > file.size() || !file.has_mark(entry.header, kMemberMark)) {
    file.damaged(fmt::format("'{}' is not where its directory says", member.name));
  }
  const uint64_t before = 30 + file.number(entry.header + 26, 2) + file.number(entry.header + 28, 2);
  member.bytes = file.part(entry.header + before, entry.size);
  at += 46 + name + extra + comment;
  return member;
}

}  // namespace

ZipArchive::ZipArchive(const std::filesystem::path& path) : file_(path) {
  const Bytes file(file_.bytes(), path.string());
  const Directory directory = find_directory(file);
  if (directory.first > file.size()) file.damaged("its directory is missing");
  uint64_t at = directory.first;
  for (uint64_t i = 0; i < directory.members; ++i) members_.push_back(read_member(file, at));
}

const ZipMember* ZipArchive::find(std::string_view name) const {
  const auto found = std::ranges::find(members_, name, &ZipMember::name);
  return found == members_.end() ? nullptr : &*found;
}

bool is_zip(std::span<const std::byte> bytes) {
  constexpr std::byte kMark[] = {std::byte{'P'}, std::byte{'K'}, std::byte{3}, std::byte{4}};
  return bytes.size() >= 4 && std::equal(std::begin(kMark), std::end(kMark), bytes.begin());
}

}  // namespace megin::exchange
