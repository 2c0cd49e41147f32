// Members of plain structs as words of a text, read and printed through one table each. Internal to text.h's
// implementation.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "harness/scenario/text_words.h"

namespace rig {

// Field is a member of a plain struct and its name in texts.
template <class Owner, class... Types>
struct Field {
  std::string_view name;
  std::variant<Types Owner::*...> member;
  std::uint64_t max = ~std::uint64_t{0};  // of a number, where the type's own limit is too wide to be run
};

// switch_words are the words of a bool.
inline constexpr std::array<std::string_view, 2> switch_words{"off", "on"};

// known_field answers the index of the field whose name the word is.
template <class Fields>
Read<std::size_t> known_field(const TextLine& line, const std::string& what, const Fields& fields, TextWord word) {
  return line.known_entry(what, fields, [](const auto& field) { return field.name; }, word);
}

// cut cuts "key=value" (or "3..5") in two; the second is empty, and just behind the word, where the separator is
// missing.
inline std::pair<TextWord, TextWord> cut(TextWord word, std::string_view separator) {
  const std::size_t at = word.raw.find(separator);
  if (at == std::string_view::npos) {
    return {word, {{}, word.column + word.raw.size()}};
  }
  const std::size_t behind = at + separator.size();
  return {{word.raw.substr(0, at), word.column}, {word.raw.substr(behind), word.column + behind}};
}

// read_value reads `word` as a value of the type of `value`.
template <class Value>
Read<void> read_value(const TextLine& line, TextWord word, const std::string& what, std::uint64_t max, Value& value) {
  if constexpr (std::is_same_v<Value, std::string>) {
    RIG_TRY(name, line.name(what, word));
    value = std::move(name);
  } else if constexpr (std::is_same_v<Value, bool>) {
    RIG_TRY(on, line.known(what, switch_words, word));
    value = on == 1;
  } else if constexpr (std::is_enum_v<Value>) {
    RIG_TRY(known, line.enumerator<Value>(what, word));
    value = known;
  } else if constexpr (std::integral<Value>) {
    RIG_TRY(number, line.number(what, std::min<std::uint64_t>(max, std::numeric_limits<Value>::max()), word));
    value = static_cast<Value>(number);
  } else {
    RIG_TRY_STATUS(read_value(line, word, what, max, value.emplace()));
  }
  return {};
}

// read_field reads `word` as a value of the type that the field's member has.
template <class Owner, class AnyField>
Read<void> read_field(const TextLine& line, TextWord word, const AnyField& field, Owner& owner) {
  const std::string what = "the value of " + std::string(field.name);
  return std::visit([&](auto member) { return read_value(line, word, what, field.max, owner.*member); }, field.member);
}

// read_fields reads the rest of a line, "name=value" word by word. `once` refuses a name that stands there twice.
template <class Owner, class Fields, class Once>
Read<void> read_fields(TextLine& line, const std::string& what, const Fields& fields, Owner& owner, Once once) {
  while (!line.at_end()) {
    const auto [key, value] = cut(line.peek(), "=");
    RIG_TRY(index, known_field(line, what + " (word=value)", fields, key));
    RIG_TRY_STATUS(once(index, key));
    if (value.raw.empty()) {
      return line.refuse_at(value.column, shown(line.peek().raw) + " has no value; here stands " +
                                              std::string(fields[index].name) + "=value");
    }
    RIG_TRY_STATUS(read_field(line, value, fields[index], owner));
    line.skip();
  }
  return {};
}

// print_value is a value as it stands in a text.
template <class Value>
std::string print_value(const Value& value) {
  if constexpr (std::is_same_v<Value, std::string>) {
    return print_name(value);
  } else if constexpr (std::is_same_v<Value, bool>) {
    return value ? "on" : "off";
  } else if constexpr (std::is_enum_v<Value>) {
    return std::string(word(value));
  } else if constexpr (std::integral<Value>) {
    return std::to_string(value);
  } else {
    return value.has_value() ? print_value(*value) : std::string();
  }
}

// print_field is the value of one member as it stands in a text.
template <class Owner, class AnyField>
std::string print_field(const Owner& owner, const AnyField& field) {
  return std::visit([&owner](auto member) { return print_value(owner.*member); }, field.member);
}

// print_changed is " name=value" for each field that differs from the default.
template <class Owner, class Fields>
std::string print_changed(const Owner& owner, const Fields& fields) {
  std::string text;
  for (const auto& field : fields) {
    const std::string value = print_field(owner, field);
    if (value != print_field(Owner{}, field)) {
      text += " " + std::string(field.name) + "=" + value;
    }
  }
  return text;
}

}  // namespace rig
