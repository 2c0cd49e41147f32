// Outside of a run every call is the system's, and the process really calls the lab.
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

TEST(Outside, each_exported_name_is_the_executables) {
  const Status status = interposed();
  EXPECT_TRUE(status.has_value()) << (status ? "" : status.error().detail());
}

TEST(Outside, threads_and_locks_work_side_by_side) {
  std::mutex mutex;
  std::condition_variable changed;
  std::once_flag flag;
  std::atomic<int> word{0};
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  int onces = 0;
  int stage = 0;
  EXPECT_EQ(self(), nullptr);
  std::thread other([&] {
    EXPECT_EQ(self(), nullptr);
    std::call_once(flag, [&] { ++onces; });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return stage == 1; });
    stage = 2;
    changed.notify_all();
    lock.unlock();
    word.wait(0);
    sem_post(&semaphore);
  });
  std::call_once(flag, [&] { ++onces; });
  std::unique_lock lock(mutex);
  stage = 1;
  changed.notify_all();
  changed.wait(lock, [&] { return stage == 2; });
  lock.unlock();
  word = 1;
  word.notify_all();
  EXPECT_EQ(sem_wait(&semaphore), 0);
  other.join();
  EXPECT_EQ(onces, 1);
  sem_destroy(&semaphore);
}

TEST(Outside, contended_onces_and_statics_wait_for_each_other) {
  for (int trial = 0; trial < 50; ++trial) {
    pthread_once_t control = PTHREAD_ONCE_INIT;
    static std::atomic<int> calls;
    static std::atomic<bool> entered;
    calls = 0;
    entered = false;
    const auto body = [&] {
      pthread_once(&control, [] {
        entered = true;
        std::this_thread::yield();
        ++calls;
      });
      EXPECT_EQ(calls, 1);
    };
    std::thread threads[3] = {std::thread(body), std::thread(body), std::thread(body)};
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_TRUE(entered);
  }
}

TEST(Outside, clocks_ids_and_randomness_are_the_systems) {
  timespec by_call{};
  timespec by_kernel{};
  ASSERT_EQ(clock_gettime(CLOCK_MONOTONIC, &by_call), 0);
  ASSERT_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &by_kernel), 0);
  EXPECT_LE(by_kernel.tv_sec - by_call.tv_sec, 5);
  EXPECT_GE(by_kernel.tv_sec, by_call.tv_sec);
  EXPECT_EQ(getpid(), syscall(SYS_getpid));
  EXPECT_NE(time(nullptr), 0);
}

// A thread that is not of the run goes on beside it, and what it shares with the run works.
TEST(Outside, a_thread_that_was_there_before_is_not_of_the_run) {
  std::atomic<bool> stop{false};
  std::atomic<int> rounds{0};
  std::mutex own;
  std::thread before([&] {
    while (!stop) {
      const std::lock_guard lock(own);
      EXPECT_EQ(self(), nullptr);
      ++rounds;
    }
  });
  const Outcome outcome = run({}, [] { std::thread([] { EXPECT_NE(self(), nullptr); }).join(); });
  EXPECT_EQ(outcome.threads, 2U);
  stop = true;
  before.join();
}

TEST(Outside, a_bypass_reaches_the_system) {
  run({}, [] {
    const std::int64_t virtual_now = now_ns();
    const Bypass bypass;
    timespec real{};
    EXPECT_EQ(clock_gettime(CLOCK_MONOTONIC, &real), 0);
    EXPECT_NE(real.tv_sec, virtual_now / 1'000'000'000);
    EXPECT_EQ(getpid(), syscall(SYS_getpid));
  });
}

}  // namespace
}  // namespace rig::lab
