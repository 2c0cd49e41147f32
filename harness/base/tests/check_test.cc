#include "harness/base/check.h"

#include <gtest/gtest.h>

namespace rig {
namespace {

TEST(check_death, a_false_condition_ends_the_process_and_names_the_place) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(RIG_CHECK(1 + 1 == 3), "check_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3");
}

TEST(check, a_true_condition_is_evaluated_once) {
  int evaluated = 0;
  RIG_CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

}  // namespace
}  // namespace rig
