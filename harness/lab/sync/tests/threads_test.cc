// Threads: results, ends, destructors, joins with a time.
#include <errno.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

void* number(std::intptr_t value) {
  return reinterpret_cast<void*>(value);
}

timespec in_s(std::int64_t seconds) {
  return {.tv_sec = now_ns() / 1'000'000'000 + seconds, .tv_nsec = 0};
}

TEST(Thread, join_answers_what_was_returned_or_passed_to_exit) {
  run_seeds([] {
    pthread_t returning;
    pthread_t exiting;
    ASSERT_EQ(pthread_create(&returning, nullptr, [](void* argument) { return argument; }, number(11)), 0);
    ASSERT_EQ(
        pthread_create(&exiting, nullptr, [](void* argument) -> void* { pthread_exit(argument); }, number(22)), 0);
    void* result = nullptr;
    EXPECT_EQ(pthread_join(exiting, &result), 0);
    EXPECT_EQ(result, number(22));
    EXPECT_EQ(pthread_join(returning, &result), 0);
    EXPECT_EQ(result, number(11));
  });
}

TEST(Thread, one_that_cannot_be_made_leaves_no_trace) {
  const Outcome outcome = run({}, [] {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, std::size_t{1} << 50);
    pthread_t thread;
    EXPECT_NE(pthread_create(&thread, &attributes, [](void* argument) { return argument; }, nullptr), 0);
    pthread_attr_destroy(&attributes);
    std::thread([] {}).join();
  });
  EXPECT_GT(outcome.points, 0U);
}

TEST(Thread, join_with_a_time_gives_up_or_succeeds) {
  run_seeds([] {
    std::mutex mutex;
    mutex.lock();
    pthread_t thread;
    pthread_create(
        &thread, nullptr,
        [](void* raw) -> void* {
          static_cast<std::mutex*>(raw)->lock();
          static_cast<std::mutex*>(raw)->unlock();
          return number(5);
        },
        &mutex);
    void* result = nullptr;
    EXPECT_EQ(pthread_tryjoin_np(thread, &result), EBUSY);
    const timespec soon = in_s(10);
    EXPECT_EQ(pthread_timedjoin_np(thread, &result, &soon), ETIMEDOUT);
    EXPECT_EQ(time(nullptr), soon.tv_sec);
    EXPECT_EQ(pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
    mutex.unlock();
    const timespec later = in_s(100);
    EXPECT_EQ(pthread_timedjoin_np(thread, &result, &later), 0);
    EXPECT_EQ(result, number(5));
    EXPECT_LT(time(nullptr), later.tv_sec);
  });
}

TEST(Thread, joining_oneself_is_a_deadlock_that_the_system_reports) {
  run({}, [] { std::thread([] { EXPECT_EQ(pthread_join(pthread_self(), nullptr), EDEADLK); }).join(); });
}

TEST(Thread, detached_ones_end_before_the_run_does) {
  run_seeds([] {
    static std::atomic<int> done;
    done = 0;
    for (int i = 0; i < 3; ++i) {
      std::thread([] {
        std::this_thread::yield();
        ++done;
      }).detach();
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    EXPECT_EQ(pthread_create(
                  &thread, &attributes,
                  [](void*) -> void* {
                    ++done;
                    return nullptr;
                  },
                  nullptr),
              0);
    pthread_attr_destroy(&attributes);
    while (done < 4) {
      pass_time(std::chrono::milliseconds(1));
    }
  });
}

TEST(Thread, the_run_waits_for_threads_that_nobody_joins) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::atomic<bool> done{false};
    run(with_seed(seed), [&] {
      std::thread([&] {
        pass_time(std::chrono::nanoseconds(leave_within_ns) - std::chrono::seconds(1));
        done = true;
      }).detach();
    });
    EXPECT_TRUE(done);
  }
}

// What ThreadLocal and key_destructor leave behind: in which order, and whether a thread of the run they were.
struct Ends {
  std::mutex mutex;
  std::string order;
  int scheduled = 0;
};
Ends* ends = nullptr;

void note_end(char what) {
  const std::lock_guard lock(ends->mutex);
  ends->order += what;
  ends->scheduled += self() != nullptr ? 1 : 0;
}

struct ThreadLocal {
  void touch() const {}
  ~ThreadLocal() {
    std::this_thread::yield();
    note_end('c');
  }
};
thread_local ThreadLocal thread_local_object;

pthread_key_t again_key;

void key_destructor(void* rounds) {
  note_end('k');
  const auto left = reinterpret_cast<std::intptr_t>(rounds) - 1;
  if (left > 0) {
    pthread_setspecific(again_key, number(left));
  }
}

TEST(Thread, its_destructors_are_part_of_the_run) {
  ASSERT_EQ(pthread_key_create(&again_key, key_destructor), 0);
  std::set<std::string> orders;
  run_seeds([&] {
    Ends here;
    ends = &here;
    std::thread threads[2];
    for (std::thread& thread : threads) {
      thread = std::thread([] {
        thread_local_object.touch();
        pthread_setspecific(again_key, number(2));
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(here.order.size(), 6U);
    EXPECT_EQ(std::ranges::count(here.order, 'k'), 4);
    EXPECT_EQ(here.scheduled, 6);
    orders.insert(here.order);
  });
  EXPECT_GT(orders.size(), 1U) << "destructors of two threads overlap in some schedules";
  pthread_key_delete(again_key);
}

TEST(Thread, many_one_after_the_other_and_at_once) {
  const Outcome outcome = run(with_seed(3), [] {
    std::atomic<int> sum{0};
    for (int i = 0; i < 20; ++i) {
      std::vector<std::thread> threads;
      for (int j = 0; j < 10; ++j) {
        threads.emplace_back([&] { ++sum; });
      }
      for (std::thread& thread : threads) {
        thread.join();
      }
    }
    EXPECT_EQ(sum, 200);
  });
  EXPECT_EQ(outcome.threads, 201U);
}

}  // namespace
}  // namespace rig::lab
