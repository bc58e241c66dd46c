#include "metric/equation.h"

#include <charconv>
#include <cmath>
#include <vector>

namespace megin::metric {
namespace {

constexpr std::string_view kVariable = "number", kSpaces = " \t\r";

std::optional<double> operand(std::string_view token, std::span<const double> numbers) {
  if (!token.starts_with(kVariable)) return parse_decimal(token);
  token.remove_prefix(kVariable.size());
  size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc() || end != token.data() + token.size() || index >= numbers.size()) return {};
  return numbers[index];
}

double apply(char sign, double left, double right) {
  switch (sign) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    default:
      return left / right;  // by zero: infinite or no number, which no equation may be
  }
}

}  // namespace

std::optional<double> parse_decimal(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

// From the last token to the first: then an operator's operands stand ready, its left one on top.
std::optional<double> evaluate_prefix(std::string_view equation, std::span<const double> numbers) {
  std::vector<double> waiting;
  while (true) {
    equation = equation.substr(0, equation.find_last_not_of(kSpaces) + 1);
    if (equation.empty()) break;
    const size_t begin = equation.find_last_of(kSpaces) + 1;
    const std::string_view token = equation.substr(begin);
    equation = equation.substr(0, begin);
    if (token.size() == 1 && std::string_view("+-*/").find(token[0]) != std::string_view::npos) {
      if (waiting.size() < 2) return {};
      const double left = waiting.back();
      waiting.pop_back();
      waiting.back() = apply(token[0], left, waiting.back());
      if (!std::isfinite(waiting.back())) return {};
    } else if (const std::optional<double> value = operand(token, numbers)) {
      waiting.push_back(*value);
    } else {
      return {};
    }
  }
  if (waiting.size() != 1) return {};
  return waiting.front();
}

}  // namespace megin::metric
