// The four special symbols, whose numbers are the same in every model, shard and program of megin. They stand
// where fairseq puts them, so that published settings (positions that start behind the padding symbol, an end
// mark as the decoder's first input) hold unchanged.
#pragma once

#include <cstdint>

namespace megin::text {

inline constexpr int32_t kBeginId = 0;    // <s>
inline constexpr int32_t kPadId = 1;      // <pad>
inline constexpr int32_t kEndId = 2;      // </s>: ends a sentence, and is the decoder's first input
inline constexpr int32_t kUnknownId = 3;  // <unk>
inline constexpr int32_t kSpecialIds = 4;

// How a vocabulary of ours spells the mask symbol of a masked_lm, which has no number of its own.
inline constexpr const char* kMaskPiece = "<mask>";

}  // namespace megin::text
