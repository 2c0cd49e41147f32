// Mutexes, spin locks and reader-writer locks: they exclude, they wait no longer than they were told, and what glibc
// answers in special cases is answered in a run as well.
#include <errno.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

// Inside counts the threads in a section, and yields there so that others try to come in.
struct Inside {
  // Atomic, but in separate steps: only the schedule keeps them together.
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  void visit() {
    most = std::max(most.load(), ++now);
    std::this_thread::yield();
    --now;
  }
};

void start_and_join(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back(body, i);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

timespec in_ms(std::int64_t ms) {
  const std::int64_t ns = now_ns() + ms * 1'000'000;
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

TEST(Mutex, excludes_and_loses_no_update) {
  const Schedules schedules = run_seeds([] {
    std::mutex mutex;
    Inside inside;
    int visits = 0;
    start_and_join(3, [&](int) {
      for (int i = 0; i < 3; ++i) {
        const std::lock_guard lock(mutex);
        inside.visit();
        ++visits;
      }
    });
    EXPECT_EQ(visits, 9);
    EXPECT_EQ(inside.most, 1);
  });
  EXPECT_EQ(schedules.threads_max, 4U);
  EXPECT_GT(schedules.different, seeds / 4);
}

// Without the lock the same workload does what the test above says never happens: the schedule can reach it.
TEST(Mutex, without_it_threads_meet) {
  int met = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Inside inside;
    std::mutex unrelated[2];
    run(with_seed(seed), [&] {
      std::thread other([&] {
        const std::lock_guard lock(unrelated[0]);
        inside.visit();
      });
      {
        const std::lock_guard lock(unrelated[1]);
        inside.visit();
      }
      other.join();
    });
    met += inside.most == 2 ? 1 : 0;
  }
  EXPECT_GT(met, 0);
  EXPECT_LT(met, static_cast<int>(seeds));
}

TEST(Mutex, trylock_answers_busy_while_another_holds_it) {
  int busy = 0;
  int taken = 0;
  run_seeds([&] {
    std::mutex mutex;
    std::thread other([&] {
      const std::lock_guard lock(mutex);
      std::this_thread::yield();
    });
    if (mutex.try_lock()) {
      ++taken;
      mutex.unlock();
    } else {
      ++busy;
    }
    other.join();
  });
  EXPECT_GT(busy, 0);
  EXPECT_GT(taken, 0);
}

TEST(Mutex, timed_lock_gives_up_at_its_virtual_deadline) {
  run_seeds([] {
    std::timed_mutex mutex;
    mutex.lock();
    std::thread other([&] {
      const std::int64_t begin = now_ns();
      EXPECT_FALSE(mutex.try_lock_for(std::chrono::minutes(10)));
      EXPECT_GE(now_ns() - begin, 600'000'000'000);
      EXPECT_LT(now_ns() - begin, 600'001'000'000);
    });
    other.join();
    mutex.unlock();
  });
}

TEST(Mutex, timed_lock_takes_what_is_given_back_in_time) {
  run_seeds([] {
    std::timed_mutex mutex;
    mutex.lock();
    std::thread other([&] {
      EXPECT_TRUE(mutex.try_lock_for(std::chrono::minutes(10)));
      mutex.unlock();
    });
    pass_time(std::chrono::minutes(9));
    mutex.unlock();
    other.join();
  });
}

TEST(Mutex, kinds_answer_as_glibc_does) {
  run({}, [] {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutex_t mutex;

    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&mutex, &attributes);
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    EXPECT_EQ(pthread_mutex_lock(&mutex), EDEADLK);
    EXPECT_EQ(pthread_mutex_trylock(&mutex), EBUSY);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    pthread_mutex_destroy(&mutex);

    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &attributes);
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    std::thread([&] { EXPECT_EQ(pthread_mutex_trylock(&mutex), EBUSY); }).join();
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    std::thread([&] { EXPECT_EQ(pthread_mutex_trylock(&mutex), EBUSY); }).join();
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    pthread_mutex_destroy(&mutex);

    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_NORMAL);
    pthread_mutex_init(&mutex, &attributes);
    EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
    const timespec deadline = in_ms(5);
    EXPECT_EQ(pthread_mutex_timedlock(&mutex, &deadline), ETIMEDOUT);
    const timespec invalid{.tv_sec = 0, .tv_nsec = 1'000'000'000};
    EXPECT_EQ(pthread_mutex_timedlock(&mutex, &invalid), EINVAL);
    EXPECT_EQ(pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &deadline), EINVAL);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    pthread_mutex_destroy(&mutex);
    pthread_mutexattr_destroy(&attributes);
  });
}

TEST(Mutex, robust_one_is_handed_on_when_its_owner_ends) {
  run_seeds([] {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_t mutex;
    pthread_mutex_init(&mutex, &attributes);
    std::atomic<bool> held{false};
    std::thread owner([&] {
      EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
      held = true;
      std::this_thread::yield();
    });
    while (!held) {
      std::this_thread::yield();
    }
    EXPECT_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
    EXPECT_EQ(pthread_mutex_consistent(&mutex), 0);
    EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
    owner.join();
    pthread_mutex_destroy(&mutex);
    pthread_mutexattr_destroy(&attributes);
  });
}

TEST(SpinLock, excludes) {
  run_seeds([] {
    pthread_spinlock_t lock;
    pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
    Inside inside;
    start_and_join(3, [&](int) {
      pthread_spin_lock(&lock);
      inside.visit();
      pthread_spin_unlock(&lock);
    });
    EXPECT_EQ(inside.most, 1);
    EXPECT_EQ(pthread_spin_trylock(&lock), 0);
    EXPECT_EQ(pthread_spin_trylock(&lock), EBUSY);
    pthread_spin_unlock(&lock);
    pthread_spin_destroy(&lock);
  });
}

TEST(RwLock, readers_share_and_writers_exclude) {
  int readers_most = 0;
  run_seeds([&] {
    std::shared_mutex mutex;
    Inside readers;
    Inside writers;
    start_and_join(4, [&](int i) {
      if (i % 2 == 0) {
        const std::shared_lock lock(mutex);
        EXPECT_EQ(writers.now, 0);
        readers.visit();
      } else {
        const std::unique_lock lock(mutex);
        EXPECT_EQ(readers.now, 0);
        writers.visit();
      }
    });
    EXPECT_EQ(writers.most, 1);
    readers_most = std::max(readers_most, readers.most.load());
  });
  EXPECT_EQ(readers_most, 2);
}

TEST(RwLock, answers_as_glibc_does) {
  run({}, [] {
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    EXPECT_EQ(pthread_rwlock_wrlock(&lock), 0);
    EXPECT_EQ(pthread_rwlock_wrlock(&lock), EDEADLK);
    EXPECT_EQ(pthread_rwlock_rdlock(&lock), EDEADLK);
    EXPECT_EQ(pthread_rwlock_tryrdlock(&lock), EBUSY);
    EXPECT_EQ(pthread_rwlock_trywrlock(&lock), EBUSY);
    std::thread([&] {
      const timespec deadline = in_ms(5);
      EXPECT_EQ(pthread_rwlock_timedrdlock(&lock, &deadline), ETIMEDOUT);
      EXPECT_EQ(pthread_rwlock_timedwrlock(&lock, &deadline), ETIMEDOUT);
      EXPECT_EQ(pthread_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, &deadline), ETIMEDOUT);
      EXPECT_EQ(pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &deadline), ETIMEDOUT);
      EXPECT_GE(now_ns(), deadline.tv_sec * 1'000'000'000 + deadline.tv_nsec);
    }).join();
    EXPECT_EQ(pthread_rwlock_unlock(&lock), 0);
    pthread_rwlock_destroy(&lock);
  });
}

TEST(RwLock, a_waiting_writer_is_preferred_where_that_was_asked_for) {
  run_seeds([] {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_t lock;
    pthread_rwlock_init(&lock, &attributes);
    pthread_rwlock_rdlock(&lock);
    std::atomic<bool> written{false};
    std::thread writer([&] {
      pthread_rwlock_wrlock(&lock);
      written = true;
      pthread_rwlock_unlock(&lock);
    });
    pass_time(std::chrono::milliseconds(1));  // virtual: the writer waits by now
    std::thread reader([&] {
      pthread_rwlock_rdlock(&lock);
      EXPECT_TRUE(written);
      pthread_rwlock_unlock(&lock);
    });
    EXPECT_EQ(pthread_rwlock_tryrdlock(&lock), EBUSY);
    pass_time(std::chrono::milliseconds(1));
    EXPECT_FALSE(written);
    pthread_rwlock_unlock(&lock);
    writer.join();
    reader.join();
    pthread_rwlock_destroy(&lock);
    pthread_rwlockattr_destroy(&attributes);
  });
}

}  // namespace
}  // namespace rig::lab
