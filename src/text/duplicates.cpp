#include "text/duplicates.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "base/files.h"

namespace megin::text {
namespace {

constexpr unsigned kPartBits = 6;
constexpr size_t kParts = size_t{1} << kPartBits;
constexpr size_t kRecordsUnwritten = 4096;  // a part; 4 MiB for all

// Hashes seen so far, in a table that does not grow.
class SeenHashes {
 public:
  enum class Answer { kNew, kSeen, kFull };

  explicit SeenHashes(size_t capacity) : slots_(std::bit_ceil(capacity)) {}

  Answer insert(uint64_t hash) {
    // Zero marks an empty slot.
    if (hash == 0) return std::exchange(has_zero_, true) ? Answer::kSeen : Answer::kNew;
    const size_t mask = slots_.size() - 1;
    size_t slot = hash & mask;
    while (slots_[slot] != 0 && slots_[slot] != hash) slot = (slot + 1) & mask;
    if (slots_[slot] == hash) return Answer::kSeen;
    if (4 * (used_ + 1) > 3 * slots_.size()) return Answer::kFull;
    slots_[slot] = hash;
    ++used_;
    return Answer::kNew;
  }

 private:
  std::vector<uint64_t> slots_;
  size_t used_ = 0;
  bool has_zero_ = false;
};

}  // namespace

DuplicateSet::DuplicateSet(const std::filesystem::path& directory, uint64_t size)
    : file_(directory), bits_(file_.map((size + 7) / 8)), size_(size) {}

bool DuplicateSet::contains(uint64_t index) const {
  return (bits_[index / 8] & (std::byte{1} << (index % 8))) != std::byte{0};
}

void DuplicateSet::insert(uint64_t index) {
  if (contains(index)) return;
  bits_[index / 8] |= std::byte{1} << (index % 8);
  ++count_;
}

DuplicateFinder::DuplicateFinder(const DuplicateOptions& options) : options_(options) {
  parts_.reserve(kParts);
  for (size_t i = 0; i < kParts; ++i) parts_.push_back({TemporaryFile(options.temporary_directory), {}, 0});
}

void DuplicateFinder::add(const Pair& pair) {
  key_ = pair.source;
  if (options_.rule == DuplicateRule::kPair) {
    // No side has a line end, so the two cannot run into each other.
    key_ += '\n';
    key_ += pair.target;
  }
  const uint64_t hash = checksum(key_);
  Part& part = parts_[hash >> (64 - kPartBits)];
  part.unwritten.push_back({hash, pairs_++});
  if (part.unwritten.size() == kRecordsUnwritten) write_out(part);
}

void DuplicateFinder::write_out(Part& part) {
  part.file.append(std::as_bytes(std::span<const Record>(part.unwritten)));
  part.records += part.unwritten.size();
  part.unwritten.clear();
}

DuplicateSet DuplicateFinder::finish() {
  DuplicateSet duplicates(options_.temporary_directory, pairs_);
  for (Part& part : parts_) {
    write_out(part);
    resolve(part, duplicates);
    part = {TemporaryFile(options_.temporary_directory), {}, 0};
  }
  pairs_ = 0;
  return duplicates;
}

// Tries a part at once; when its different hashes do not fit into the memory, in two shares, four, and so on.
// What a failed try has found already is right, so it may stay.
void DuplicateFinder::resolve(const Part& part, DuplicateSet& duplicates) const {
  for (unsigned share_bits = 0;; ++share_bits) {
    bool fits = true;
    for (uint64_t share = 0; fits && share < uint64_t{1} << share_bits; ++share)
      fits = resolve_share(part, {share_bits, share}, duplicates);
    if (fits) return;
  }
}

bool DuplicateFinder::resolve_share(const Part& part, std::pair<unsigned, uint64_t> share,
                                    DuplicateSet& duplicates) const {
  const auto [share_bits, wanted] = share;
  constexpr size_t kFewest = 64;
  const size_t affordable = std::bit_floor(std::max(options_.memory_bytes / sizeof(uint64_t), kFewest));
  SeenHashes seen(std::min(affordable, std::max<size_t>(2 * part.records, kFewest)));
  std::vector<Record> records(kRecordsUnwritten);
  for (uint64_t offset = 0;;) {
    const size_t bytes = part.file.read(offset, std::as_writable_bytes(std::span(records)));
    if (bytes == 0) return true;
    offset += bytes;
    for (size_t i = 0; i < bytes / sizeof(Record); ++i) {
      const auto [hash, index] = records[i];
      const uint64_t below_part = hash << kPartBits;
      if (share_bits > 0 && below_part >> (64 - share_bits) != wanted) continue;
      const auto answer = seen.insert(hash);
      if (answer == SeenHashes::Answer::kFull) return false;
      if (answer == SeenHashes::Answer::kSeen) duplicates.insert(index);
    }
  }
}

}  // namespace megin::text
