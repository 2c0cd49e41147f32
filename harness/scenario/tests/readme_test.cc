// The README's examples are scenarios, and it names every word of the language.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "harness/scenario/scenario_check.h"
#include "harness/scenario/text.h"
#include "harness/scenario/text_grammar.h"

namespace rig {
namespace {

std::string readme() {
  std::ifstream file(RIG_SCENARIO_README);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The indented blocks that begin with a version line. Blank lines belong to a block.
std::vector<std::string> examples() {
  std::vector<std::string> found;
  std::ifstream file(RIG_SCENARIO_README);
  bool within = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("    scenario ")) {
      within = true;
      found.emplace_back();
    }
    within = within && (line.empty() || line.starts_with("    "));
    if (within) {
      found.back() += line + "\n";
    }
  }
  return found;
}

TEST(ScenarioReadmeTest, ItsExamplesAreScenariosWithSteps) {
  const auto texts = examples();
  EXPECT_EQ(texts.size(), 3u);
  for (const std::string& text : texts) {
    const auto parsed = parse_scenario(text);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().line << ":" << parsed.error().message << " in\n" << text;
    EXPECT_FALSE(parsed->threads.at(0).steps.empty()) << text;
    EXPECT_EQ(check_scenario(*parsed), std::nullopt) << text;
  }
}

template <class Enum>
void expect_words_in(const std::string& text) {
  for (const Word<Enum>& one : words<Enum>()) {
    EXPECT_TRUE(text.contains(one.text)) << one.text;
  }
}

TEST(ScenarioReadmeTest, ItNamesEveryWordOfTheLanguage) {
  const std::string text = readme();
  expect_words_in<Side>(text);
  expect_words_in<World>(text);
  expect_words_in<Auth>(text);
  expect_words_in<Size>(text);
  expect_words_in<TlsChoice>(text);
  expect_words_in<PollerChoice>(text);
  expect_words_in<Peer>(text);
  expect_words_in<Where>(text);
  for (const Word<Event>& one : words<Event>()) {
    EXPECT_TRUE(text.contains("`" + std::string(one.text) + "`")) << one.text;
  }
  for (const Word<Verb>& one : words<Verb>()) {
    EXPECT_TRUE(text.contains("`" + std::string(one.text) + "`") || text.contains("`" + std::string(one.text) + " "))
        << one.text;
  }
  for (const Word<Condition>& one : words<Condition>()) {
    EXPECT_TRUE(text.contains("`" + std::string(one.text) + "`") || text.contains("`" + std::string(one.text) + " N`"))
        << one.text;
  }
  for (const CellField& field : cell_fields) {
    EXPECT_TRUE(text.contains("`" + std::string(field.name) + "`")) << field.name;
  }
  for (const SettingsField& field : settings_fields) {
    EXPECT_TRUE(text.contains("`" + std::string(field.name) + "`")) << field.name;
  }
  for (int code = 0; code <= static_cast<int>(Code::internal); ++code) {
    const std::string name(code_name(static_cast<Code>(code)));
    EXPECT_TRUE(text.contains("`" + name + "`")) << name;
  }
}

}  // namespace
}  // namespace rig
