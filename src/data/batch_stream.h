// What training and validation take their batches from, whatever they are made of.
#pragma once

#include <cstdint>
#include <vector>

#include "data/token_batch.h"

namespace megin::data {

// Where a stream is. Two numbers are all that a checkpoint has to keep.
struct StreamPosition {
  int64_t epoch = 0;
  int64_t batch = 0;  // batches of this epoch already handed out

  bool operator==(const StreamPosition&) const = default;
};

class BatchStream {
 public:
  virtual ~BatchStream() = default;

  // The next batch; after the last one of an epoch comes the first of the next.
  virtual TokenBatch next() = 0;

  // Position of the batch that next() will give.
  virtual StreamPosition position() const = 0;

  // Continues exactly as a stream that reached `position` by itself. Throws Error when this stream has no
  // such position: the data or the batch size changed since.
  virtual void seek(StreamPosition position) = 0;

  // Batches of the current epoch.
  virtual int64_t batches() const = 0;
};

// Throws the Error of seek() unless `position` may be one of a stream with so many batches in its epoch.
void require_position(StreamPosition position, int64_t batches);

// In place, a permutation that depends on nothing but the key.
void shuffle(std::vector<uint32_t>& items, uint64_t key);

}  // namespace megin::data
