// Arithmetic word problems: an equation in prefix form, its value, and whether that answers the problem.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace megin::metric {

// How far a value may be from the answer. (The code of Patel et al. 2021, arXiv 2103.07191, has 0.1 for its
// recurrent models and 0.01 for its Transformer.)
inline constexpr double kAnswerTolerance = 0.1;

// The value of an equation such as "- * number0 2.0 number1". Its tokens, between spaces, are the operators
// + - * /, which stand before their two operands; numberN, which is numbers[N]; and decimal constants, whose
// sign, if any, touches them ("-2.5").
//
// Nothing for what is no equation: another token, an operand missing, tokens left over, a numberN that is
// not there; and for what has no value: a division by zero, a result beyond double. (The published code takes
// the last token of such a text as its answer when operators lack operands or tokens are left over.)
std::optional<double> evaluate_prefix(std::string_view equation, std::span<const double> numbers);

// A decimal number, all of `text`; nothing for anything else, also for infinity and not-a-number.
std::optional<double> parse_decimal(std::string_view text);

}  // namespace megin::metric
