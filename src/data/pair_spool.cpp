#include "data/pair_spool.h"

#include <array>
#include <cstring>
#include <span>

namespace megin::data {
namespace {

constexpr size_t kBufferBytes = 1 << 18;
using Record = std::array<uint32_t, 3>;  // corpus, bytes of the source, bytes of the target; then the bytes

void append(std::vector<std::byte>& buffer, const void* bytes, size_t size) {
  const auto* first = static_cast<const std::byte*>(bytes);
  buffer.insert(buffer.end(), first, first + size);
}

}  // namespace

void PairSpool::add(const SpooledPair& pair) {
  const Record record = {pair.corpus, static_cast<uint32_t>(pair.source.size()),
                         static_cast<uint32_t>(pair.target.size())};
  append(unwritten_, record.data(), sizeof(record));
  append(unwritten_, pair.source.data(), pair.source.size());
  append(unwritten_, pair.target.data(), pair.target.size());
  ++size_;
  if (unwritten_.size() >= kBufferBytes) flush();
}

void PairSpool::flush() {
  file_.append(unwritten_);
  unwritten_.clear();
}

bool SpoolReader::fill(size_t wanted) {
  while (buffer_.size() - begin_ < wanted) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(begin_));
    begin_ = 0;
    const size_t kept = buffer_.size();
    buffer_.resize(kept + kBufferBytes);
    const size_t got = spool_.file_.read(offset_, std::span(buffer_).subspan(kept));
    buffer_.resize(kept + got);
    offset_ += got;
    if (got == 0) return false;
  }
  return true;
}

bool SpoolReader::next(SpooledPair& pair) {
  Record record;
  if (!fill(sizeof(record))) return false;
  std::memcpy(record.data(), buffer_.data() + begin_, sizeof(record));
  const auto [corpus, source, target] = record;
  if (!fill(sizeof(record) + source + target)) return false;
  const auto* text = reinterpret_cast<const char*>(buffer_.data() + begin_ + sizeof(record));
  pair.corpus = corpus;
  pair.source.assign(text, source);
  pair.target.assign(text + source, target);
  begin_ += sizeof(record) + source + target;
  return true;
}

}  // namespace megin::data
