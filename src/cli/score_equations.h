// megin score --equations: how many word problems the equations of one system, or of two, solve.
#pragma once

#include <optional>
#include <string>

#include "cli/command.h"
#include "metric/equation.h"

namespace megin::cli {

struct EquationScoring {
  std::string hypothesis;  // a prefix equation a line; - is standard input
  std::string versus;      // another system's; empty: none
  std::string problems;    // a TSV with the columns `numbers` and `answer`; a row for each line
  std::string where;       // the rows of it that are meant; empty: all
  double tolerance = metric::kAnswerTolerance;
  bool per_line = false;
  int width = 1;  // decimals of printed shares
};

// Prints the share that is solved, or a line for each problem. Throws Error for files of different length and
// for numbers and answers that are none.
void score_equations(const EquationScoring& options, CommandContext& context);

}  // namespace megin::cli
