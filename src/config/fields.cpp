#include "config/fields.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "config/nearest.h"

namespace megin::config {
namespace {

const char* kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::kNothing:
      return "nothing";
    case Value::Kind::kText:
      return "one value";
    case Value::Kind::kList:
      return "a list, as [a, b]";
    case Value::Kind::kMap:
      return "a map of keys";
  }
  return "";
}

template <typename T>
void read_number(const Value& value, const std::string& path, const char* wanted, T& field) {
  const char* end = value.text.data() + value.text.size();
  const auto [stop, error] = std::from_chars(value.text.data(), end, field);
  if (value.kind != Value::Kind::kText || error != std::errc() || stop != end) {
    fail_usage("{}: {}: wanted {}, found {}", value.where, path, wanted, value.describe());
  }
}

// Whether YAML reads the text as itself without quotes.
bool is_plain(const std::string& text) {
  static constexpr std::string_view kReserved[] = {"true", "false", "null", "yes", "no",
                                                   "on",   "off",   "y",    "n"};
  std::string lower = text;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (std::find(std::begin(kReserved), std::end(kReserved), lower) != std::end(kReserved)) return false;
  return !text.empty() && (std::isalpha(static_cast<unsigned char>(text.front())) || text.front() == '/') &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '_' || c == '.' || c == '/' || c == '-';
         });
}

std::string scalar_to_yaml(const nlohmann::ordered_json& json) {
  if (!json.is_string()) return json.dump();
  std::string text = json.get<std::string>();
  if (is_plain(text)) return text;
  for (size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 3))
    text.insert(at, 1, '$');
  return nlohmann::ordered_json(text).dump();
}

void write_yaml(const nlohmann::ordered_json& json, const std::string& indent, std::string& out);

void write_list(const nlohmann::ordered_json& list, const std::string& indent, std::string& out) {
  if (list.empty() || !list.front().is_object()) {
    out += " [";
    for (size_t i = 0; i < list.size(); ++i) out += (i == 0 ? "" : ", ") + scalar_to_yaml(list[i]);
    out += "]\n";
    return;
  }
  out += "\n";
  for (const auto& item : list) {
    std::string lines;
    write_yaml(item, indent + "    ", lines);
    lines.replace(indent.size(), 4, "  - ");
    out += lines;
  }
}

void write_yaml(const nlohmann::ordered_json& json, const std::string& indent, std::string& out) {
  for (const auto& [key, value] : json.items()) {
    out += indent + key + ":";
    if (value.is_object()) {
      out += "\n";
      write_yaml(value, indent + "  ", out);
    } else if (value.is_array()) {
      write_list(value, indent, out);
    } else {
      out += ' ';
      out += scalar_to_yaml(value);
      out += '\n';
    }
  }
}

}  // namespace

void read_field(const Value& value, const std::string& path, int64_t& field) {
  read_number(value, path, "an integer", field);
}

void read_field(const Value& value, const std::string& path, double& field) {
  read_number(value, path, "a number", field);
  if (!std::isfinite(field)) fail_usage("{}: {}: wanted a number, found '{}'", value.where, path, value.text);
}

void read_field(const Value& value, const std::string& path, bool& field) {
  if (value.kind != Value::Kind::kText || (value.text != "true" && value.text != "false")) {
    fail_usage("{}: {}: wanted true or false, found {}", value.where, path, value.describe());
  }
  field = value.text == "true";
}

void read_field(const Value& value, const std::string& path, std::string& field) {
  if (value.kind != Value::Kind::kText) {
    fail_usage("{}: {}: wanted a text (\"\" for none), found {}", value.where, path, value.describe());
  }
  try {
    // What is no UTF-8 could not be printed as JSON or YAML later.
    static_cast<void>(nlohmann::json(value.text).dump());
  } catch (const nlohmann::json::exception&) {
    fail_usage("{}: {}: wanted text in UTF-8, found other bytes", value.where, path);
  }
  field = value.text;
}

void require_kind(const Value& value, const std::string& path, Value::Kind kind) {
  if (value.kind == kind) return;
  fail_usage("{}: {}wanted {}, found {}", value.where, path.empty() ? "" : path + ": ", kind_name(kind),
             value.describe());
}

void reject_unknown_keys(const Value& map, const std::string& path, std::vector<std::string> known) {
  for (const Member& member : map.members) {
    if (std::find(known.begin(), known.end(), member.key) != known.end()) continue;
    const std::string guess = did_you_mean(member.key, known);
    if (path.empty()) known.insert(known.end(), {"include", "variables"});
    fail_usage("{}: unknown key '{}'{} {} has {}", member.where, join_path(path, member.key),
               guess.empty() ? ";" : guess, path.empty() ? "the recipe" : path, fmt::join(known, ", "));
  }
}

std::string json_to_yaml(const nlohmann::ordered_json& json) {
  std::string out;
  write_yaml(json, "", out);
  return out;
}

}  // namespace megin::config
