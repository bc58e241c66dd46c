#include "data/shard.h"

#define XXH_STATIC_LINKING_ONLY  // the streaming state as a plain member
#include <xxhash.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/error.h"

namespace megin::data {
namespace {

static_assert(std::endian::native == std::endian::little,
              "shards are mapped as they are, in little-endian order");

constexpr std::array<char, 8> kMagic = {'M', 'E', 'G', 'S', 'H', 'A', 'R', 'D'};
constexpr uint32_t kVersion = 1;

// docs/data_format.md, "Shards".
struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t header_bytes = 64;
  uint64_t examples = 0;
  uint64_t tokens = 0;
  uint64_t file_bytes = 0;
  uint64_t body_checksum = 0;
  uint64_t reserved = 0;
  uint64_t header_checksum = 0;  // of the bytes before it
};
static_assert(sizeof(Header) == 64);

struct Entry {
  uint32_t source_tokens;
  uint32_t corpus;
};
static_assert(sizeof(Entry) == 8);

uint64_t checksum_of(const Header& header) {
  return checksum({reinterpret_cast<const char*>(&header), offsetof(Header, header_checksum)});
}

// Tokens end at a multiple of 8, so that the tables behind them are aligned.
constexpr uint64_t padded(uint64_t token_bytes) {
  return (token_bytes + 7) / 8 * 8;
}

uint64_t file_bytes(uint64_t examples, uint64_t tokens) {
  return sizeof(Header) + padded(tokens * 4) + (examples + 1) * 8 + examples * sizeof(Entry);
}

Header read_header(const MappedFile& file) {
  const std::string name = file.path().string();
  const auto bytes = file.bytes();
  Header header;
  if (bytes.size() < sizeof(Header))
    fail("{}: wanted a shard, found {} bytes; prepare the data again", name, bytes.size());
  std::memcpy(&header, bytes.data(), sizeof(Header));
  if (header.magic != kMagic)
    fail("{}: wanted a shard, found another kind of file; prepare the data again", name);
  if (header.version != kVersion) {
    fail("{}: this is a shard of version {}, wanted {}; prepare the data again with this megin", name,
         header.version, kVersion);
  }
  // Counts that could overflow the sum below cannot be right either.
  const uint64_t most = uint64_t{1} << 48;
  if (header.header_checksum != checksum_of(header) || header.examples > most || header.tokens > most) {
    fail("{}: the header of this shard is damaged; prepare the data again", name);
  }
  if (header.file_bytes != bytes.size() || file_bytes(header.examples, header.tokens) != bytes.size()) {
    fail("{}: wanted {} bytes, found {}: this shard is truncated or damaged; prepare the data again", name,
         header.file_bytes, bytes.size());
  }
  return header;
}

}  // namespace

Shard::Shard(const std::filesystem::path& path) : file_(path) {
  const Header header = read_header(file_);
  const std::byte* at = file_.bytes().data() + sizeof(Header);
  size_ = static_cast<int64_t>(header.examples);
  tokens_ = reinterpret_cast<const int32_t*>(at);
  at += padded(header.tokens * 4);
  offsets_ = reinterpret_cast<const uint64_t*>(at);
  at += (header.examples + 1) * 8;
  entries_ = reinterpret_cast<const uint32_t*>(at);
  bool sound = offsets_[0] == 0 && offsets_[size_] == header.tokens;
  for (int64_t i = 0; sound && i < size_; ++i) {
    sound = offsets_[i] <= offsets_[i + 1] && offsets_[i + 1] <= header.tokens &&
            entries_[2 * i] <= offsets_[i + 1] - offsets_[i];
  }
  if (!sound) fail("{}: the tables of this shard are damaged; prepare the data again", path.string());
}

Example Shard::example(int64_t index) const {
  const uint64_t begin = offsets_[index];
  const std::span<const int32_t> all(tokens_ + begin, offsets_[index + 1] - begin);
  const uint32_t source = entries_[2 * index];
  return {all.first(source), all.subspan(source), static_cast<int32_t>(entries_[2 * index + 1])};
}

void Shard::verify() const {
  Header header;
  std::memcpy(&header, file_.bytes().data(), sizeof(Header));
  const auto body = file_.bytes().subspan(sizeof(Header));
  if (checksum({reinterpret_cast<const char*>(body.data()), body.size()}) != header.body_checksum) {
    fail("{}: the content of this shard does not match its checksum; prepare the data again",
         file_.path().string());
  }
}

struct ShardWriter::File {
  std::filesystem::path path;
  std::ofstream out;
  XXH3_state_t state;
  uint64_t tokens = 0;
  std::vector<uint64_t> offsets = {0};
  std::vector<Entry> entries;

  explicit File(const std::filesystem::path& name)
      : path(name), out(name, std::ios::binary | std::ios::trunc) {
    XXH3_64bits_reset(&state);
    check("create");
  }

  void check(const char* what) const {
    if (!out) fail("{}: cannot {} this shard: {}", path.string(), what, std::strerror(errno));
  }

  void put(const void* bytes, uint64_t size) {
    if (size == 0) return;
    XXH3_64bits_update(&state, bytes, size);
    out.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
    check("write");
  }
};

ShardWriter::ShardWriter(const std::filesystem::path& path) : file_(std::make_unique<File>(path)) {
  const Header unfinished = {.magic = {}};
  file_->out.write(reinterpret_cast<const char*>(&unfinished), sizeof(Header));
  file_->check("write");
}

ShardWriter::ShardWriter(ShardWriter&&) noexcept = default;
ShardWriter& ShardWriter::operator=(ShardWriter&&) noexcept = default;
ShardWriter::~ShardWriter() = default;

void ShardWriter::add(const Example& example) {
  file_->put(example.source.data(), example.source.size_bytes());
  file_->put(example.target.data(), example.target.size_bytes());
  file_->tokens += example.source.size() + example.target.size();
  file_->offsets.push_back(file_->tokens);
  file_->entries.push_back(
      {static_cast<uint32_t>(example.source.size()), static_cast<uint32_t>(example.corpus)});
}

int64_t ShardWriter::bytes() const {
  return static_cast<int64_t>(file_bytes(file_->entries.size(), file_->tokens));
}

void ShardWriter::finish() {
  File& file = *file_;
  const uint64_t zero = 0;
  file.put(&zero, padded(file.tokens * 4) - file.tokens * 4);
  file.put(file.offsets.data(), file.offsets.size() * 8);
  file.put(file.entries.data(), file.entries.size() * sizeof(Entry));
  Header header = {.examples = file.entries.size(), .tokens = file.tokens};
  header.file_bytes = file_bytes(header.examples, header.tokens);
  header.body_checksum = XXH3_64bits_digest(&file.state);
  header.header_checksum = checksum_of(header);
  file.out.seekp(0);
  file.out.write(reinterpret_cast<const char*>(&header), sizeof(Header));
  file.out.close();
  file.check("write");
}

}  // namespace megin::data
