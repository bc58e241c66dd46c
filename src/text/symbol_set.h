// What a SubwordModel is made of: the symbols behind the four special ones, by one kind of file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace megin::text {

struct ByteVocabulary;

// Const in use and safe from any thread. Ids are megin's (vocabulary.h).
class SymbolSet {
 public:
  virtual ~SymbolSet() = default;

  virtual std::vector<std::string> pieces() const = 0;  // of the ids from kSpecialIds on
  virtual std::vector<int32_t> encode(std::string_view line) const = 0;
  virtual std::string decode(std::span<const int32_t> ids) const = 0;  // each is one of a symbol's

  virtual const ByteVocabulary* byte_vocabulary() const { return nullptr; }
};

// From the bytes of a file; `name` stands in messages. Throw Error for another kind of file or a damaged one.
std::unique_ptr<const SymbolSet> sentencepiece_symbols(std::string_view bytes, const std::string& name);
std::unique_ptr<const SymbolSet> byte_symbols(std::string_view bytes, const std::string& name);
std::unique_ptr<const SymbolSet> byte_pair_symbols(std::string_view bytes, const std::string& name);
std::unique_ptr<const SymbolSet> wordpiece_symbols(std::string_view bytes, const std::string& name);

}  // namespace megin::text
