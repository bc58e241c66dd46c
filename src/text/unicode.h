// What the rules of this folder need to know about Unicode. Pure functions over UTF-8, safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace megin::text {

// Well-formed UTF-8 as the Unicode standard defines it: no overlong forms, no surrogates, at most U+10FFFF.
bool is_valid_utf8(std::string_view text);

// `text` on one line: every run of white space (tabs, line ends and separators, no-break and other wide
// spaces, control characters, U+FEFF) becomes one plain space, none at either end. `text` is valid UTF-8.
std::string normalise_whitespace(std::string_view text);

// Composed (NFC) or decomposed (NFD) characters; `text` is valid UTF-8.
enum class NormalForm { kComposed, kDecomposed };
std::string normalised(std::string_view text, NormalForm form);

// Full lower-casing of no particular language ("ß" stays, "İ" becomes "i" and a dot above).
std::string lower_case(std::string_view text);

// How many words: runs of characters between white space. Scripts that write no spaces are counted by
// characters, rounded up: two of Han, Hiragana or Katakana, or four of Thai, Lao, Khmer or Burmese, are a
// word.
size_t count_words(std::string_view text);

// Words of a running text, the end of each line counted as one: what a perplexity per word is taken over.
uint64_t count_words_and_ends(std::span<const std::string> lines);

// A length in letters that is comparable between scripts: the number of code points, where a Han character
// counts 3 and one of Hiragana, Katakana or Hangul 2 (what they take in alphabetic writing, roughly).
size_t count_letters(std::string_view text);

// Whether any character is a letter (Unicode: Alphabetic).
bool has_letter(std::string_view text);

// Identity of a sentence for leakage and splits: a 64-bit hash (XXH3) of it with white space normalised
// and lower-cased. Sentences that differ only in these have the same key.
uint64_t sentence_key(std::string_view text);

// `bytes` in the character set `charset` (a name that ICU knows) as UTF-8. Malformed parts become
// U+FFFD. Throws Error naming the character set when it is unknown.
std::string to_utf8(std::string_view bytes, const std::string& charset);

}  // namespace megin::text
