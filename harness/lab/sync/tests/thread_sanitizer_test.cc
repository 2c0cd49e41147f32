// Races of the program under test are reported in a run: the token, which orders everything, is hidden.
#include <mutex>
#include <thread>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

TEST(ThreadSanitizerDeathTest, sees_a_race_with_each_seed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    EXPECT_DEATH(
        {
          int count = 0;
          run(with_seed(seed), [&] {
            std::thread other([&] { ++count; });
            ++count;
            other.join();
          });
          std::exit(0);  // a report changes it
        },
        "WARNING: ThreadSanitizer: data race")
        << "seed " << seed;
  }
}

// What a lock, a once or a join orders is no race: the suites around this one would report it.
TEST(ThreadSanitizer, sees_the_order_that_locks_and_onces_make) {
  run_seeds([] {
    std::once_flag flag;
    std::mutex mutex;
    int made = 0;
    int count = 0;
    const auto body = [&] {
      std::call_once(flag, [&] { made = 1; });
      EXPECT_EQ(made, 1);
      const std::lock_guard lock(mutex);
      ++count;
    };
    std::thread other(body);
    body();
    other.join();
    EXPECT_EQ(count, 2);
  });
}

}  // namespace
}  // namespace rig::lab
