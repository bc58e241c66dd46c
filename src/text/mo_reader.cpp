#include "text/mo_reader.h"

#include <bit>
#include <cstring>
#include <deque>

#include "base/error.h"
#include "text/byte_stream.h"
#include "text/catalogue.h"
#include "text/unicode.h"

namespace megin::text {
namespace {

constexpr size_t kMaxBytes = size_t{256} << 20;
constexpr uint64_t kHeaderBytes = 28;
constexpr uint32_t kMagic = 0x950412DE;
constexpr uint32_t kMagicSwapped = 0xDE120495;

class MoReader : public PairReader {
 public:
  MoReader(const std::filesystem::path& path, const CatalogueOptions& options)
      : path_(path), options_(options), bytes_(read_bytes(path, kMaxBytes)) {
    read_header();
    for (uint64_t i = 0; i < count_; ++i)
      if (read_word(ids_ + 8 * i) == 0) charset_ = header_charset(string_of(translations_, i));
  }

  bool next(Pair& pair) override {
    while (pairs_.empty() && entry_ < count_) read_entry(entry_++);
    if (pairs_.empty()) return false;
    pair = std::move(pairs_.front());
    pairs_.pop_front();
    return true;
  }

  std::string where() const override { return fmt::format("{}, entry {}", path_.string(), entry_); }

 private:
  void read_header() {
    swap_ = bytes_.size() >= 4 && read_word(0) == kMagicSwapped;
    if (bytes_.size() < kHeaderBytes || read_word(0) != kMagic)
      fail("{}: wanted a compiled gettext catalogue (MO), found other data; a PO file needs format 'po'",
           path_.string());
    if (const uint32_t major = read_word(4) >> 16; major > 1)
      fail("{}: wanted MO revision 0 or 1, found {}; compile the catalogue again with msgfmt", path_.string(),
           major);
    count_ = read_word(8);
    ids_ = read_word(12);
    translations_ = read_word(16);
    for (const uint64_t table : {ids_, translations_})
      if (table < kHeaderBytes || table + 8 * count_ > bytes_.size())
        fail(
            "{}: the table of {} strings at byte {} does not fit into the {} bytes of the file; it is "
            "damaged",
            path_.string(), count_, table, bytes_.size());
  }

  // The word at `at`, which is inside the file, in the file's byte order.
  uint32_t read_word(uint64_t at) const {
    uint32_t word;
    std::memcpy(&word, bytes_.data() + at, sizeof(word));
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
    return swap_ ? __builtin_bswap32(word) : word;
  }

  std::string_view string_of(uint64_t table, uint64_t i) const {
    const uint64_t length = read_word(table + 8 * i);
    const uint64_t offset = read_word(table + 8 * i + 4);
    if (offset + length >= bytes_.size() || bytes_[offset + length] != '\0')
      fail(
          "{}, entry {}: the string at byte {} of {} bytes does not end inside the {} bytes of the file; it "
          "is damaged",
          path_.string(), i + 1, offset, length, bytes_.size());
    return std::string_view(bytes_).substr(offset, length);
  }

  void read_entry(uint64_t i) {
    std::string_view id = string_of(ids_, i);
    std::string_view translation = string_of(translations_, i);
    // Without this a small file could claim the same bytes a million times.
    used_ += id.size() + translation.size();
    if (used_ > bytes_.size())
      fail("{}, entry {}: the strings overlap each other; this file is damaged", path_.string(), i + 1);
    if (id.empty()) return;
    CatalogueEntry entry;
    entry.line = i + 1;
    if (const size_t end = id.find('\4'); end != std::string_view::npos) {
      entry.context = converted(id.substr(0, end));
      id.remove_prefix(end + 1);
    }
    const size_t end = id.find('\0');
    entry.id = converted(id.substr(0, end));
    if (end != std::string_view::npos) entry.plural_id = converted(id.substr(end + 1));
    // Only the first two plural forms can have a counterpart.
    const size_t first = translation.find('\0');
    entry.translations.push_back(converted(translation.substr(0, first)));
    if (first != std::string_view::npos) {
      const std::string_view rest = translation.substr(first + 1);
      entry.translations.push_back(converted(rest.substr(0, rest.find('\0'))));
    }
    append_pairs(entry, options_, pairs_);
  }

  std::string converted(std::string_view text) const {
    return is_utf8_charset(charset_) ? std::string(text) : to_utf8(text, charset_);
  }

  std::filesystem::path path_;
  CatalogueOptions options_;
  std::string bytes_;
  std::string charset_ = "UTF-8";
  bool swap_ = false;
  uint64_t count_ = 0;
  uint64_t ids_ = 0;  // offsets of the two tables of (length, offset)
  uint64_t translations_ = 0;
  uint64_t entry_ = 0;  // entries read so far
  uint64_t used_ = 0;
  std::deque<Pair> pairs_;
};

}  // namespace

std::unique_ptr<PairReader> open_mo(const std::filesystem::path& path, const CatalogueOptions& options) {
  return std::make_unique<MoReader>(path, options);
}

}  // namespace megin::text
