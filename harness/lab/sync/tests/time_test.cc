// Virtual time: it is one, it jumps over sleeps, and waiting for it in a loop ends.
#include <errno.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

using namespace std::chrono_literals;

Options in_default_order() {
  Options options;
  options.policy = PolicyKind::none;
  return options;
}

std::int64_t read(clockid_t clock) {
  timespec time{};
  EXPECT_EQ(clock_gettime(clock, &time), 0);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

TEST(Time, jumps_over_sleeps) {
  const auto real_begin = std::chrono::steady_clock::now();
  const Outcome outcome = run({}, [] {
    std::this_thread::sleep_for(1h);
    EXPECT_EQ(sleep(3600), 0U);
    EXPECT_EQ(usleep(500'000), 0);
    const timespec hour{.tv_sec = 3600, .tv_nsec = 0};
    EXPECT_EQ(nanosleep(&hour, nullptr), 0);
    EXPECT_EQ(thrd_sleep(&hour, nullptr), 0);
    EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, nullptr), 0);
    const timespec moment{.tv_sec = now_ns() / 1'000'000'000 + 3600, .tv_nsec = 0};
    EXPECT_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &moment, nullptr), 0);
    EXPECT_EQ(time(nullptr), moment.tv_sec);
    // A moment that has passed is no wait.
    EXPECT_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &hour, nullptr), 0);
  });
  EXPECT_GE(outcome.virtual_ns, 5 * 3'600'000'000'000);
  EXPECT_LT(outcome.virtual_ns, 6 * 3'600'000'000'000 + 1'000'000'000);
  EXPECT_LT(std::chrono::steady_clock::now() - real_begin, 30s);
}

TEST(Time, is_the_same_on_every_clock) {
  run({}, [] {
    const std::int64_t now = now_ns();
    for (const clockid_t clock :
         {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
          CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID}) {
      EXPECT_EQ(read(clock), now);
    }
    timeval day{};
    EXPECT_EQ(gettimeofday(&day, nullptr), 0);
    EXPECT_EQ(day.tv_sec * 1'000'000 + day.tv_usec, now / 1000);
    timespec utc{};
    EXPECT_EQ(timespec_get(&utc, TIME_UTC), TIME_UTC);
    EXPECT_EQ(utc.tv_sec * 1'000'000'000 + utc.tv_nsec, now);
    time_t seconds = 0;
    EXPECT_EQ(time(&seconds), seconds);
    EXPECT_EQ(seconds, now / 1'000'000'000);
    EXPECT_EQ(clock(), now / 1000);
    EXPECT_EQ(std::chrono::system_clock::now().time_since_epoch().count(), now);
    timespec unused{};
    EXPECT_EQ(clock_gettime(12345, &unused), -1);
    EXPECT_EQ(errno, EINVAL);
  });
}

TEST(Time, sleepers_wake_in_the_order_of_their_moments) {
  run_seeds([] {
    std::mutex mutex;
    std::vector<int> order;
    std::thread threads[3];
    for (int i = 0; i < 3; ++i) {
      threads[i] = std::thread([&, i] {
        std::this_thread::sleep_for((3 - i) * 1s);
        const std::lock_guard lock(mutex);
        order.push_back(i);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(order, (std::vector<int>{2, 1, 0}));
  });
}

TEST(Time, a_loop_on_the_clock_ends) {
  const Outcome outcome = run({}, [] {
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() < begin + 20us) {
    }
  });
  EXPECT_GE(outcome.virtual_ns, 20'000);
}

TEST(Time, a_loop_on_the_clock_lets_others_run) {
  run_seeds([] {
    std::atomic<bool> done{false};
    std::thread other([&] { done = true; });
    while (!done) {
      static_cast<void>(time(nullptr));
    }
    other.join();
  });
}

TEST(Time, invalid_spans_are_refused_as_the_system_does) {
  run({}, [] {
    const timespec invalid{.tv_sec = 0, .tv_nsec = 1'000'000'000};
    EXPECT_EQ(nanosleep(&invalid, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &invalid, nullptr), EINVAL);
    const timespec zero{};
    EXPECT_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &zero, nullptr), EINVAL);
    EXPECT_EQ(clock_nanosleep(12345, 0, &zero, nullptr), EINVAL);
  });
}

TEST(Time, a_yield_lets_another_go_in_the_default_order_as_well) {
  run(in_default_order(), [] {
    std::atomic<bool> done{false};
    std::thread other([&] { done = true; });
    while (!done) {
      std::this_thread::yield();
    }
    other.join();
    std::atomic<bool> done_again{false};
    std::thread another([&] { done_again = true; });
    while (!done_again) {
      thrd_yield();
    }
    another.join();
  });
}

}  // namespace
}  // namespace rig::lab
