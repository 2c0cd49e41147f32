// AddressSanitizer's reports come out of a run, at any point of it and without losing the token.
#include <memory>
#include <thread>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

TEST(AddressSanitizerDeathTest, reports_a_use_after_free_in_a_run) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
          run(with_seed(seed), [&] {
            auto number = std::make_unique<int>(1);
            int* const borrowed = number.get();
            std::thread other([&] {
              std::this_thread::yield();
              *static_cast<volatile int*>(borrowed) = 2;
            });
            std::this_thread::yield();
            number.reset();
            other.join();
          });
        }
      },
      "heap-use-after-free.*WRITE of size 4.*freed by thread T0 here");
}

}  // namespace
}  // namespace rig::lab
