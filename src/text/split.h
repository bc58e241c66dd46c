// Train, validation and test sets out of one corpus, by a hash of the source: every sentence goes to the same
// set whatever stands around it, and a source is never in two sets, not even in other case or spacing.
#pragma once

#include <cstdint>
#include <set>
#include <string_view>

namespace megin::text {

enum class Split { kTrain, kValid, kTest };

// How much goes to a set: a number of distinct sources, or a fraction of them; the one that is not zero.
struct SplitSize {
  uint64_t count = 0;
  double fraction = 0.0;  // in [0, 1)
};

struct SplitOptions {
  uint64_t seed = 1;
  SplitSize valid;
  SplitSize test;
};

// Says where a source belongs. A plain value; safe from any thread.
class Splitter {
 public:
  Split split_of(std::string_view source) const;

 private:
  friend class SplitPlanner;
  uint64_t key_ = 0;
  uint64_t test_end_ = 0;   // hashes below it: test
  uint64_t valid_end_ = 0;  // hashes from test_end_ to below it: valid
};

// Every source has a 64-bit hash of the seed and its sentence_key. The test set is the lowest hashes, the
// validation set the next, the rest is train: `fraction` is a share of the range of the hash (so the set's
// size is approximate), `count` the exact number of lowest hashes. So a corpus that grows changes few places.
// A count is of distinct sources: two pairs with the same source are together and count once.
//
// Memory: the hashes of the two counts, however many sources are added.
class SplitPlanner {
 public:
  // Throws UsageError for fractions outside [0, 1), a sum of 1 or more, or a set with both sizes.
  explicit SplitPlanner(const SplitOptions& options);

  // Shows it a source. Needed only for counts; any order, repetitions do not matter.
  void add(std::string_view source);

  // Throws Error when there are not enough distinct sources to leave one for training.
  Splitter finish() const;

 private:
  SplitOptions options_;
  uint64_t key_;
  std::set<uint64_t> lowest_;
};

}  // namespace megin::text
