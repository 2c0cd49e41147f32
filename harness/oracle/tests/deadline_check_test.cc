// X1 about time: a deadline that comes too soon or too late, and those next to it.
#include "harness/oracle/deadline_check.h"

#include <gtest/gtest.h>

#include "harness/oracle/tests/door_events.h"

namespace rig {
namespace {

using test::laws;

constexpr std::int64_t us = 1000;
constexpr std::int64_t begun_ns = 5'000'000'000;
constexpr std::uint64_t limit_us = 30'000;

std::string judged(std::int64_t spent_us, bool told, std::int64_t later_us = 0) {
  ViolationLog log;
  judge_deadline("client 0",
                 {.what = "to close",
                  .begun_ns = begun_ns,
                  .later_ns = begun_ns + later_us * us,
                  .ended_ns = begun_ns + spent_us * us,
                  .limit_us = limit_us,
                  .told = told},
                 log);
  return log.count() == 0 ? "" : laws(log) + ": " + log.kept().front().message;
}

TEST(DeadlineCheck, X1_ADeadlineThatIsToldTooSoonIsReported) {
  EXPECT_EQ(judged(28'999, true), "X1: it had 30000 us to close, and was told after 28999 us that they are over");
  EXPECT_EQ(judged(29'000, true), "");
  EXPECT_EQ(judged(10, false), "") << "who is done sooner is not told of a deadline";
}

TEST(DeadlineCheck, X1_ADeadlineThatPassesInSilenceIsReported) {
  for (const bool told : {true, false}) {
    EXPECT_EQ(judged(130'001, told),
              "X1: it had 30000 us to close, and nothing was told of their end before 130001 us");
    EXPECT_EQ(judged(130'000, told), "");
  }
}

TEST(DeadlineCheck, X1_WhoMayCountFromLaterOnMayTellOfItFromEitherTime) {
  EXPECT_EQ(judged(30'000, true, 20'000), "");
  EXPECT_EQ(judged(150'000, true, 20'000), "");
  EXPECT_EQ(judged(150'001, true, 20'000),
            "X1: it had 30000 us to close, and nothing was told of their end before 150001 us");
  EXPECT_EQ(judged(10'000, true, 20'000),
            "X1: it had 30000 us to close, and was told after 10000 us that they are over");
}

TEST(DeadlineCheck, WhatEndedBeforeItBeganHasNoDeadline) {
  EXPECT_EQ(judged(-1, true), "");
}

}  // namespace
}  // namespace rig
