#include "harness/oracle/violation.h"

#include <gtest/gtest.h>

#include <string>

namespace rig {
namespace {

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
