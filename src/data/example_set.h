// Sentence pairs as token ids: the interface that batches are made from, and the two places pairs live in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/shard.h"

namespace megin::data {

// Numbered examples that may be read in any order. Reading is const, O(1) and safe from any thread.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;

  virtual int64_t size() const = 0;

  // Example `index`, in [0, size()); the spans live as long as the source.
  virtual Example example(int64_t index) const = 0;
};

// `<folder>/<split>-00000.shard` and so on.
std::filesystem::path shard_path(const std::filesystem::path& folder, const std::string& split,
                                 int64_t number);

// The examples of one split on disk: all its shards, one after the other, mapped. Only pages that are touched
// take memory.
class ExampleSet final : public ExampleSource {
 public:
  ExampleSet() = default;

  // Opens the first `shards` shards of the split. Throws Error naming the file that is missing or damaged.
  ExampleSet(const std::filesystem::path& folder, const std::string& split, int64_t shards);

  int64_t size() const override { return size_; }
  Example example(int64_t index) const override;

  // Reads every byte and compares it with the checksums (opening checks only structure and bounds). Throws
  // Error naming the damaged shard.
  void verify() const;

 private:
  std::vector<Shard> shards_;
  std::vector<int64_t> first_;  // index of each shard's first example
  int64_t size_ = 0;
};

// Examples in memory, for tests and for text that came in just now.
class MemoryExamples final : public ExampleSource {
 public:
  // Token ids without end marks.
  void add(std::vector<int32_t> source, std::vector<int32_t> target, int32_t corpus = 0);

  int64_t size() const override { return static_cast<int64_t>(pairs_.size()); }
  Example example(int64_t index) const override;

 private:
  struct Pair {
    std::vector<int32_t> source;
    std::vector<int32_t> target;
    int32_t corpus;
  };
  std::vector<Pair> pairs_;
};

}  // namespace megin::data
