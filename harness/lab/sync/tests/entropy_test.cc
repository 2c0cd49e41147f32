// Randomness within a run is the seed's.
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "harness/lab/sync/entropy.h"
#include "harness/lab/sync/tests/runs.h"

extern "C" unsigned long mbedtls_timing_hardclock();

namespace rig::lab {
namespace {

// drawn is what the calls of a run drew.
std::string drawn(std::uint64_t seed) {
  std::string text;
  const Outcome outcome = run(with_seed(seed), [&] {
    char data[40] = {};
    const auto take = [&](std::size_t size) { text.append(data, size); };
    EXPECT_EQ(getrandom(data, 33, 0), 33);
    take(33);
    EXPECT_EQ(getentropy(data, 40), 0);
    take(40);
    EXPECT_EQ(syscall(SYS_getrandom, data, 16, 0), 16);
    take(16);
    arc4random_buf(data, 9);
    take(9);
    text += std::to_string(arc4random());
    const unsigned below_ten = arc4random_uniform(10);
    EXPECT_LT(below_ten, 10U);
    EXPECT_EQ(arc4random_uniform(0), 0U);
    text += std::to_string(std::random_device()());
    text += std::to_string(mbedtls_timing_hardclock());
  });
  text += std::to_string(outcome.byte_hash);
  return text;
}

TEST(Entropy, is_the_same_for_the_same_seed_only) {
  std::set<std::string> all;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const std::string first = drawn(seed);
    EXPECT_EQ(first, drawn(seed));
    all.insert(first);
  }
  EXPECT_EQ(all.size(), 50U);
}

TEST(Entropy, enters_the_byte_hash_and_its_length_the_schedule_hash) {
  const auto draw = [](std::size_t size) {
    return run(with_seed(9), [size] {
      char data[64];
      EXPECT_EQ(getrandom(data, size, 0), static_cast<ssize_t>(size));
    });
  };
  EXPECT_NE(draw(8).schedule_hash, draw(16).schedule_hash);
  EXPECT_EQ(draw(8).byte_hash, draw(8).byte_hash);
}

TEST(Entropy, too_much_at_once_is_refused_as_the_system_does) {
  run({}, [] {
    char data[257];
    EXPECT_EQ(getentropy(data, sizeof data), -1);
    EXPECT_EQ(errno, EIO);
  });
}

TEST(Process, has_another_id_in_each_run_and_keeps_it) {
  const pid_t before = getpid();
  std::set<pid_t> ids{before};
  for (int i = 0; i < 3; ++i) {
    run({}, [&] {
      const pid_t here = getpid();
      EXPECT_EQ(here, getpid());
      EXPECT_EQ(here, syscall(SYS_getpid));
      EXPECT_EQ(kill(here, 0), 0);
      ids.insert(here);
    });
  }
  EXPECT_EQ(ids.size(), 4U);
  EXPECT_EQ(getpid(), before);
}

// In a process of its own: what is fixed stays so.
TEST(EntropyDeathTest, outside_of_runs_can_be_fixed_too) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        std::uint64_t first[2] = {};
        std::uint64_t second[2] = {};
        fix_entropy(7);
        const bool all = getrandom(first, sizeof first, 0) == sizeof first;
        fix_entropy(7);
        const bool same = getentropy(second, sizeof second) == 0 && first[0] == second[0] && first[1] == second[1];
        fix_entropy(8);
        const bool other = getentropy(second, sizeof second) == 0 && first[0] != second[0];
        std::_Exit(all && same && other && getpid() != syscall(SYS_getpid) ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace rig::lab
