#include "harness/oracle/law.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string_view>

namespace rig {
namespace {

TEST(LawTable, each_law_has_a_name_and_a_sentence_of_its_own) {
  std::set<std::string_view> names;
  std::set<std::string_view> sentences;
  for (const LawEntry& entry : law_table()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_TRUE(sentences.insert(entry.sentence).second) << entry.name;
    EXPECT_EQ(&law_entry(entry.law), &entry) << entry.name;
    EXPECT_EQ(law_from_name(entry.name), entry.law);
    EXPECT_EQ(law_name(entry.law), entry.name);
    EXPECT_FALSE(door_name(entry.door).empty());
  }
  EXPECT_EQ(names.size(), law_count);
  EXPECT_EQ(law_from_name("C99"), std::nullopt);
  EXPECT_EQ(law_from_name(""), std::nullopt);
}

}  // namespace
}  // namespace rig
