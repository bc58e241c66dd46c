#include "cli/expert_vote_files.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace megin::cli {
namespace {

void check_model(const nlohmann::json& json, const std::string& file, const std::filesystem::path& model) {
  if (!json.contains("weights_checksum")) {
    spdlog::warn("{}: does not say which weights its votes are of; taken as those of {}", file,
                 model.string());
    return;
  }
  const std::string wanted = weights_checksum(model), found = json["weights_checksum"];
  if (found == wanted) return;
  fail(
      "{}: wanted votes of {} (weights {}), found those of another model (weights {}); count them with "
      "`megin analyze votes {} --json`",
      file, model.string(), wanted, found, model.string());
}

store::LayerVotes read_one(const std::string& file, const std::filesystem::path& model) {
  const auto json = nlohmann::json::parse(read_file(file), nullptr, false);
  try {
    store::LayerVotes votes;
    for (const auto& layer : json.at("layers")) {
      votes.push_back(layer.at("votes").get<std::vector<uint64_t>>());
    }
    check_model(json, file, model);
    return votes;
  } catch (const nlohmann::json::exception&) {
    fail("{}: wanted the output of `megin analyze votes MODEL --json`, found something else", file);
  }
}

}  // namespace

std::string weights_checksum(const std::filesystem::path& model) {
  return fmt::format("{:016x}", file_checksum(model / "model.safetensors"));
}

store::LayerVotes read_votes(const std::vector<std::string>& files, const std::filesystem::path& model) {
  store::LayerVotes sum = read_one(files.at(0), model);
  for (size_t i = 1; i < files.size(); ++i) {
    const store::LayerVotes more = read_one(files[i], model);
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
