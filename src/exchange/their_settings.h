// What the architectures have in common in reading config.json and vocab.json of transformers.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "exchange/foreign_json.h"

namespace megin::exchange {

// The pieces of a vocab.json ({"piece": id, ...}) by their ids, so many; where ids are left out, a name that
// says so. Throws Error for ids that are not from 0 to below `symbols` or stand twice.
std::vector<std::string> pieces_by_id(const std::filesystem::path& file, int64_t symbols);

// A config.json; the defaults are transformers', which it does not always write out.
class TheirSettings {
 public:
  TheirSettings(std::filesystem::path file, const nlohmann::json& config)
      : file_(std::move(file)), config_(config) {}

  int64_t number(const std::string& key, int64_t standard) const {
    return member(config_, key, file_, standard);
  }
  double real(const std::string& key, double standard) const { return member(config_, key, file_, standard); }
  bool flag(const std::string& key, bool standard) const { return member(config_, key, file_, standard); }
  config::Activation activation(const std::string& key, const std::string& standard) const;

  // Throws Error unless the key has this value: megin has no models of another kind.
  template <typename T>
  void require(const std::string& key, const T& wanted, const T& standard) const {
    const T found = member(config_, key, file_, standard);
    if (found != wanted) {
      fail("{}: {}: wanted {}, as megin has no such models otherwise, found {}", file_.string(), key, wanted,
           found);
    }
  }
  void require_within(const std::string& key, int64_t id, int64_t symbols) const;
  // The class that the weights are of: the first of `architectures`.
  std::string architecture(const std::string& standard) const;
  // The labels of a model that classifies, by their numbers: those of `id2label`, or LABEL_0, LABEL_1 ... for
  // `num_labels`. Throws Error for regression, for several labels at once, and for labels that megin cannot
  // tell apart or write on a line.
  std::vector<std::string> classes() const;
  // Throws Error that names the key, what was wanted and what was found.
  [[noreturn]] void refuse(const std::string& key, const std::string& wanted, const std::string& found) const;
  // Refuses dimensions that megin's models cannot have, before anything of their size is made.
  void check(const config::ModelConfig& model) const;

 private:
  std::vector<std::string> standard_labels(int64_t count) const;

  std::filesystem::path file_;
  const nlohmann::json& config_;
};

}  // namespace megin::exchange
