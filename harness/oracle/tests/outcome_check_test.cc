// OutcomeCheck: each deed is told by its own classes, and by those of no other deed.
#include "harness/oracle/outcome_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace rig {
namespace {

std::vector<Violation> judged(Deed deed, const std::optional<Error>& outcome) {
  ViolationLog log;
  judge_outcome("client 2", deed, outcome, log);
  return log.kept();
}

std::optional<Error> error_with(const std::optional<Code>& code) {
  return code.has_value() ? std::optional<Error>(Error(*code, "as it was told")) : std::nullopt;
}

bool belongs(Deed deed, const std::optional<Code>& outcome) {
  return std::ranges::find(outcomes_of(deed), outcome) != outcomes_of(deed).end();
}

TEST(OutcomeCheckTest, EachDeedIsToldByItsOwnClasses) {
  for (const Deed deed : all_deeds()) {
    for (const auto& outcome : outcomes_of(deed)) {
      EXPECT_TRUE(judged(deed, error_with(outcome)).empty()) << deed_sentence(deed);
    }
  }
}

TEST(OutcomeCheckTest, X1_TheClassOfAnotherDeedIsReported) {
  for (const Deed deed : all_deeds()) {
    for (const Deed other : all_deeds()) {
      for (const auto& outcome : outcomes_of(other)) {
        if (!belongs(deed, outcome)) {
          const auto violations = judged(deed, error_with(outcome));
          ASSERT_EQ(violations.size(), 1u) << deed_sentence(deed) << ", told as: " << deed_sentence(other);
          EXPECT_EQ(violations[0].law, Law::x1_outcome);
          EXPECT_EQ(violations[0].where, "client 2");
        }
      }
    }
  }
}

TEST(OutcomeCheckTest, X1_WhatSaysNothingTellsNoDeed) {
  for (const Deed deed : all_deeds()) {
    for (const Code code : {Code::internal, Code::would_block, Code::invalid_state, Code::refused_by_system}) {
      EXPECT_EQ(judged(deed, Error(code)).size(), 1u) << deed_sentence(deed) << ": " << code_name(code);
    }
  }
}

TEST(OutcomeCheckTest, X1_TheReportSaysWhatHappenedAndWhatWasTold) {
  EXPECT_EQ(judged(Deed::cut, std::nullopt)[0].message,
            "the peer's stream ended without its end mark: that is truncated, and what was told is an orderly end");
  EXPECT_EQ(judged(Deed::distrusted, Error(Code::reset, "connection: Connection reset by peer"))[0].message,
            "the peer was not the one that is trusted: that is verification_failed or handshake_failed, and what was "
            "told is reset (connection: Connection reset by peer)");
}

// But for the one that is told of itself by others.
TEST(OutcomeCheckTest, NoTwoDeedsShareAClass) {
  std::set<std::optional<Code>> seen;
  std::size_t all = 0;
  for (const Deed deed : all_deeds()) {
    for (const auto& outcome : outcomes_of(deed)) {
      if (deed != Deed::dismissed) {
        seen.insert(outcome);
        ++all;
      }
    }
  }
  EXPECT_EQ(seen.size(), all);
}

}  // namespace
}  // namespace rig
