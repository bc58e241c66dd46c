// Duplicates in a corpus of any size, in bounded memory: fingerprints go to temporary files, are resolved
// there part by part, and the result is a file of bits. The first occurrence stays; the result depends on
// nothing but the pairs and their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "text/corpus.h"

namespace megin::text {

// What makes two pairs the same.
enum class DuplicateRule {
  kPair,    // both sides equal
  kSource,  // the source equal: one translation for each source
};

struct DuplicateOptions {
  DuplicateRule rule = DuplicateRule::kPair;

  // An existing directory with room for 16 bytes a pair. Everything in it that the finder made is removed
  // when the finder and the set are gone.
  std::filesystem::path temporary_directory;

  // For the fingerprints of one part while it is resolved, besides 4 MiB of write buffers. A smaller budget
  // costs more passes over the temporary files, never a different result.
  size_t memory_bytes = size_t{64} << 20;
};

// The indices that duplicate an earlier one, as one bit each in a mapped file that is removed with the
// object. Movable; safe to read from any number of threads.
class DuplicateSet {
 public:
  DuplicateSet(DuplicateSet&& other) noexcept;
  DuplicateSet& operator=(DuplicateSet&& other) noexcept;
  ~DuplicateSet();

  // Whether pair number `index` (in the order of add) is dropped; index < size().
  bool contains(uint64_t index) const;
  uint64_t size() const;   // pairs added
  uint64_t count() const;  // duplicates among them

 private:
  friend class DuplicateFinder;
  struct Bits;
  explicit DuplicateSet(std::unique_ptr<Bits> bits);
  std::unique_ptr<Bits> bits_;
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
  ~DuplicateFinder();

  // Takes the pair as index 0, 1, ... White space must be normalised already (Cleaner::check does).
  void add(const Pair& pair);

  // Resolves everything; the finder is empty afterwards. Throws Error when the disk is full.
  DuplicateSet finish();

 private:
  class Partitions;
  DuplicateOptions options_;
  std::unique_ptr<Partitions> partitions_;
};

}  // namespace megin::text
