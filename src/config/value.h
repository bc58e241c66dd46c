// A configuration before it has types: a tree of texts, lists and maps that remembers where each came from,
// so that includes, --set and variables can be applied first and errors still name file, line and column.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace megin::config {

struct Member;

struct Value {
  enum class Kind { kNothing, kText, kList, kMap };

  Kind kind = Kind::kNothing;
  std::string where;            // "recipe.yaml:3:7", "--set train.seed=2"
  std::string text;             // of kText
  std::vector<Value> items;     // of kList
  std::vector<Member> members;  // of kMap, in the order of the file

  // The member of a map, or nullptr (also when this is no map).
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);

  // "a list", "'abc'", "nothing": what an error found.
  std::string describe() const;
};

struct Member {
  std::string key;
  std::string where;  // of the key
  Value value;
};

// Reads YAML (or JSON, which is YAML). `file` is what messages call it. Throws UsageError with line and
// column for what is no YAML, for a key given twice in a map, and for a file that aliases blow up.
Value parse_yaml(std::string_view text, const std::string& file);

// A parsed JSON value; `where` is what messages call it.
Value from_json(const nlohmann::json& json, const std::string& where);

// Lays `over` on `base`: maps are joined key by key, everything else is replaced.
void merge(Value& base, Value over);

// Applies one "a.b.c=value". A number names an item of a list (from 0; the list's length appends). The value
// is text, or YAML when it starts with [, {, " or '. Throws UsageError when it is not of that form.
void apply_override(Value& root, std::string_view assignment);

}  // namespace megin::config
