// The tokenisers of BLEU, each equal to sacreBLEU's of the same name.
#pragma once

#include <string>
#include <string_view>

namespace megin::metric {

enum class Tokenization {
  k13a,   // "13a": mteval-v13a, what WMT uses; for languages of the Latin script and the like
  kNone,  // "none": white space only, for text that is tokenised already
  kIntl,  // "intl": mteval-v14's international one, by Unicode's punctuation and symbol classes
  kChar,  // "char": every character that is not white space is a token
};

// The name in signatures and on the command line.
std::string_view name_of(Tokenization tokenization);

// The tokeniser of that name. Throws UsageError that lists the names there are.
Tokenization tokenization_named(std::string_view name);

// Tokens with white space between them (possibly several; metric/python_text.h `split` takes them apart).
// `line` is valid UTF-8.
std::string tokenize(Tokenization tokenization, std::string_view line);

}  // namespace megin::metric
