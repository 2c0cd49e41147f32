#include "harness/base/prng.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <set>

namespace rig {
namespace {

// A seed is a run: these numbers may never change, or no recorded seed means what it did.
TEST(prng, a_seed_is_the_same_stream_on_every_build) {
  struct Golden {
    std::uint64_t seed;
    std::array<std::uint64_t, 3> numbers;
    std::uint64_t forked;  // the first number of fork(7)
    std::uint64_t below_1000;
    std::uint64_t between_10_and_20;
  };
  const Golden table[] = {
      {0, {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0}, 0x3364c6ba3c501d36, 416, 18},
      {1, {0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514}, 0x25fcff4bf476956c, 391, 17},
      {0xdeadbeef, {0xc5555444a74d7e83, 0x65c30d37b4b16e38, 0x54f773200a4efa23}, 0xeb0eb28833a4d805, 260, 20},
  };
  for (const Golden& golden : table) {
    Prng prng(golden.seed);
    for (const std::uint64_t number : golden.numbers) {
      EXPECT_EQ(prng.next(), number);
    }
    EXPECT_EQ(prng.fork(7).next(), golden.forked);
    EXPECT_EQ(prng.below(1000), golden.below_1000);
    EXPECT_EQ(prng.between(10, 20), golden.between_10_and_20);
  }
  EXPECT_EQ(mix64(0), 0U);
  EXPECT_EQ(mix64(1), 0x5692161d100b05e5U);
}

TEST(prng, a_fork_depends_on_seed_and_label_and_not_on_what_was_drawn) {
  Prng drawn(5);
  for (int i = 0; i < 100; ++i) {
    drawn.next();
  }
  EXPECT_EQ(drawn.fork(1).next(), Prng(5).fork(1).next());
  std::set<std::uint64_t> firsts;
  for (std::uint64_t label = 0; label < 1000; ++label) {
    firsts.insert(Prng(5).fork(label).next());
    firsts.insert(Prng(6).fork(label).next());
  }
  EXPECT_EQ(firsts.size(), 2000U);
}

TEST(prng, below_reaches_every_number_under_its_bound_and_no_other) {
  Prng prng(1);
  std::array<int, 7> counts{};
  for (int i = 0; i < 7000; ++i) {
    const std::uint64_t number = prng.below(counts.size());
    ASSERT_LT(number, counts.size());
    ++counts[number];
  }
  for (const int count : counts) {
    EXPECT_GT(count, 850);
    EXPECT_LT(count, 1150);
  }
  EXPECT_EQ(prng.below(0), 0U);
  EXPECT_EQ(prng.below(1), 0U);
}

TEST(prng, between_includes_both_ends_and_can_span_everything) {
  Prng prng(2);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 200; ++i) {
    seen.insert(prng.between(3, 5));
  }
  EXPECT_EQ(seen, (std::set<std::uint64_t>{3, 4, 5}));
  EXPECT_EQ(prng.between(9, 9), 9U);
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  Prng same(2);
  Prng other(2);
  EXPECT_EQ(same.between(0, most), other.next());
}

}  // namespace
}  // namespace rig
