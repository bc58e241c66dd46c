#include "text/split.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/error.h"
#include "base/random.h"
#include "text/unicode.h"

namespace megin::text {
namespace {

uint64_t split_hash(uint64_t key, std::string_view source) {
  return draw_bits(key, sentence_key(source));
}

// The end of the lowest `fraction` of all hashes.
uint64_t hash_share(double fraction) {
  return static_cast<uint64_t>(std::ldexp(fraction, 64));
}

void require_sensible(const SplitSize& size, const char* set) {
  if (size.fraction < 0.0 || size.fraction >= 1.0 || std::isnan(size.fraction))
    fail_usage("the {} set wants a fraction from 0 to below 1, found {}", set, size.fraction);
  if (size.count > 0 && size.fraction > 0.0)
    fail_usage("the {} set wants a count or a fraction, found both ({} and {})", set, size.count,
               size.fraction);
}

}  // namespace

Split Splitter::split_of(std::string_view source) const {
  const uint64_t hash = split_hash(key_, source);
  if (hash < test_end_) return Split::kTest;
  return hash < valid_end_ ? Split::kValid : Split::kTrain;
}

SplitPlanner::SplitPlanner(const SplitOptions& options)
    : options_(options), key_(draw_key(options.seed, Purpose::kSplit)) {
  require_sensible(options.valid, "validation");
  require_sensible(options.test, "test");
  if (options.valid.fraction + options.test.fraction >= 1.0)
    fail_usage("the validation and test sets want {} and {} of the corpus, which leaves nothing to train on",
               options.valid.fraction, options.test.fraction);
}

void SplitPlanner::add(std::string_view source) {
  // One hash more than both sets take: where the next set begins.
  const uint64_t counted = options_.valid.count + options_.test.count;
  const uint64_t hash = split_hash(key_, source);
  if (counted == 0 || hash < hash_share(options_.test.fraction)) return;
  if (lowest_.size() > counted && hash >= *lowest_.rbegin()) return;
  lowest_.insert(hash);
  if (lowest_.size() > counted + 1) lowest_.erase(std::prev(lowest_.end()));
}

Splitter SplitPlanner::finish() const {
  const uint64_t counted = options_.valid.count + options_.test.count;
  if (counted > 0 && lowest_.size() <= counted)
    fail(
        "wanted {} sources for the test set, {} for the validation set and at least one to train on, found "
        "{} different "
        "ones in the corpus; ask for smaller sets",
        options_.test.count, options_.valid.count, lowest_.size());
  const auto hash_number = [&](uint64_t n) { return *std::next(lowest_.begin(), static_cast<ptrdiff_t>(n)); };
  Splitter splitter;
  splitter.key_ = key_;
  splitter.test_end_ =
      options_.test.count > 0 ? hash_number(options_.test.count) : hash_share(options_.test.fraction);
  if (options_.valid.count > 0) {
    splitter.valid_end_ = hash_number(counted);
  } else {
    const uint64_t room = std::numeric_limits<uint64_t>::max() - splitter.test_end_;
    splitter.valid_end_ = splitter.test_end_ + std::min(room, hash_share(options_.valid.fraction));
  }
  return splitter;
}

}  // namespace megin::text
