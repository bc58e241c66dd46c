// What a model reached with several seeds of its experts' draws, from the files that `megin evaluate --seeds
// K
// --json` wrote (thor spec 6, Fig. 8): what `megin analyze consistency` and `megin report --consistency`
// show.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "report/table.h"

namespace megin::cli {

// The numbers of one file.
struct SeedResults {
  std::string name;            // the file's, without its ending
  std::vector<double> values;  // one for each seed; at least one
};

// key: bleu or loss. Throws Error for a file that is something else, or that lacks the key.
std::vector<SeedResults> read_seed_results(const std::vector<std::string>& files, const std::string& key);

// bleu where all files have it, else loss.
std::string usual_seed_key(const std::vector<std::string>& files);

// What the numbers of a key are called, with their unit.
std::string seed_key_label(const std::string& key);

// One violin for each file, at most 12.
std::string seed_violins_svg(const std::vector<SeedResults>& files, const std::string& key);

// Mean, variance (n - 1), least and most of each file: as a table, and as a list of objects.
std::vector<report::Column> seed_table_columns();
std::vector<std::vector<std::string>> seed_table_rows(const std::vector<SeedResults>& files);
nlohmann::ordered_json seed_results_json(const std::vector<SeedResults>& files, const std::string& key);

}  // namespace megin::cli
