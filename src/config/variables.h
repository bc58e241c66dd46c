// Variables in recipes: ${NAME} in a value stands for the environment's NAME, so that a recipe names no
// machine's folders.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/value.h"

namespace megin::config {

// The value of an environment variable, if it is set. Comes from outside, so that tests need no process
// state.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> process_environment(const std::string& name);

// Replaces ${NAME} in every text of `root` but `variables`. NAME's value is the first of: what --set
// variables.NAME= gave (`overrides`: the map of those), the environment, the map `variables` of the recipe
// (`defaults`), whose values may use other variables. $${ stands for a plain ${. Throws UsageError that names
// the variable and the place when it has no value.
struct VariableSources {
  const Value* overrides = nullptr;  // may be null
  const Value* defaults = nullptr;   // may be null
  Environment environment;
};
void expand_variables(Value& root, const VariableSources& sources);

}  // namespace megin::config
