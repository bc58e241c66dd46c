// megin analyze consistency: how far results spread over the seeds of the experts' draws.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "cli/analysis.h"
#include "cli/seed_results.h"
#include "report/markup.h"
#include "report/table.h"

namespace megin::cli {

void analyze_consistency(const AnalysisOptions& options, CommandContext& context) {
  if (options.key != "bleu" && options.key != "loss") {
    fail_usage("--key: wanted bleu or loss; found '{}'", options.key);
  }
  const auto files = read_seed_results(options.paths, options.key);
  if (!options.svg.empty()) write_output(options.svg, seed_violins_svg(files, options.key), context);
  if (!options.csv.empty()) {
    std::string csv = "group,run," + options.key + "\n";
    for (const SeedResults& of : files) {
      for (size_t i = 0; i < of.values.size(); ++i) {
        csv += fmt::format("{},{},{}\n", report::csv_field(of.name), i + 1, of.values[i]);
      }
    }
    write_output(options.csv, csv, context);
  }
  if (context.json) {
    context.out << seed_results_json(files, options.key).dump() << "\n";
    return;
  }
  report::Table table(seed_table_columns());
  for (auto& row : seed_table_rows(files)) table.add_row(std::move(row));
  context.out << table.text()
              << fmt::format("\n{}; the variance is over n - 1.\n", seed_key_label(options.key));
}

}  // namespace megin::cli
