#include "text/byte_stream.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"

namespace megin::text {
namespace fs = std::filesystem;
namespace {

constexpr size_t kInputBytes = size_t{64} << 10;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// The packed file: a buffer of it that the decoders eat from the front.
class Input {
 public:
  explicit Input(const fs::path& path) : path_(path), buffer_(kInputBytes) {
    if (fs::is_directory(path)) fail("{}: wanted a file, found a directory", path.string());
    file_.reset(std::fopen(path.c_str(), "rbe"));
    if (!file_) fail("{}: cannot open this file for reading: {}", path.string(), std::strerror(errno));
    std::setvbuf(file_.get(), nullptr, _IONBF, 0);
    refill();
  }

  // The bytes not yet eaten; empty only at the end of the file.
  std::span<const char> rest() {
    if (begin_ == end_) refill();
    return {buffer_.data() + begin_, end_ - begin_};
  }
  void eat(size_t bytes) { begin_ += bytes; }

  bool starts_with(std::initializer_list<unsigned char> magic) const {
    return end_ - begin_ >= magic.size() &&
           std::equal(magic.begin(), magic.end(),
                      reinterpret_cast<const unsigned char*>(buffer_.data() + begin_));
  }

 private:
  void refill() {
    begin_ = 0;
    end_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
    if (end_ == 0 && std::ferror(file_.get()))
      fail("{}: cannot read: {}", path_.string(), std::strerror(errno));
  }

  fs::path path_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

class PlainStream : public ByteStream {
 public:
  PlainStream(fs::path path, Input input) : ByteStream(std::move(path)), input_(std::move(input)) {}

 private:
  size_t read_some(std::span<char> buffer) override {
    const auto rest = input_.rest();
    const size_t bytes = std::min(buffer.size(), rest.size());
    std::copy_n(rest.begin(), bytes, buffer.begin());
    input_.eat(bytes);
    return bytes;
  }

  Input input_;
};

// What the two packed formats share: the sentence for a damaged file.
class PackedStream : public ByteStream {
 protected:
  PackedStream(fs::path path, Input input) : ByteStream(std::move(path)), input_(std::move(input)) {}

  [[noreturn]] void fail_truncated(const char* format) const {
    fail("{}:{}: the {} data ends too early, so this file is incomplete; copy or download it again",
         path().string(), newlines() + 1, format);
  }
  [[noreturn]] void fail_damaged(const char* format) const {
    fail("{}:{}: the {} data is damaged here ({}); copy or download this file again", path().string(),
         newlines() + 1, format, damage_);
  }

  Input input_;
  // Why the data is damaged; kept while the bytes unpacked before that place are handed out.
  const char* damage_ = nullptr;
};

class GzipStream : public PackedStream {
 public:
  GzipStream(fs::path path, Input input) : PackedStream(std::move(path), std::move(input)) {
    // 16: gzip only, with its checksum verified.
    if (inflateInit2(&zlib_, 16 + MAX_WBITS) != Z_OK)
      fail("{}: no memory to unpack gzip data", this->path().string());
  }
  ~GzipStream() override { inflateEnd(&zlib_); }

 private:
  size_t read_some(std::span<char> buffer) override {
    zlib_.next_out = reinterpret_cast<Bytef*>(buffer.data());
    zlib_.avail_out = static_cast<uInt>(buffer.size());
    while (zlib_.avail_out == buffer.size()) {
      if (damage_ != nullptr) fail_damaged("gzip");
      const auto rest = input_.rest();
      if (rest.empty() && member_done_) return 0;
      if (rest.empty()) fail_truncated("gzip");
      if (member_done_ && only_padding(rest)) continue;
      if (std::exchange(member_done_, false)) inflateReset(&zlib_);
      zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
      zlib_.avail_in = static_cast<uInt>(rest.size());
      const int status = inflate(&zlib_, Z_NO_FLUSH);
      input_.eat(rest.size() - zlib_.avail_in);
      if (status == Z_STREAM_END)
        member_done_ = true;
      else if (status != Z_OK && status != Z_BUF_ERROR)
        damage_ = zlib_.msg != nullptr ? zlib_.msg : "invalid data";
    }
    return buffer.size() - zlib_.avail_out;
  }

  // Tape and block devices pad gzip files with zeros; gzip itself ignores them too.
  bool only_padding(std::span<const char> rest) {
    const auto end = std::find_if(rest.begin(), rest.end(), [](char c) { return c != '\0'; });
    input_.eat(static_cast<size_t>(end - rest.begin()));
    return end != rest.begin();
  }

  z_stream zlib_{};
  bool member_done_ = false;
};

class ZstdStream : public PackedStream {
 public:
  ZstdStream(fs::path path, Input input)
      : PackedStream(std::move(path), std::move(input)), zstd_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    if (!zstd_) fail("{}: no memory to unpack Zstandard data", this->path().string());
  }

 private:
  size_t read_some(std::span<char> buffer) override {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    while (out.pos == 0) {
      if (damage_ != nullptr) fail_damaged("Zstandard");
      const auto rest = input_.rest();
      if (rest.empty() && frame_done_) return 0;
      ZSTD_inBuffer in{rest.data(), rest.size(), 0};
      const size_t status = ZSTD_decompressStream(zstd_.get(), &out, &in);
      if (ZSTD_isError(status)) {
        damage_ = ZSTD_getErrorName(status);
        continue;
      }
      if (rest.empty() && out.pos == 0) fail_truncated("Zstandard");
      input_.eat(in.pos);
      frame_done_ = status == 0;
    }
    return out.pos;
  }

  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> zstd_;
  bool frame_done_ = false;
};

}  // namespace

size_t ByteStream::read(std::span<char> buffer) {
  const size_t bytes = read_some(buffer);
  newlines_ +=
      static_cast<uint64_t>(std::count(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(bytes), '\n'));
  return bytes;
}

std::unique_ptr<ByteStream> open_bytes(const fs::path& path) {
  Input input(path);
  if (input.starts_with({0x1F, 0x8B})) return std::make_unique<GzipStream>(path, std::move(input));
  // A skippable frame (0x184D2A5?) may stand first too; such files come from parallel compressors.
  const bool skippable = input.starts_with({0x50, 0x2A, 0x4D, 0x18});
  if (skippable || input.starts_with({0x28, 0xB5, 0x2F, 0xFD}))
    return std::make_unique<ZstdStream>(path, std::move(input));
  return std::make_unique<PlainStream>(path, std::move(input));
}

std::string read_bytes(const fs::path& path, size_t limit) {
  const auto stream = open_bytes(path);
  std::string bytes;
  std::vector<char> buffer(kInputBytes);
  while (const size_t got = stream->read(buffer)) {
    if (bytes.size() + got > limit)
      fail("{}: wanted at most {} bytes (unpacked), found more; split this file", path.string(), limit);
    bytes.append(buffer.data(), got);
  }
  return bytes;
}

}  // namespace megin::text
