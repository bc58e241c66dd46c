// megin analyze similarity: how alike the experts of a layer are, by what they answer to the same inputs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/random.h"
#include "cli/analysis.h"
#include "report/table.h"
#include "runtime/model_bundle.h"
#include "runtime/sublayers.h"
#include "store/tensor_names.h"

namespace megin::cli {
namespace {

constexpr int64_t kInputs = 256;

// Cosines between the experts of one layer, [N][N].
struct Similarity {
  std::string layer;
  std::vector<std::vector<double>> cosine;
};

// Rows of standard normal numbers, as a norm would give them, at most `rows` of the same width.
runtime::RowBuffer random_inputs(int64_t width, uint64_t layer) {
  runtime::RowBuffer buffer(width);
  buffer.reserve(kInputs);
  const runtime::Rows rows = buffer.rows(kInputs);
  const uint64_t key = draw_key(1, Purpose::kSampling, {layer});
  for (int64_t r = 0; r < kInputs; ++r) {
    for (int64_t i = 0; i < width; ++i) {
      rows.row(r)[i] = static_cast<float>(draw_normal(key, static_cast<uint64_t>(r * width + i)));
    }
  }
  return buffer;
}

// The mean over the inputs of the cosine between two experts' answers.
double mean_cosine(const std::vector<float>& a, const std::vector<float>& b, size_t width) {
  double sum = 0;
  for (size_t from = 0; from < a.size(); from += width) {
    double product = 0, of_a = 0, of_b = 0;
    for (size_t i = from; i < from + width; ++i) {
      product += static_cast<double>(a[i]) * b[i];
      of_a += static_cast<double>(a[i]) * a[i];
      of_b += static_cast<double>(b[i]) * b[i];
    }
    if (of_a > 0 && of_b > 0) sum += product / std::sqrt(of_a * of_b);
  }
  return sum / (static_cast<double>(a.size()) / static_cast<double>(width));
}

Similarity similarity_of(const runtime::Weights& weights, const runtime::LayerWeights& layer,
                         std::string name) {
  const int64_t width = weights.config.width, count = weights.config.experts.count;
  const runtime::RowBuffer inputs = random_inputs(width, layer.expert_layer);
  runtime::Workspace work(weights.config, {});
  work.reserve(kInputs);
  std::vector<std::vector<float>> answers;
  for (int64_t e = 0; e < count; ++e) {
    answers.push_back(runtime::answers_of_expert(weights, layer, e, inputs.rows(kInputs), work));
  }
  Similarity result{std::move(name), {}};
  for (const auto& a : answers) {
    result.cosine.emplace_back();
    for (const auto& b : answers) {
      result.cosine.back().push_back(mean_cosine(a, b, static_cast<size_t>(width)));
    }
  }
  return result;
}

std::vector<Similarity> similarities(const runtime::Weights& weights) {
  std::vector<Similarity> all;
  for (const config::Stack stack : {config::Stack::kEncoder, config::Stack::kDecoder}) {
    const auto& layers = (stack == config::Stack::kEncoder ? weights.encoder : weights.decoder).layers;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (!layers[i].chooses) continue;
      all.push_back(similarity_of(weights, layers[i], fmt::format("{} {}", store::stack_name(stack), i)));
    }
  }
  return all;
}

}  // namespace

void analyze_similarity(const AnalysisOptions& options, CommandContext& context) {
  const runtime::ModelBundle bundle = runtime::open_model(options.paths[0]);
  const auto all = similarities(*bundle.weights);
  if (all.empty()) fail("{}: wanted a model with experts, found a dense one", options.paths[0]);
  using report::Align;
  report::Table table({{"layer"},
                       {"mean", Align::kRight},
                       {"least", Align::kRight},
                       {"most", Align::kRight},
                       {"most alike"}});
  nlohmann::ordered_json result = {{"model", options.paths[0]}, {"layers", nlohmann::ordered_json::array()}};
  std::string csv = "layer,expert,other,cosine\n";
  for (const Similarity& of : all) {
    double sum = 0, least = 2, most = -2;
    size_t pairs = 0, first = 0, second = 0;
    for (size_t a = 0; a < of.cosine.size(); ++a) {
      for (size_t b = 0; b < of.cosine.size(); ++b) {
        csv += fmt::format("{},{},{},{:.6f}\n", of.layer, a, b, of.cosine[a][b]);
        if (b <= a) continue;
        const double cosine = of.cosine[a][b];
        sum += cosine;
        ++pairs;
        least = std::min(least, cosine);
        if (cosine > most) {
          most = cosine;
          first = a;
          second = b;
        }
      }
    }
    const double mean = sum / static_cast<double>(pairs);
    table.add_row({of.layer, fmt::format("{:.3f}", mean), fmt::format("{:.3f}", least),
                   fmt::format("{:.3f}", most), fmt::format("{} and {}", first, second)});
    result["layers"].push_back(
        {{"layer", of.layer}, {"mean", mean}, {"least", least}, {"most", most}, {"cosine", of.cosine}});
  }
  if (!options.csv.empty()) write_output(options.csv, csv, context);
  if (context.json) {
    context.out << result.dump() << "\n";
    return;
  }
  context.out
      << table.text()
      << fmt::format(
             "\nCosine between what two experts answer, the mean over {} random inputs: 1 is the same "
             "direction.\n",
             kInputs);
}

}  // namespace megin::cli
