// What a field declared once (`static void visit(self, field)`) gives: reading with errors that name the
// place, the list of what was given, JSON, and the table of all fields.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <vector>

#include "config/enums.h"
#include "config/value.h"

namespace megin::config {

// Dotted paths of fields that a recipe gave: "model.width", "data.corpora".
using Given = std::set<std::string>;

struct AnyVisitor {
  template <typename T>
  void operator()(std::string_view, T&, std::string_view) const {}
};

template <typename T>
concept HasFields = requires(T& object) {
  T::visit(object, AnyVisitor{});
};

template <typename T>
constexpr bool IsList = false;
template <typename T>
constexpr bool IsList<std::vector<T>> = true;

inline std::string join_path(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

// --- reading ---------------------------------------------------------------------------------------------

// Each throws UsageError that says what was wanted of `path` and what was found where.
void read_field(const Value& value, const std::string& path, int64_t& field);
void read_field(const Value& value, const std::string& path, double& field);
void read_field(const Value& value, const std::string& path, bool& field);
void read_field(const Value& value, const std::string& path, std::string& field);

void require_kind(const Value& value, const std::string& path, Value::Kind kind);
void reject_unknown_keys(const Value& map, const std::string& path, std::vector<std::string> known);

template <NamedEnum E>
void read_field(const Value& value, const std::string& path, E& field) {
  require_kind(value, path, Value::Kind::kText);
  field = parse_enum<E>(value.text, value.where + ": " + path);
}

template <HasFields T>
void read_field(const Value& value, const std::string& path, T& object, Given& given);

template <typename T>
void read_field(const Value& value, const std::string& path, std::vector<T>& list, Given& given) {
  require_kind(value, path, Value::Kind::kList);
  given.insert(path);
  list.clear();
  for (const Value& item : value.items) {
    const std::string item_path = join_path(path, std::to_string(list.size()));
    T& element = list.emplace_back();
    if constexpr (HasFields<T>) {
      read_field(item, item_path, element, given);
    } else {
      read_field(item, item_path, element);
    }
  }
}

// Sets the fields that `value` (a map; nothing is an empty one) gives, leaves the others, and adds the paths
// of those given to `given`.
template <HasFields T>
void read_field(const Value& value, const std::string& path, T& object, Given& given) {
  if (value.kind == Value::Kind::kNothing) return;
  require_kind(value, path, Value::Kind::kMap);
  std::vector<std::string> known;
  T::visit(object, [&](std::string_view name, auto&, std::string_view) { known.emplace_back(name); });
  reject_unknown_keys(value, path, std::move(known));
  T::visit(object, [&](std::string_view name, auto& field, std::string_view) {
    const Value* member = value.find(name);
    if (!member) return;
    const std::string field_path = join_path(path, name);
    if constexpr (requires { read_field(*member, field_path, field, given); }) {
      read_field(*member, field_path, field, given);
    } else {
      read_field(*member, field_path, field);
      given.insert(field_path);
    }
  });
}

// --- printing --------------------------------------------------------------------------------------------

template <typename T>
nlohmann::ordered_json as_json(const T& field) {
  if constexpr (HasFields<T>) {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    T::visit(field, [&](std::string_view name, const auto& member, std::string_view) {
      object[std::string(name)] = as_json(member);
    });
    return object;
  } else if constexpr (NamedEnum<T>) {
    return std::string(enum_name(field));
  } else if constexpr (IsList<T>) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& item : field) list.push_back(as_json(item));
    return list;
  } else {
    return field;
  }
}

// YAML that parse_yaml reads back as the same values; ${ is written $${.
std::string json_to_yaml(const nlohmann::ordered_json& json);

// --- the table of fields ---------------------------------------------------------------------------------

struct FieldRow {
  std::string path, standard, description;
};

// What the default does not show of a type: the choices of an enum, and lists.
template <typename T>
std::string type_note(const T&) {
  if constexpr (NamedEnum<T>) return fmt::format(" ({})", enum_choices<T>());
  if constexpr (IsList<T>) {
    using Item = typename T::value_type;
    if constexpr (NamedEnum<Item>) return fmt::format(" (a list of {})", enum_choices<Item>());
  }
  return IsList<T> ? " (a list)" : "";
}

template <typename T>
constexpr bool is_list_of_fields() {
  if constexpr (IsList<T>) return HasFields<typename T::value_type>;
  return false;
}

// Adds a row for each field of `object` and of what is in it. The fields of a list's items are told where
// that kind of item stands first (`told`: where each was).
template <HasFields T>
void collect_rows(const T& object, const std::string& path, std::vector<FieldRow>& rows,
                  std::vector<std::pair<std::type_index, std::string>>& told) {
  T::visit(object, [&](std::string_view name, const auto& field, std::string_view description) {
    using Field = std::remove_cvref_t<decltype(field)>;
    const std::string field_path = join_path(path, name);
    if constexpr (HasFields<Field>) {
      collect_rows(field, field_path, rows, told);
    } else if constexpr (!is_list_of_fields<Field>()) {
      rows.push_back({field_path, as_json(field).dump(), std::string(description) + type_note(field)});
    } else {
      using Item = typename Field::value_type;
      for (const auto& [type, first] : told) {
        if (type == typeid(Item)) {
          rows.push_back({field_path, "[]", fmt::format("{} (a list; items as of {})", description, first)});
          return;
        }
      }
      told.emplace_back(typeid(Item), field_path);
      rows.push_back({field_path, "[]", fmt::format("{} (a list; items are numbered from 0)", description)});
      collect_rows(Item{}, field_path + ".0", rows, told);
    }
  });
}

}  // namespace megin::config
