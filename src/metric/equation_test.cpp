#include "metric/equation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace megin::metric {
namespace {

std::optional<double> value_of(std::string_view equation, std::vector<double> numbers = {7, 2, 5}) {
  return evaluate_prefix(equation, numbers);
}

TEST(Equation, OperatorsStandBeforeTheirOperands) {
  EXPECT_EQ(value_of("+ number0 number1"), 9);
  EXPECT_EQ(value_of("- number0 number1"), 5);
  EXPECT_EQ(value_of("- number1 number0"), -5);
  EXPECT_EQ(value_of("* number0 number1"), 14);
  EXPECT_EQ(value_of("/ number0 number1"), 3.5);
  EXPECT_EQ(value_of("number2"), 5);
}

// (7 - 2) * 5 - 3 / 2, and the same operators over a tree that leans to the right: 7 - (2 * (5 - 3)).
TEST(Equation, OperandsAreEquations) {
  EXPECT_EQ(value_of("- * - number0 number1 number2 / 3.0 2"), 23.5);
  EXPECT_EQ(value_of("- number0 * number1 - number2 3"), 3);
}

TEST(Equation, ConstantsAreDecimal) {
  EXPECT_EQ(value_of("* 0.5 number0"), 3.5);
  EXPECT_EQ(value_of("+ -2.5 4"), 1.5);
  EXPECT_EQ(parse_decimal("1128.00"), 1128);
  for (const char* wrong : {"", "a", "1.5x", "inf", "nan", "1,000", " 1", "0x1F"}) {
    EXPECT_EQ(parse_decimal(wrong), std::nullopt) << wrong;
  }
}

TEST(Equation, SpacesDoNotCount) {
  EXPECT_EQ(value_of("  +   number0\tnumber1 \r"), 9);
}

TEST(Equation, WhatIsNoneHasNoValue) {
  for (const char* wrong :
       {"", " ", "+", "+ number0", "- * number0 number1",  // operands are missing
        "+ number0 number1 number2", "number0 number1",    // tokens are left over
        "number0 + number1",                               // between its operands
        "+ number0 number3", "+ number0 number", "+ number0 number-1", "+ number0 number1x", "+ number0 two",
        "^ number0 number1", "+number0 number1", "− number0 number1"}) {
    EXPECT_EQ(value_of(wrong), std::nullopt) << wrong;
  }
}

TEST(Equation, WhatCannotBeComputedHasNoValue) {
  EXPECT_EQ(value_of("/ number0 - number1 2.0"), std::nullopt);
  EXPECT_EQ(value_of("/ 0.0 0.0"), std::nullopt);
  EXPECT_EQ(value_of("/ 1.0 / number0 0.0"), std::nullopt);  // its reciprocal would be 0 again
  EXPECT_EQ(value_of("* number0 number1", {1e200, 1e200}), std::nullopt);
}

// --- the data sets ---------------------------------------------------------------------------------------

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(line);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// The lines of a table (the header is line 1) whose equation does not give its answer.
std::vector<int> unsolved_lines(const std::string& path, int* rows) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> names = split(line, '\t');
  std::vector<int> lines;
  for (int number = 2; std::getline(file, line); ++number, ++*rows) {
    const std::vector<std::string> cells = split(line, '\t');
    const auto cell = [&](const char* name) {
      return cells.at(static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin()));
    };
    std::vector<double> numbers;
    for (const std::string& text : split(cell("numbers"), ' ')) numbers.push_back(std::stod(text));
    const std::optional<double> value = evaluate_prefix(cell("equation"), numbers);
    if (!value || !(std::abs(*value - std::stod(cell("answer"))) <= kAnswerTolerance))
      lines.push_back(number);
  }
  return lines;
}

// The equations that the sets give solve their own problems, but for the faults of MAWPS. Its lines were
// found by a recursive evaluator in Python:
//   def value(t, n): h = t.pop(0); return [value(t, n), value(t, n)] if h in '+-*/' ... (operators applied)
// which tells 7 of them: / 40 7 for 5, * 34 4 for 134, (50 + 60) / 2 for 54.545, 1222 - 513 for 208,
// 10.62 * 2 + 1.59 for 36.78, 1.3 / 5 for 26 and 700 / 7 for 7.
TEST(EquationsOfDataSets, SolveTheirProblems) {
  const char* const folder = std::getenv("MEGIN_DATA");
  const std::string math = std::string(folder ? folder : "") + "/math/";
  if (!folder || !std::ifstream(math + "mawps.tsv")) {
    GTEST_SKIP()
        << "MEGIN_DATA is not set to a folder with math/: the equations of ASDiv-A, MAWPS and SVAMP were "
           "NOT evaluated";
  }
  const std::vector<int> faults = {288, 598, 1120, 1362, 1438, 1823, 1850};
  int asdiv = 0, mawps = 0, train = 0, test = 0;
  EXPECT_EQ(unsolved_lines(math + "asdiv-a.tsv", &asdiv), std::vector<int>());
  EXPECT_EQ(unsolved_lines(math + "mawps.tsv", &mawps), faults);
  EXPECT_EQ(unsolved_lines(math + "svamp_train.tsv", &train), faults);
  EXPECT_EQ(unsolved_lines(math + "svamp_test.tsv", &test), std::vector<int>());
  EXPECT_EQ(asdiv, 1217);
  EXPECT_EQ(mawps, 1921);
  EXPECT_EQ(train, 3138);
  EXPECT_EQ(test, 1000);
}

}  // namespace
}  // namespace megin::metric
