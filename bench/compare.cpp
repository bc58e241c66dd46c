// Compares two builds, or two ways to call one: runs both commands in turns and prints, for each number that
// both report, the medians and the median of the ratios second / first. The machine's drift disturbs both
// alike.
//
//   megin_bench_compare --rounds 5 "old/megin_bench_training" "new/megin_bench_training"
//
//   megin_bench_compare "megin_bench_training --plain all" "megin_bench_training"
//
// A command prints one JSON object; of its arrays of objects ("rows", "results"), elements at the same place
// belong together.
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Numbers = std::map<std::string, double>;  // by JSON pointer

Numbers run(const std::string& command) {
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start: " + command);
  std::string text;
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, count);
  const int status = pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error("failed: " + command);
  const nlohmann::json report = nlohmann::json::parse(text, nullptr, false);
  if (report.is_discarded()) throw std::runtime_error("wanted one JSON object from: " + command);
  const nlohmann::json flat = report.flatten();  // items() refers to it
  Numbers numbers;
  for (const auto& [key, value] : flat.items()) {
    if (value.is_number()) numbers[key] = value.get<double>();
  }
  return numbers;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  std::string first, second;
  int64_t rounds = 5;
  CLI::App app("Runs two benchmark commands in turns and compares the numbers of their JSON reports");
  app.add_option("FIRST", first, "a command, as one argument")->required();
  app.add_option("SECOND", second, "the command to compare with it")->required();
  app.add_option("--rounds", rounds, "of one call each")->capture_default_str()->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    std::map<std::string, std::vector<double>> before, after, ratios;
    for (int64_t round = 0; round < rounds; ++round) {
      const Numbers a = run(first), b = run(second);
      for (const auto& [key, value] : a) {
        const auto other = b.find(key);
        if (other == b.end()) continue;
        before[key].push_back(value);
        after[key].push_back(other->second);
        if (value != 0) ratios[key].push_back(other->second / value);
      }
    }
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    for (const auto& [key, values] : ratios) {
      rows.push_back({{"number", key},
                      {"first", median(before[key])},
                      {"second", median(after[key])},
                      {"ratio", median(values)}});
    }
    std::cout << nlohmann::ordered_json{{"first", first},
                                        {"second", second},
                                        {"rounds", rounds},
                                        {"numbers", rows}}
                     .dump(2)
              << "\n";
  } catch (const std::exception& error) {
    std::cerr << "megin_bench_compare: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
