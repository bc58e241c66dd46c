// Duplicates in a corpus of any size, in bounded memory: fingerprints go to temporary files, are resolved
// there part by part, and the result is a file of bits. The first occurrence stays; the result depends on
// nothing but the pairs and their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "text/corpus.h"
#include "text/temporary_file.h"

namespace megin::text {

// What makes two pairs the same.
enum class DuplicateRule {
  kPair,    // both sides equal
  kSource,  // the source equal: one translation for each source
};

struct DuplicateOptions {
  DuplicateRule rule = DuplicateRule::kPair;

  // An existing directory with room for 16 bytes a pair. The files in it have no name, so nothing is left
  // behind.
  std::filesystem::path temporary_directory;

  // For the fingerprints of one part while it is resolved, besides 4 MiB of write buffers. A smaller budget
  // costs more passes over the temporary files, never a different result.
  size_t memory_bytes = size_t{64} << 20;
};

// The indices that duplicate an earlier one, as one bit each in a mapped file that is removed with the
// object. Movable; safe to read from any number of threads.
class DuplicateSet {
 public:
  // Whether pair number `index` (in the order of add) is dropped; index < size().
  bool contains(uint64_t index) const;
  uint64_t size() const { return size_; }    // pairs added
  uint64_t count() const { return count_; }  // duplicates among them

 private:
  friend class DuplicateFinder;
  DuplicateSet(const std::filesystem::path& directory, uint64_t size);
  void insert(uint64_t index);

  TemporaryFile file_;
  std::span<std::byte> bits_;
  uint64_t size_;
  uint64_t count_ = 0;
};

// Pass one of two: add() every pair that the cleaner kept, then finish(). In pass two the same pairs come in
// the same order and DuplicateSet says which to leave out. Not for two threads at once.
//
// Pairs are compared by a 64-bit hash (XXH3) of their bytes: two different ones among n are taken for equal
// with probability below n^2 / 2^65 (one in 3,000 for a hundred million).
class DuplicateFinder {
 public:
  // Throws Error when the temporary directory cannot be written.
  explicit DuplicateFinder(const DuplicateOptions& options);
  DuplicateFinder(const DuplicateFinder&) = delete;
  DuplicateFinder& operator=(const DuplicateFinder&) = delete;

  // Takes the pair as index 0, 1, ... White space must be normalised already (Cleaner::check does).
  void add(const Pair& pair);

  // Resolves everything; the finder is empty afterwards. Throws Error when the disk is full.
  DuplicateSet finish();

 private:
  struct Record {
    uint64_t hash;
    uint64_t index;
  };
  // The pairs whose hash begins with the same bits.
  struct Part {
    TemporaryFile file;
    std::vector<Record> unwritten;
    uint64_t records = 0;
  };

  static void write_out(Part& part);
  void resolve(const Part& part, DuplicateSet& duplicates) const;
  bool resolve_share(const Part& part, std::pair<unsigned, uint64_t> share, DuplicateSet& duplicates) const;

  DuplicateOptions options_;
  std::vector<Part> parts_;
  uint64_t pairs_ = 0;
  std::string key_;
};

}  // namespace megin::text
