#include "cli/expert_vote_files.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace megin::cli {
namespace {

store::LayerVotes read_one(const std::string& file) {
  const auto json = nlohmann::json::parse(read_file(file), nullptr, false);
  try {
    store::LayerVotes votes;
    for (const auto& layer : json.at("layers")) {
      votes.push_back(layer.at("votes").get<std::vector<uint64_t>>());
    }
    return votes;
  } catch (const nlohmann::json::exception&) {
    fail("{}: wanted the output of `megin analyze votes MODEL --json`, found something else", file);
  }
}

}  // namespace

store::LayerVotes read_votes(const std::vector<std::string>& files) {
  store::LayerVotes sum = read_one(files.at(0));
  for (size_t i = 1; i < files.size(); ++i) {
    const store::LayerVotes more = read_one(files[i]);
    bool alike = more.size() == sum.size();
    for (size_t layer = 0; alike && layer < sum.size(); ++layer) {
      alike = more[layer].size() == sum[layer].size();
    }
    if (!alike) {
      fail("{}: wanted votes of the layers and experts that {} has, found others; they are of two models",
           files[i], files[0]);
    }
    for (size_t layer = 0; layer < sum.size(); ++layer) {
      for (size_t e = 0; e < sum[layer].size(); ++e) sum[layer][e] += more[layer][e];
    }
  }
  return sum;
}

}  // namespace megin::cli
