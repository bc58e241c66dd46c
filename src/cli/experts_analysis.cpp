// megin analyze experts: which symbols a hashed or distilled router gives to each expert (Dai et al. 2022,
// Table 9).
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/human_text.h"
#include "cli/analysis.h"
#include "report/table.h"
#include "runtime/model_bundle.h"
#include "store/tensor_names.h"

namespace megin::cli {
namespace {

// The symbols of one expert, in the order of the vocabulary: most models give frequent ones first.
struct Holding {
  std::string layer;
  int64_t expert = 0;
  std::vector<std::string> symbols;
};

std::vector<Holding> holdings(const runtime::ModelBundle& bundle) {
  const runtime::Weights& weights = *bundle.weights;
  std::vector<Holding> all;
  for (const config::Stack stack : {config::Stack::kEncoder, config::Stack::kDecoder}) {
    const bool encoder = stack == config::Stack::kEncoder;
    const auto& layers = (encoder ? weights.encoder : weights.decoder).layers;
    const text::SubwordModel& subword = encoder ? bundle.source : bundle.target;
    for (size_t i = 0; i < layers.size(); ++i) {
      const std::vector<int64_t>& table = layers[i].router.table;
      if (table.empty()) continue;
      const size_t first = all.size();
      for (int64_t e = 0; e < weights.config.experts.count; ++e) {
        all.push_back({fmt::format("{} {}", store::stack_name(stack), i), e, {}});
      }
      for (size_t symbol = text::kSpecialIds; symbol < table.size(); ++symbol) {
        const std::string piece = subword.piece(static_cast<int32_t>(symbol));
        if (piece.starts_with("<0x")) continue;  // a byte, which hardly any text needs
        all[first + static_cast<size_t>(table[symbol])].symbols.push_back(piece);
      }
    }
  }
  return all;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + "\"";
}

}  // namespace

void analyze_experts(const AnalysisOptions& options, CommandContext& context) {
  if (options.top < 1) fail_usage("--top: wanted 1 or more, found {}", options.top);
  const runtime::ModelBundle bundle = runtime::open_model(options.paths[0]);
  const auto all = holdings(bundle);
  if (all.empty()) {
    fail(
        "{}: wanted a model whose router goes by the symbol alone (hash, or distilled by word), found "
        "another",
        options.paths[0]);
  }
  report::Table table(
      {{"layer"}, {"expert", report::Align::kRight}, {"symbols", report::Align::kRight}, {"first"}});
  nlohmann::ordered_json result = {{"model", options.paths[0]}, {"experts", nlohmann::ordered_json::array()}};
  std::string csv = "layer,expert,symbol\n";
  for (const Holding& holding : all) {
    const auto shown = std::min(holding.symbols.size(), static_cast<size_t>(options.top));
    std::string first;
    for (size_t i = 0; i < shown; ++i) first += (i > 0 ? " " : "") + holding.symbols[i];
    table.add_row({holding.layer, std::to_string(holding.expert),
                   grouped(static_cast<int64_t>(holding.symbols.size())), first});
    result["experts"].push_back({{"layer", holding.layer},
                                 {"expert", holding.expert},
                                 {"symbols", holding.symbols.size()},
                                 {"first", std::vector(holding.symbols.begin(),
                                                       holding.symbols.begin() + static_cast<long>(shown))}});
    for (const std::string& symbol : holding.symbols) {
      csv += fmt::format("{},{},{}\n", holding.layer, holding.expert, quoted(symbol));
    }
  }
  if (!options.csv.empty()) write_output(options.csv, csv, context);
  if (context.json) {
    context.out << result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return;
  }
  context.out << table.text() << "\nSymbols in the order of the vocabulary, bytes left out; ▁ is a space.\n";
}

}  // namespace megin::cli
