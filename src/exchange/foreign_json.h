// JSON files of other programs: config.json, vocab.json.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace megin::exchange {

// Throws Error naming a file that cannot be read, is no JSON object, or is nested beyond any config.json.
inline nlohmann::json read_json(const std::filesystem::path& file) {
  using nlohmann::json;
  constexpr int kMostDepth = 16;
  const auto bounded = [&](int depth, json::parse_event_t, const json&) {
    if (depth > kMostDepth) fail("{}: nested too deeply", file.string());
    return true;
  };
  try {
    json value = json::parse(read_file(file), bounded);
    if (value.is_object()) return value;
  } catch (const json::exception& error) {
    fail("{}: wanted JSON, found something else: {}", file.string(), error.what());
  }
  fail("{}: wanted a JSON object, found another value", file.string());
}

// Throws Error naming file and key when it is missing or of another kind.
template <typename T>
T member(const nlohmann::json& object, const std::string& key, const std::filesystem::path& file) {
  try {
    return object.at(key).get<T>();
  } catch (const nlohmann::json::exception& error) {
    fail("{}: {}: {}", file.string(), key, error.what());
  }
}

// `standard` where the key is missing or null.
template <typename T>
T member(const nlohmann::json& object, const std::string& key, const std::filesystem::path& file,
         T standard) {
  if (!object.contains(key) || object.at(key).is_null()) return standard;
  return member<T>(object, key, file);
}

}  // namespace megin::exchange
