#include "harness/base/ddmin.h"

#include <gtest/gtest.h>

#include <numeric>

namespace rig {
namespace {

using Numbers = std::vector<int>;

Numbers up_to(int count) {
  Numbers numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

bool contains(const Numbers& numbers, const Numbers& needed) {
  return std::ranges::all_of(needed, [&](int one) { return std::ranges::find(numbers, one) != numbers.end(); });
}

TEST(Ddmin, LeavesWhatIsNeeded) {
  for (const Numbers& needed : {Numbers{}, Numbers{0}, Numbers{99}, Numbers{3, 4, 98}, Numbers{0, 50, 51, 99}}) {
    const Numbers left = ddmin(up_to(100), [&](const Numbers& candidate) -> std::optional<Numbers> {
      return contains(candidate, needed) ? std::optional(candidate) : std::nullopt;
    });
    EXPECT_EQ(left, needed);
  }
}

TEST(Ddmin, GoesOnFromWhatTheRunReallyUsed) {
  int runs = 0;
  const Numbers left = ddmin(up_to(1000), [&](const Numbers& candidate) -> std::optional<Numbers> {
    ++runs;
    return contains(candidate, {7}) ? std::optional(Numbers{7}) : std::nullopt;
  });
  EXPECT_EQ(left, Numbers{7});
  EXPECT_LE(runs, 4);
}

TEST(Ddmin, ARunThatUsedMoreIsNoProgress) {
  const Numbers left = ddmin(up_to(4), [](const Numbers&) { return std::optional(up_to(4)); });
  EXPECT_EQ(left, up_to(4));
}

TEST(Ddmin, OfNothingIsNothing) {
  EXPECT_EQ(ddmin(Numbers{}, [](const Numbers&) { return std::optional(Numbers{}); }), Numbers{});
}

}  // namespace
}  // namespace rig
