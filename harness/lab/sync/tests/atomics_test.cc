// std::atomic::wait and what else reaches the futex.
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <latch>
#include <thread>
#include <vector>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

TEST(Atomic, wait_returns_after_notify) {
  run_seeds([] {
    std::atomic<int> stage{0};
    std::thread other([&] {
      stage.wait(0);
      EXPECT_EQ(stage.load(), 1);
      stage.store(2);
      stage.notify_one();
    });
    stage.store(1);
    stage.notify_one();
    stage.wait(1);
    EXPECT_EQ(stage.load(), 2);
    other.join();
  });
}

TEST(Atomic, notify_all_lets_each_waiter_go) {
  run_seeds([] {
    std::atomic<bool> open{false};
    std::atomic<int> through{0};
    std::latch ready(3);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        ready.count_down();
        open.wait(false);
        ++through;
      });
    }
    ready.wait();
    open.store(true);
    open.notify_all();
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(through.load(), 3);
  });
}

TEST(Futex, answers_as_the_kernel_does) {
  run({}, [] {
    std::atomic<int> word{5};
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 4, nullptr), -1);
    EXPECT_EQ(errno, EAGAIN);
    const timespec second{.tv_sec = 1, .tv_nsec = 0};
    const std::int64_t begin = now_ns();
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, &second), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_GE(now_ns() - begin, 1'000'000'000);
    // With a mask the time is a moment, not a span.
    const timespec moment{.tv_sec = now_ns() / 1'000'000'000 + 2, .tv_nsec = 0};
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 5, &moment, nullptr, FUTEX_BITSET_MATCH_ANY), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_EQ(time(nullptr), moment.tv_sec);
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX), 0);
  });
}

TEST(Futex, wake_says_how_many_it_woke) {
  run_seeds([] {
    std::atomic<int> word{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] { EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr), 0); });
    }
    pass_time(std::chrono::milliseconds(1));
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1), 1);
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX), 2);
    for (std::thread& thread : threads) {
      thread.join();
    }
  });
}

// A compare-and-store in two steps loses updates in some schedules: the steps are points only through the yield.
TEST(Atomic, a_lost_update_is_found) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    std::atomic<int> count{0};
    run(with_seed(seed), [&] {
      const auto add = [&] {
        const int seen = count.load();
        std::this_thread::yield();
        count.store(seen + 1);
      };
      std::thread other(add);
      add();
      other.join();
    });
    lost += count.load() == 1 ? 1 : 0;
  }
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, static_cast<int>(seeds));
}

}  // namespace
}  // namespace rig::lab
