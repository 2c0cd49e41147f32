// A run that cannot go on says who waits on what.
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

class StuckDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

Options with_few_steps() {
  Options options;
  options.steps_max = 10'000;
  return options;
}

// until_stuck runs seeds until one is stuck, which ends the process with the report.
void until_stuck(const std::function<void()>& body) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    run(with_seed(seed), body);
  }
  std::fprintf(stderr, "no seed was stuck\n");
  std::_Exit(1);
}

TEST_F(StuckDeathTest, locks_in_both_orders) {
  EXPECT_DEATH(until_stuck([] {
                 std::mutex first;
                 std::mutex second;
                 std::thread other([&] {
                   const std::lock_guard a(second);
                   const std::lock_guard b(first);
                 });
                 {
                   const std::lock_guard a(first);
                   const std::lock_guard b(second);
                 }
                 other.join();
               }),
               "deadlock: every thread waits, and nothing can wake one\n"
               "  thread 0: waits in mutex_lock for mutex 1, held by thread 1\n"
               "  thread 1: waits in mutex_lock for mutex 2, held by thread 0");
}

// The check and the wait are not one step: the signal falls between them.
TEST_F(StuckDeathTest, a_lost_wake_up) {
  EXPECT_DEATH(until_stuck([] {
                 std::mutex mutex;
                 std::condition_variable changed;
                 std::atomic<bool> ready{false};
                 std::thread other([&] {
                   ready = true;
                   changed.notify_one();
                 });
                 {
                   std::unique_lock lock(mutex);
                   if (!ready) {
                     changed.wait(lock);
                   }
                 }
                 other.join();
               }),
               "deadlock: .*\n  thread 0: waits in cond_wait for condition 1");
}

TEST_F(StuckDeathTest, one_thread_and_its_own_mutex) {
  EXPECT_DEATH(run({},
                   [] {
                     pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
                     pthread_mutex_lock(&mutex);
                     pthread_mutex_lock(&mutex);
                   }),
               "thread 0: waits in mutex_lock for mutex 1, held by thread 0");
}

TEST_F(StuckDeathTest, each_kind_of_wait_has_its_sentence) {
  EXPECT_DEATH(run({},
                   [] {
                     std::shared_mutex readers;
                     std::shared_mutex writer;
                     sem_t semaphore;
                     sem_init(&semaphore, 0, 0);
                     pthread_barrier_t barrier;
                     pthread_barrier_init(&barrier, nullptr, 2);
                     std::atomic<int> word{3};
                     readers.lock_shared();
                     writer.lock();
                     std::thread threads[] = {
                         std::thread([&] { readers.lock(); }), std::thread([&] { writer.lock_shared(); }),
                         std::thread([&] { sem_wait(&semaphore); }),
                         std::thread([&] { pthread_barrier_wait(&barrier); }), std::thread([&] { word.wait(3); })};
                     threads[0].join();
                   }),
               "thread 0: waits in thread_join for the end of thread 1\n"
               "  thread 1: waits in rwlock_write for rwlock 1, held by 1 reader.s.\n"
               "  thread 2: waits in rwlock_read for rwlock 2, held by thread 0\n"
               "  thread 3: waits in sem_wait for semaphore 3\n"
               "  thread 4: waits in barrier for barrier 4, where 1 of 2 have arrived\n"
               "  thread 5: waits in futex_wait for atomic 5, which is 3");
}

TEST_F(StuckDeathTest, a_condition_is_destroyed_under_its_waiter) {
  EXPECT_DEATH(run({},
                   [] {
                     static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
                     static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
                     std::thread other([] {
                       pthread_mutex_lock(&mutex);
                       pthread_cond_wait(&condition, &mutex);
                     });
                     pass_time(std::chrono::seconds(1));
                     pthread_cond_destroy(&condition);
                   }),
               "for the last waiter of condition 1, which it destroys");
}

int initialise(int depth) {
  static const int value = depth == 0 ? 0 : initialise(depth - 1);
  return value;
}

TEST_F(StuckDeathTest, a_routine_that_waits_for_its_own_end) {
  EXPECT_DEATH(run({},
                   [] {
                     static pthread_once_t control = PTHREAD_ONCE_INIT;
                     pthread_once(&control, [] { pthread_once(&control, [] {}); });
                   }),
               "waits in once for once 1, held by thread 0");
  EXPECT_DEATH(run({}, [] { static_cast<void>(initialise(1)); }),
               "waits in static_guard for static's guard 1, held by thread 0");
}

TEST_F(StuckDeathTest, threads_that_go_on_when_the_run_is_over) {
  EXPECT_DEATH(until_stuck([] {
                 std::thread([] {
                   while (true) {
                     std::this_thread::sleep_for(std::chrono::minutes(1));
                   }
                 }).detach();
               }),
               "the run is over, and threads of it do not end");
}

// Dual: they have minutes.
TEST(Stuck, threads_that_end_minutes_after_the_body_are_no_finding) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    std::atomic<bool> ended{false};
    run(with_seed(seed), [&ended] {
      std::thread([&ended] {
        std::this_thread::sleep_for(std::chrono::minutes(9));
        ended = true;
      }).detach();
    });
    EXPECT_TRUE(ended);
  }
}

TEST_F(StuckDeathTest, threads_that_are_left_over) {
  EXPECT_DEATH(run({},
                   [] {
                     static sem_t semaphore;
                     sem_init(&semaphore, 0, 0);
                     std::thread([] { sem_wait(&semaphore); }).detach();
                   }),
               "the run is over, and threads of it do not end");
}

TEST_F(StuckDeathTest, threads_that_go_on_without_end) {
  EXPECT_DEATH(run(with_few_steps(),
                   [] {
                     std::atomic<bool> done{false};
                     while (!done) {
                       std::this_thread::yield();
                     }
                   }),
               "livelock: the threads go on without end");
}

Options with_few_idle_points() {
  Options options;
  options.idle_points_max = 10'000;
  return options;
}

TEST_F(StuckDeathTest, a_thread_that_goes_round_and_comes_to_nothing) {
  EXPECT_DEATH(run(with_few_idle_points(),
                   [] {
                     std::mutex mutex;
                     for (;;) {
                       const std::lock_guard lock(mutex);
                     }
                   }),
               "livelock: the threads go on without end, and nothing comes of it");
}

// Dual: each wait for the clock is a new beginning, and so is each byte.
TEST(Stuck, many_points_with_waits_or_bytes_between_them_are_no_finding) {
  const Outcome waits = run(with_few_idle_points(), [] {
    std::mutex mutex;
    for (int i = 0; i < 20'000; ++i) {
      const std::lock_guard lock(mutex);
      if (i % 1'000 == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  });
  EXPECT_GT(waits.points, 20'000U);
  const Outcome moves = run(with_few_idle_points(), [] {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    for (int i = 0; i < 20'000; ++i) {
      char byte = 'x';
      ASSERT_EQ(::write(ends[1], &byte, 1), 1);
      ASSERT_EQ(::read(ends[0], &byte, 1), 1);
    }
    ::close(ends[0]);
    ::close(ends[1]);
  });
  EXPECT_GT(moves.points, 20'000U);
}

}  // namespace
}  // namespace rig::lab
