// Barriers and semaphores.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include <algorithm>
#include <semaphore>
#include <thread>
#include <vector>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

TEST(Barrier, nobody_goes_on_before_all_have_come_round_after_round) {
  run_seeds([] {
    constexpr int threads_count = 3;
    constexpr int rounds = 3;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, nullptr, threads_count);
    int arrived = 0;
    int serial = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < threads_count; ++i) {
      threads.emplace_back([&] {
        for (int round = 1; round <= rounds; ++round) {
          __atomic_add_fetch(&arrived, 1, __ATOMIC_RELAXED);
          const int result = pthread_barrier_wait(&barrier);
          __atomic_add_fetch(&serial, result == PTHREAD_BARRIER_SERIAL_THREAD ? 1 : 0, __ATOMIC_RELAXED);
          EXPECT_GE(__atomic_load_n(&arrived, __ATOMIC_RELAXED), round * threads_count);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(arrived, rounds * threads_count);
    EXPECT_EQ(serial, rounds);
    EXPECT_EQ(pthread_barrier_destroy(&barrier), 0);
  });
}

TEST(Semaphore, lets_as_many_in_as_it_counts) {
  int most_of_all = 0;
  run_seeds([&] {
    sem_t semaphore;
    sem_init(&semaphore, 0, 2);
    int inside = 0;
    int most = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        EXPECT_EQ(sem_wait(&semaphore), 0);
        const int now = __atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);
        // Only the thread with the token runs; the atomics keep ThreadSanitizer quiet.
        __atomic_store_n(&most, std::max(__atomic_load_n(&most, __ATOMIC_RELAXED), now), __ATOMIC_RELAXED);
        std::this_thread::yield();
        __atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
        EXPECT_EQ(sem_post(&semaphore), 0);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    int count = 0;
    sem_getvalue(&semaphore, &count);
    EXPECT_EQ(count, 2);
    EXPECT_LE(most, 2);
    most_of_all = std::max(most_of_all, most);
    sem_destroy(&semaphore);
  });
  EXPECT_EQ(most_of_all, 2);
}

TEST(Semaphore, answers_as_glibc_does) {
  run({}, [] {
    sem_t semaphore;
    sem_init(&semaphore, 0, 1);
    errno = 77;
    EXPECT_EQ(sem_wait(&semaphore), 0);
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(sem_trywait(&semaphore), -1);
    EXPECT_EQ(errno, EAGAIN);
    timespec deadline{};
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 100;
    EXPECT_EQ(sem_timedwait(&semaphore, &deadline), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_EQ(time(nullptr), deadline.tv_sec);
    EXPECT_EQ(sem_clockwait(&semaphore, CLOCK_MONOTONIC, &deadline), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    deadline.tv_nsec = 1'000'000'000;
    EXPECT_EQ(sem_timedwait(&semaphore, &deadline), -1);
    EXPECT_EQ(errno, EINVAL);
    // A waiter that has to wait first does not see the errno of the attempts before.
    std::thread other([&] {
      errno = 78;
      EXPECT_EQ(sem_wait(&semaphore), 0);
      EXPECT_EQ(errno, 78);
    });
    pass_time(std::chrono::milliseconds(1));
    sem_post(&semaphore);
    other.join();
    sem_destroy(&semaphore);
  });
}

TEST(Semaphore, of_the_standard_library_passes_turns) {
  run_seeds([] {
    std::binary_semaphore ping(0);
    std::binary_semaphore pong(0);
    int turns = 0;
    std::thread other([&] {
      for (int i = 0; i < 3; ++i) {
        ping.acquire();
        ++turns;
        pong.release();
      }
    });
    for (int i = 0; i < 3; ++i) {
      ping.release();
      pong.acquire();
      EXPECT_EQ(turns, i + 1);
    }
    other.join();
  });
}

}  // namespace
}  // namespace rig::lab
