#include "config/value.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace megin::config {
namespace {

// More values than any recipe has: aliases of aliases would grow without end.
constexpr size_t kMostValues = 100'000;

std::string place(const std::string& file, const YAML::Mark& mark) {
  if (mark.is_null()) return file;
  return fmt::format("{}:{}:{}", file, mark.line + 1, mark.column + 1);
}

class YamlReader {
 public:
  explicit YamlReader(const std::string& file) : file_(file) {}

  Value read(const YAML::Node& node) {
    if (++values_ > kMostValues) {
      fail_usage("{}: more than {} values, aliases counted; write it without aliases", file_, kMostValues);
    }
    Value value;
    value.where = place(file_, node.Mark());
    if (node.IsScalar()) {
      value.kind = Value::Kind::kText;
      value.text = node.Scalar();
    } else if (node.IsSequence()) {
      value.kind = Value::Kind::kList;
      for (const YAML::Node& item : node) value.items.push_back(read(item));
    } else if (node.IsMap()) {
      read_members(node, value);
    }
    return value;
  }

 private:
  void read_members(const YAML::Node& node, Value& value) {
    value.kind = Value::Kind::kMap;
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const YAML::Node& key = entry.first;
      const std::string where = place(file_, key.Mark());
      if (!key.IsScalar()) fail_usage("{}: wanted a name as key, found a list or a map", where);
      if (!seen.insert(key.Scalar()).second)
        fail_usage("{}: the key '{}' is given twice", where, key.Scalar());
      value.members.push_back({key.Scalar(), where, read(entry.second)});
    }
  }

  const std::string& file_;
  size_t values_ = 0;
};

// The item of `list` that a number in an override names.
Value& item_at(Value& list, std::string_view number, std::string_view assignment) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
  if (error != std::errc() || end != number.data() + number.size() || index > list.items.size()) {
    fail_usage("--set {}: '{}' is no item of a list of {}; wanted a number from 0 to {} (which appends)",
               assignment, number, list.items.size(), list.items.size());
  }
  if (index == list.items.size()) list.items.emplace_back();
  return list.items[index];
}

Value& member_at(Value& map, const std::string& key, const std::string& where) {
  if (Value* found = map.find(key)) return *found;
  map.kind = Value::Kind::kMap;
  map.members.push_back({key, where, {}});
  return map.members.back().value;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  const auto found =
      std::find_if(members.begin(), members.end(), [key](const Member& m) { return m.key == key; });
  return found == members.end() ? nullptr : &found->value;
}

Value* Value::find(std::string_view key) {
  return const_cast<Value*>(static_cast<const Value*>(this)->find(key));
}

std::string Value::describe() const {
  switch (kind) {
    case Kind::kNothing:
      return "nothing";
    case Kind::kText:
      return "'" + text + "'";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map of keys";
  }
  return "";
}

Value parse_yaml(std::string_view text, const std::string& file) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.size() > 1) fail_usage("{}: wanted one YAML document, found {}", file, documents.size());
    return YamlReader(file).read(documents.empty() ? YAML::Node() : documents.front());
  } catch (const YAML::Exception& error) {
    fail_usage("{}: not valid YAML: {}", place(file, error.mark), error.msg);
  }
}

Value from_json(const nlohmann::json& json, const std::string& where) {
  Value value;
  value.where = where;
  if (json.is_object()) {
    value.kind = Value::Kind::kMap;
    for (const auto& [key, member] : json.items())
      value.members.push_back({key, where, from_json(member, where)});
  } else if (json.is_array()) {
    value.kind = Value::Kind::kList;
    for (const auto& item : json) value.items.push_back(from_json(item, where));
  } else if (!json.is_null()) {
    value.kind = Value::Kind::kText;
    value.text = json.is_string() ? json.get<std::string>() : json.dump();
  }
  return value;
}

void merge(Value& base, Value over) {
  if (base.kind != Value::Kind::kMap || over.kind != Value::Kind::kMap) {
    // A section with nothing in it says nothing.
    if (over.kind != Value::Kind::kNothing || base.kind == Value::Kind::kNothing) base = std::move(over);
    return;
  }
  for (Member& member : over.members) {
    if (Value* found = base.find(member.key)) {
      merge(*found, std::move(member.value));
    } else {
      base.members.push_back(std::move(member));
    }
  }
}

void apply_override(Value& root, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    fail_usage("--set {}: wanted KEY=VALUE, as in --set train.seed=2", assignment);
  }
  const std::string where = fmt::format("--set {}", assignment);
  std::string_view path = assignment.substr(0, equals);
  Value* at = &root;
  while (true) {
    const size_t dot = path.find('.');
    const std::string key(path.substr(0, dot));
    if (key.empty()) fail_usage("{}: an empty name in the key; wanted names joined by dots", where);
    if (at->kind == Value::Kind::kText) *at = {};
    at = at->kind == Value::Kind::kList ? &item_at(*at, key, assignment) : &member_at(*at, key, where);
    if (dot == std::string_view::npos) break;
    path.remove_prefix(dot + 1);
  }
  const std::string text(assignment.substr(equals + 1));
  if (!text.empty() && std::string_view("[{\"'").find(text.front()) != std::string_view::npos) {
    *at = parse_yaml(text, where);
  } else {
    *at = {};
    at->kind = Value::Kind::kText;
    at->text = text;
    at->where = where;
  }
}

}  // namespace megin::config
