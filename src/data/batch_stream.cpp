#include "data/batch_stream.h"

#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace megin::data {

void require_position(StreamPosition position, int64_t batches) {
  if (position.epoch < 0 || position.batch < 0)
    fail("epoch {}, batch {} is no position of a stream", position.epoch, position.batch);
  if (position.batch >= batches) {
    fail(
        "wanted to continue at batch {} of epoch {}, but it has {} batches: the data or the batch size is "
        "not what it was",
        position.batch, position.epoch, batches);
  }
}

void shuffle(std::vector<uint32_t>& items, uint64_t key) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[draw_index(key, i, i)]);
}

}  // namespace megin::data
