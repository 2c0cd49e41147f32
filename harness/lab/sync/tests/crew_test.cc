// Threads that are parked between runs: they come back, and a run with them is the run that it is without.
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

Options with_crew(std::uint64_t seed) {
  Options options = with_seed(seed);
  options.crew = true;
  return options;
}

void* number(std::intptr_t value) {
  return reinterpret_cast<void*>(value);
}

// What a thread leaves for the next one that is the same in truth.
thread_local int jobs_before = 0;

void two_that_count(std::mutex& mutex, std::set<pthread_t>& handles, int& again) {
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    handles.insert(pthread_self());
    again += jobs_before++ > 0 ? 1 : 0;
  };
  std::thread first(count);
  std::thread second(count);
  first.join();
  second.join();
}

TEST(Crew, threads_come_back_in_the_next_run) {
  std::mutex mutex;
  std::set<pthread_t> handles;
  int again = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    run(with_crew(seed), [&] { two_that_count(mutex, handles, again); });
  }
  EXPECT_EQ(handles.size(), 2U);
  EXPECT_EQ(again, 98);
}

TEST(Crew, without_it_each_thread_is_a_new_one) {
  std::mutex mutex;
  std::set<pthread_t> handles;
  int again = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    run(with_seed(seed), [&] { two_that_count(mutex, handles, again); });
  }
  EXPECT_EQ(again, 0);
}

TEST(Crew, the_schedule_is_the_same_as_with_new_threads) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto body = [] {
      std::mutex mutex;
      int sum = 0;
      std::array<std::thread, 3> threads;
      for (std::thread& thread : threads) {
        thread = std::thread([&] {
          for (int i = 0; i < 5; ++i) {
            const std::lock_guard lock(mutex);
            ++sum;
          }
        });
      }
      for (std::thread& thread : threads) {
        thread.join();
      }
      EXPECT_EQ(sum, 15);
    };
    const Outcome parked = run(with_crew(seed), body);
    const Outcome made = run(with_seed(seed), body);
    ASSERT_EQ(parked.schedule_hash, made.schedule_hash) << "seed " << seed;
    ASSERT_EQ(parked.switches, made.switches) << "seed " << seed;
  }
}

TEST(Crew, join_answers_what_was_returned_or_passed_to_exit) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    run(with_crew(seed), [] {
      pthread_t returning;
      pthread_t exiting;
      ASSERT_EQ(pthread_create(&returning, nullptr, [](void* argument) { return argument; }, number(11)), 0);
      ASSERT_EQ(
          pthread_create(&exiting, nullptr, [](void* argument) -> void* { pthread_exit(argument); }, number(22)), 0);
      EXPECT_EQ(pthread_equal(returning, exiting), 0);
      void* result = nullptr;
      EXPECT_EQ(pthread_join(exiting, &result), 0);
      EXPECT_EQ(result, number(22));
      EXPECT_EQ(pthread_join(returning, &result), 0);
      EXPECT_EQ(result, number(11));
    });
  }
}

TEST(Crew, a_thread_that_can_still_be_joined_is_not_taken_again) {
  run(with_crew(1), [] {
    std::array<pthread_t, 4> threads;
    std::set<pthread_t> different;
    std::intptr_t value = 0;
    for (pthread_t& thread : threads) {
      ASSERT_EQ(pthread_create(&thread, nullptr, [](void* argument) { return argument; }, number(++value)), 0);
      pass_time(std::chrono::seconds(1));  // it has ended
      different.insert(thread);
    }
    EXPECT_EQ(different.size(), threads.size());
    value = 0;
    for (const pthread_t thread : threads) {
      void* result = nullptr;
      EXPECT_EQ(pthread_join(thread, &result), 0);
      EXPECT_EQ(result, number(++value));
    }
  });
}

TEST(Crew, detached_ones_and_those_that_nobody_joins_come_back_too) {
  std::mutex mutex;
  std::set<pthread_t> handles;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    run(with_crew(seed), [&] {
      pthread_t left;
      pthread_create(&left, nullptr, [](void* argument) { return argument; }, nullptr);
      handles.insert(left);
      std::thread([&] {
        const std::lock_guard lock(mutex);
        handles.insert(pthread_self());
      }).detach();
      pthread_t once;
      pthread_create(&once, nullptr, [](void* argument) { return argument; }, nullptr);
      EXPECT_EQ(pthread_detach(once), 0);
    });
  }
  EXPECT_LE(handles.size(), 4U) << "of this test and those before it";
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RIG_NEEDS_THREADS_AFTER_FORK() GTEST_SKIP() << "the thread sanitizer ends a child that makes threads"
#endif
#endif
#ifndef RIG_NEEDS_THREADS_AFTER_FORK
#define RIG_NEEDS_THREADS_AFTER_FORK() static_assert(true)
#endif

TEST(Crew, a_child_process_makes_its_own) {
  RIG_NEEDS_THREADS_AFTER_FORK();
  run(with_crew(1), [] { std::thread([] {}).join(); });
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Options options = with_crew(2);
    options.watchdog = false;
    bool ran = false;
    run(options, [&] { std::thread([&] { ran = true; }).join(); });
    _exit(ran ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace rig::lab
