// The batches of a masked language model: rows of a running text in which some tokens are to be restored.
#pragma once

#include <cstdint>

#include "data/block_stream.h"
#include "text/masking.h"

namespace megin::data {

struct MaskedStreamOptions {
  int64_t row_tokens = 128;   // tokens of a row, its begin mark included; 2 or more
  int64_t max_tokens = 4096;  // of a batch: as many rows as fit, at least one
  uint64_t seed = 1;          // of the order of rows; unused without shuffle
  bool shuffle = true;        // off: the rows in their order, for validation
  int64_t rows = 0;           // only so many from the beginning; 0: all
};

// Row b is the begin mark and the tokens b * (row_tokens - 1) and on of the text (running_text.h), with end
// marks between its lines: a block of BlockStream. Every token stands in one row of an epoch, and each epoch
// masks anew (text/masking.h: drawn by epoch, row and place), so neither batch size nor threads change it.
//
// Of a batch, `source` is what the model sees, and `target_output`, of the same shape, what it is to say:
// the token that stood at a place, text::kPadId where nothing is asked. target_tokens counts the tokens asked
// for; `target_input` is empty. Positions, orders and errors as of BlockStream.
class MaskedStream final : public BatchStream {
 public:
  MaskedStream(const ExampleSource& examples, const MaskedStreamOptions& options, text::Masking masking);

  TokenBatch next() override;
  StreamPosition position() const override { return blocks_.position(); }
  void seek(StreamPosition position) override { blocks_.seek(position); }
  int64_t batches() const override { return blocks_.batches(); }

  int64_t rows() const { return blocks_.blocks(); }

 private:
  BlockStream blocks_;
  text::Masking masking_;
};

}  // namespace megin::data
