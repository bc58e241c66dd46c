#include "exchange/sentencepiece_file.h"

#include <bit>
#include <cstdint>

#include "base/error.h"

namespace megin::exchange {
namespace {

// Fields of ModelProto and of its pieces.
constexpr uint64_t kPieces = 1, kSelfTest = 4, kText = 1, kScore = 2, kKind = 3;
// Wire types of protocol buffers.
constexpr uint64_t kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5;

struct Field {
  uint64_t number = 0, type = 0;
  uint64_t value = 0;      // of varint and the fixed ones
  std::string_view bytes;  // of length-delimited ones
  std::string_view whole;  // with its tag
};

class Fields {
 public:
  Fields(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  bool next(Field& field) {
    if (at_ == bytes_.size()) return false;
    const size_t first = at_;
    const uint64_t tag = varint();
    field = {.number = tag >> 3, .type = tag & 7, .value = 0, .bytes = {}, .whole = {}};
    switch (field.type) {
      case kVarint:
        field.value = varint();
        break;
      case kFixed64:
        field.value = fixed(8);
        break;
      case kFixed32:
        field.value = fixed(4);
        break;
      case kLengthDelimited:
        field.bytes = take(varint());
        break;
      default:
        damaged();
    }
    field.whole = bytes_.substr(first, at_ - first);
    return true;
  }

  [[noreturn]] void damaged() const {
    fail("{}: wanted a SentencePiece model, found something else or a damaged one", name_);
  }

 private:
  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) damaged();
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  uint64_t fixed(uint64_t bytes) {
    uint64_t value = 0;
    const std::string_view read = take(bytes);
    for (uint64_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(read[i]);
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    damaged();
  }

  std::string_view bytes_;
  const std::string& name_;
  size_t at_ = 0;
};

SentencePiece read_piece(std::string_view bytes, const std::string& name) {
  SentencePiece piece;
  Fields fields(bytes, name);
  for (Field field; fields.next(field);) {
    if (field.number == kText && field.type == kLengthDelimited) piece.piece = field.bytes;
    if (field.number == kScore && field.type == kFixed32) {
      piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    }
    if (field.number != kKind) continue;
    if (field.type != kVarint || field.value < 1 || field.value > 6) fields.damaged();
    piece.kind = static_cast<SentencePiece::Kind>(field.value);
  }
  return piece;
}

void put_varint(uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

void put_bytes(uint64_t number, std::string_view bytes, std::string& to) {
  put_varint(number << 3 | kLengthDelimited, to);
  put_varint(bytes.size(), to);
  to += bytes;
}

}  // namespace

SentencePieceFile read_sentencepiece(std::string_view bytes, const std::string& name) {
  SentencePieceFile file;
  Fields fields(bytes, name);
  for (Field field; fields.next(field);) {
    if (field.number == kPieces && field.type == kLengthDelimited) {
      file.pieces.push_back(read_piece(field.bytes, name));
    } else if (field.number != kSelfTest) {
      file.rest += field.whole;
    }
  }
  if (file.pieces.empty()) fields.damaged();
  return file;
}

std::string to_bytes(const SentencePieceFile& file) {
  std::string bytes;
  for (const SentencePiece& piece : file.pieces) {
    std::string own;
    put_bytes(kText, piece.piece, own);
    put_varint(kScore << 3 | kFixed32, own);
    const auto score = std::bit_cast<uint32_t>(piece.score);
    for (int shift = 0; shift < 32; shift += 8) own += static_cast<char>(score >> shift & 0xFF);
    put_varint(kKind << 3 | kVarint, own);
    put_varint(static_cast<uint64_t>(piece.kind), own);
    put_bytes(kPieces, own, bytes);
  }
  return bytes + file.rest;
}

}  // namespace megin::exchange
