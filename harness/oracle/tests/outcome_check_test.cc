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

TEST(OutcomeCheckTest, X1_AnErrorThatNothingExplainsIsReported) {
  ViolationLog log;
  judge_unprovoked("client 2", Error(Code::protocol, "read: would block"), log);
  ASSERT_EQ(log.kept().size(), 1u);
  EXPECT_EQ(log.kept()[0].law, Law::x1_outcome);
  EXPECT_EQ(log.kept()[0].where, "client 2");
  EXPECT_EQ(log.kept()[0].message,
            "nothing was done to the connection that is told as protocol, and that is what was told (read: would "
            "block)");
}

// What tells a deed can be the truth about a peer; what tells none of them cannot.
TEST(OutcomeCheckTest, WhatTellsADeedMayBeThePeersDoing) {
  for (const Deed deed : all_deeds()) {
    for (const auto& outcome : outcomes_of(deed)) {
      EXPECT_TRUE(!outcome.has_value() || is_told_by_peers(*outcome)) << deed_sentence(deed);
    }
  }
  for (const Code code : {Code::protocol, Code::internal, Code::no_memory, Code::would_block, Code::invalid_state}) {
    EXPECT_FALSE(is_told_by_peers(code)) << code_name(code);
  }
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

TEST(OutcomeCheckTest, X1_ALackOfMemoryIsToldAsOne) {
  ViolationLog log;
  judge_lack("client 0", Error(Code::no_memory, "no memory for an op"), log);
  EXPECT_EQ(log.count(), 0u);
  judge_lack("client 0", Error(Code::invalid_argument, "the host's name"), log);
  ASSERT_EQ(log.count(), 1u);
  EXPECT_EQ(log.kept()[0].message, "memory had run out, and what was told is invalid_argument (the host's name)");
}

}  // namespace
}  // namespace rig
