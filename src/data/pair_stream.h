// The batches of sentence pairs, or of sentences with their classes: a shuffled, endless stream for training,
// and one pass over a validation set.
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch_stream.h"

namespace megin::data {

struct PairStreamOptions {
  int64_t max_tokens =
      4096;  // padded tokens of a batch: its longest side, end mark included, times its sentences
  int64_t max_sentences = 0;        // of a batch; 0: no limit
  SentenceReading classified = {};  // of sentences with classes; else pairs are read
  uint64_t seed = 1;                // of the order; unused without shuffle
  bool shuffle = true;              // off: every epoch goes by length in the order of the set, for validation

  // How often a pair of each corpus is drawn in an epoch: 2 is twice, 0.25 in every fourth epoch on average
  // (by a hashed draw). Empty: each pair once.
  std::vector<double> corpus_weights = {};
};

// Token-budget batches by length, as fairseq's (thor spec 4.5): a random permutation, stably sorted by
// target length and then by source length, is cut greedily; a batch holds less than eight sentences or a
// multiple of eight, or max_sentences. The size of a pair is its longer side with the end mark, that of a
// sentence to classify what make_labelled_batch() makes of it; a pair above max_tokens is a batch of its own.
//
// Which pairs share a batch is decided once, as in fairseq; every epoch has its own order of the batches.
// Only when a weight is not whole does each epoch have a new draw of pairs and so new batches.
//
// A pure function of the examples, the options and the position. Memory: 8 bytes a drawn pair while batches
// are planned, 4 afterwards, and 8 a batch. Not for two threads at once. Keeps a reference to the source.
class PairStream final : public BatchStream {
 public:
  // Throws Error when there is no example to draw, or more than 2^32 - 1.
  PairStream(const ExampleSource& examples, const PairStreamOptions& options);

  TokenBatch next() override;
  StreamPosition position() const override { return position_; }
  void seek(StreamPosition position) override;
  int64_t batches() const override { return static_cast<int64_t>(starts_.size()) - 1; }

 private:
  void enter_epoch(int64_t epoch);
  void plan(int64_t draw_epoch);
  void cut();
  int64_t size_of(int64_t example) const;
  void order_batches(int64_t epoch);

  const ExampleSource& examples_;
  PairStreamOptions options_;
  bool redraw_ = false;  // a weight is not whole
  StreamPosition position_;
  std::vector<uint32_t> order_;    // drawn examples, batch after batch
  std::vector<uint32_t> starts_;   // [batches + 1], into order_
  std::vector<uint32_t> batches_;  // this epoch's order of the batches
};

}  // namespace megin::data
