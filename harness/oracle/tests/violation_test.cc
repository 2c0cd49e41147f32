#include "harness/oracle/violation.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>

namespace rig {
namespace {

TEST(ViolationTest, EachLawHasANameAndASentenceOfItsOwn) {
  std::set<std::string> names;
  std::set<std::string> sentences;
  ASSERT_EQ(all_laws().size(), law_count);
  for (std::size_t law = 0; law < law_count; ++law) {
    names.emplace(law_name(static_cast<Law>(law)));
    sentences.emplace(law_sentence(static_cast<Law>(law)));
    EXPECT_EQ(all_laws()[law], static_cast<Law>(law));
    EXPECT_EQ(law_from_name(law_name(static_cast<Law>(law))), static_cast<Law>(law));
  }
  EXPECT_EQ(names, (std::set<std::string>{"C1", "C2", "C3", "C4", "C5", "C6", "C7", "E1", "E2", "E3",
                                          "F1", "H1", "H2", "H3", "L1", "P1", "R1", "S1", "W1", "X1"}));
  EXPECT_EQ(sentences.size(), names.size());
  EXPECT_EQ(law_from_name("C99"), std::nullopt);
  EXPECT_EQ(law_from_name(""), std::nullopt);
}

TEST(ViolationLogTest, KeepsTheFirstAndCountsAll) {
  ViolationLog log;
  EXPECT_EQ(log.count(), 0u);
  for (std::size_t i = 0; i < ViolationLog::kept_max + 7; ++i) {
    log.report(Law::c4_order, "client 2", "message " + std::to_string(i));
  }
  EXPECT_EQ(log.count(), ViolationLog::kept_max + 7);
  const auto kept = log.kept();
  ASSERT_EQ(kept.size(), ViolationLog::kept_max);
  EXPECT_EQ(kept.front().law, Law::c4_order);
  EXPECT_EQ(kept.front().where, "client 2");
  EXPECT_EQ(kept.front().message, "message 0");
  EXPECT_EQ(kept.back().message, "message 49");
}

}  // namespace
}  // namespace rig
