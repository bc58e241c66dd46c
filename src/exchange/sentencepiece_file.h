// The pieces of a SentencePiece model file (sentencepiece_model.proto), so that they can be put into another
// order: only the list of pieces is read and written, everything else stays the bytes that it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace megin::exchange {

struct SentencePiece {
  // As the format numbers them.
  enum class Kind { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

  std::string piece;
  float score = 0;
  Kind kind = Kind::kNormal;
};

struct SentencePieceFile {
  std::vector<SentencePiece> pieces;  // in the order of ids
  std::string rest;                   // the other fields, as they are; without the self-test
};

// Throws Error naming the file for bytes that are no such message.
SentencePieceFile read_sentencepiece(std::string_view bytes, const std::string& name);

std::string to_bytes(const SentencePieceFile& file);

}  // namespace megin::exchange
