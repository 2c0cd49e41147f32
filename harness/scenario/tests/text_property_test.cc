// The text of any scenario reads back as that scenario, and any text at all is read or refused with a place in it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>

#include "harness/base/prng.h"
#include "harness/scenario/tests/arbitrary_scenario.h"
#include "harness/scenario/text.h"

namespace rig {
namespace {

// Whether a place lies in `text`: on one of its lines, at most one column behind the last.
bool is_in(const std::string& text, const SyntaxError& error) {
  std::size_t line = 1;
  std::size_t begin = 0;
  while (line < error.line) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) {
      return false;
    }
    begin = end + 1;
    ++line;
  }
  const std::size_t length = std::min(text.find('\n', begin), text.size()) - begin;
  return error.line >= 1 && error.column >= 1 && error.column <= length + 1;
}

void demand_total(const std::string& text) {
  const auto parsed = parse_scenario(text);
  if (parsed.has_value()) {
    // What was read is a scenario like any other.
    const auto again = parse_scenario(print_scenario(*parsed));
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == *parsed);
  } else {
    RC_ASSERT(!parsed.error().message.empty());
    RC_ASSERT(is_in(text, parsed.error()));
    RC_ASSERT(std::ranges::none_of(parsed.error().message, [](char c) { return c == '\n' || c == '\0'; }));
  }
}

// One random edit: a byte changed, left out or put in, a line doubled, moved or left out, the rest cut off.
void edit(std::string& text, Prng& prng) {
  static constexpr std::string_view likely = " \n\t\r#\"\\=|.>0129x\0";
  const std::size_t at = prng.below(text.size() + 1);
  const char byte = prng.below(2) == 0 ? static_cast<char>(prng.below(256)) : likely[prng.below(likely.size())];
  const std::size_t line = text.rfind('\n', at) == std::string::npos ? 0 : text.rfind('\n', at) + 1;
  const std::string row = text.substr(line, text.find('\n', line) - line) + "\n";
  switch (prng.below(7)) {
    case 0:
      text.insert(at, 1, byte);
      break;
    case 1:
      text.erase(at, 1 + prng.below(3));
      break;
    case 2:
      text.insert(line, row);
      break;
    case 3:
      text.erase(line, row.size());
      break;
    case 4:
      text += row;
      break;
    case 5:
      text.resize(at);
      break;
    default:
      if (at < text.size()) {
        text[at] = byte;
      }
  }
}

RC_GTEST_PROP(ScenarioTextProperty, TextReadsBackAsTheSameScenario, ()) {
  const Scenario scenario = *arbitrary_scenario();
  const std::string text = print_scenario(scenario);
  const auto parsed = parse_scenario(text);
  if (!parsed.has_value()) {
    RC_FAIL(std::to_string(parsed.error().line) + ":" + std::to_string(parsed.error().column) + ": " +
            parsed.error().message);
  }
  RC_ASSERT(*parsed == scenario);
  RC_ASSERT(print_scenario(*parsed) == text);
}

RC_GTEST_PROP(ScenarioTextProperty, EditedTextIsReadOrRefusedWithAPlace, ()) {
  std::string text = print_scenario(*arbitrary_scenario());
  Prng prng(*rc::gen::arbitrary<std::uint64_t>());
  for (std::uint64_t edits = prng.between(1, 6); edits > 0; --edits) {
    edit(text, prng);
    demand_total(text);
  }
}

RC_GTEST_PROP(ScenarioTextProperty, NoiseIsRefusedWithAPlace, ()) {
  Prng prng(*rc::gen::arbitrary<std::uint64_t>());
  std::string text = prng.below(2) == 0 ? "scenario 1\n" : "";
  for (std::uint64_t bytes = prng.below(400); bytes > 0; --bytes) {
    text += static_cast<char>(prng.below(256));
  }
  demand_total(text);
}

}  // namespace
}  // namespace rig
