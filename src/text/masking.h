// Masking for a masked language model (Devlin et al. 2019, section 3.1; dynamic: Liu et al. 2019, section
// 4.1): which tokens of a row of text are to be predicted, and what the model sees in their place.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "config/train_config.h"
#include "text/subword.h"

namespace megin::text {

// Rows of evaluations are always masked by this seed, so that all models and runs restore the same tokens.
inline constexpr uint64_t kEvaluationMaskSeed = 0;

// Whether each symbol begins a word: those that stand behind a space (SentencePiece's mark or that of byte
// pairs), and the special ones. What is no beginning goes on with the word before.
std::vector<bool> word_begins(const SubwordModel& model);

// Masks rows, each of which is named by numbers of the caller's. What is drawn for a token depends on the
// seed, those numbers and the token's place in its row, on nothing else. Const in use and safe from any
// thread.
//
// Drawn are tokens or, with whole_words, words (their first token draws), each with probability `rate`; of a
// row in which none came out, the one that came nearest. Each token of those is then by itself seen as the
// mask symbol, as a random ordinary symbol or as it is, by the shares of the configuration. Special symbols,
// the mask among them, are never drawn, and never what a random symbol is.
class Masking {
 public:
  // Throws UsageError where the model has no mask symbol, or no other than special ones.
  Masking(const config::MaskingConfig& config, const SubwordModel& model, uint64_t seed);

  // Masks a row in place. targets[i] becomes the token that stood at i where it is to be predicted, kPadId
  // elsewhere. `epoch` and `row` name the row. Returns how many are to be predicted: 0 only where all are
  // special.
  int64_t mask(uint64_t epoch, uint64_t row, std::span<int32_t> tokens, std::span<int32_t> targets) const;

 private:
  bool is_drawn_from(int32_t token) const { return token >= kSpecialIds && token != mask_; }
  int32_t seen_as(uint64_t key, size_t place, int32_t token) const;

  config::MaskingConfig config_;
  uint64_t seed_;
  int32_t mask_;
  int64_t symbols_;
  std::vector<bool> begins_;  // of whole_words
};

}  // namespace megin::text
