#include "config/variables.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <vector>

#include "base/error.h"

namespace megin::config {
namespace {

bool is_name(std::string_view name) {
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

class Expander {
 public:
  explicit Expander(const VariableSources& sources) : sources_(sources) {}

  std::string expand(const std::string& text, const std::string& where) {
    std::string result;
    size_t i = 0;
    while (i < text.size()) {
      if (text.compare(i, 3, "$${") == 0) {
        result += "${";
        i += 3;
      } else if (text.compare(i, 2, "${") == 0) {
        const size_t end = text.find('}', i);
        const std::string name = text.substr(i + 2, end == std::string::npos ? end : end - i - 2);
        if (end == std::string::npos || !is_name(name)) {
          fail_usage("{}: wanted ${{NAME}}, found '{}'; a plain ${{ is written $${{", where, text.substr(i));
        }
        result += value_of(name, where);
        i = end + 1;
      } else {
        result += text[i++];
      }
    }
    return result;
  }

 private:
  std::string value_of(const std::string& name, const std::string& where) {
    if (const Value* given = sources_.overrides ? sources_.overrides->find(name) : nullptr)
      return given->text;
    if (const auto found = sources_.environment(name)) return *found;
    const Value* standard = sources_.defaults ? sources_.defaults->find(name) : nullptr;
    if (!standard) {
      fail_usage(
          "{}: the variable {} has no value; set it in the environment ({}=... megin ...) or give --set "
          "variables.{}=...",
          where, name, name, name);
    }
    if (std::find(open_.begin(), open_.end(), name) != open_.end()) {
      fail_usage("{}: the variable {} is defined by itself", standard->where, name);
    }
    open_.push_back(name);
    std::string result = expand(standard->text, standard->where);
    open_.pop_back();
    return result;
  }

  const VariableSources& sources_;
  std::vector<std::string> open_;  // defaults being expanded
};

void expand_in(Value& value, Expander& expander) {
  if (value.kind == Value::Kind::kText) value.text = expander.expand(value.text, value.where);
  for (Value& item : value.items) expand_in(item, expander);
  for (Member& member : value.members) {
    if (member.key != "variables") expand_in(member.value, expander);
  }
}

void check_texts(const Value* map) {
  if (!map || map->kind == Value::Kind::kNothing) return;
  if (map->kind != Value::Kind::kMap) {
    fail_usage("{}: variables: wanted a map of names and values, found {}", map->where, map->describe());
  }
  for (const Member& member : map->members) {
    if (!is_name(member.key)) {
      fail_usage("{}: variables: wanted a name of letters, digits and _, found '{}'", member.where,
                 member.key);
    }
    if (member.value.kind != Value::Kind::kText) {
      fail_usage("{}: variables.{}: wanted a text, found {}", member.where, member.key,
                 member.value.describe());
    }
  }
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

void expand_variables(Value& root, const VariableSources& sources) {
  check_texts(sources.overrides);
  check_texts(sources.defaults);
  Expander expander(sources);
  expand_in(root, expander);
}

}  // namespace megin::config
