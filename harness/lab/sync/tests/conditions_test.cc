// Condition variables: what was signalled arrives, deadlines are virtual, and who of several is woken depends on the
// seed.
#include <errno.h>
#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

TEST(Condition, a_queue_between_threads_loses_nothing) {
  run_seeds([] {
    std::mutex mutex;
    std::condition_variable filled;
    std::deque<int> queue;
    int sum = 0;
    std::thread consumer([&] {
      for (int i = 0; i < 6; ++i) {
        std::unique_lock lock(mutex);
        filled.wait(lock, [&] { return !queue.empty(); });
        sum += queue.front();
        queue.pop_front();
      }
    });
    std::thread producers[2];
    for (std::thread& producer : producers) {
      producer = std::thread([&] {
        for (int i = 1; i <= 3; ++i) {
          {
            const std::lock_guard lock(mutex);
            queue.push_back(i);
          }
          filled.notify_one();
        }
      });
    }
    for (std::thread& producer : producers) {
      producer.join();
    }
    consumer.join();
    EXPECT_EQ(sum, 12);
  });
}

TEST(Condition, broadcast_wakes_all) {
  run_seeds([] {
    std::mutex mutex;
    std::condition_variable open;
    bool is_open = false;
    int through = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        std::unique_lock lock(mutex);
        open.wait(lock, [&] { return is_open; });
        ++through;
      });
    }
    {
      const std::lock_guard lock(mutex);
      is_open = true;
    }
    open.notify_all();
    for (std::thread& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(through, 4);
  });
}

TEST(Condition, which_waiter_a_signal_wakes_is_the_seeds_choice) {
  std::set<int> first_woken;
  run_seeds([&] {
    std::mutex mutex;
    std::condition_variable turn;
    int tickets = 0;
    std::vector<int> order;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        std::unique_lock lock(mutex);
        turn.wait(lock, [&] { return tickets > 0; });
        --tickets;
        order.push_back(i);
      });
    }
    pass_time(std::chrono::seconds(1));
    for (int i = 0; i < 3; ++i) {
      {
        const std::lock_guard lock(mutex);
        ++tickets;
      }
      turn.notify_one();
      pass_time(std::chrono::seconds(1));
      const std::lock_guard lock(mutex);
      EXPECT_EQ(order.size(), static_cast<std::size_t>(i) + 1);
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    first_woken.insert(order.front());
  });
  EXPECT_EQ(first_woken.size(), 3U);
}

TEST(Condition, a_timed_wait_ends_at_its_virtual_deadline) {
  run_seeds([] {
    std::mutex mutex;
    std::condition_variable never_signalled;
    std::thread other([&] {
      std::unique_lock lock(mutex);
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_EQ(never_signalled.wait_for(lock, std::chrono::hours(3)), std::cv_status::timeout);
      const auto took = std::chrono::steady_clock::now() - begin;
      EXPECT_GE(took, std::chrono::hours(3));
      EXPECT_LT(took, std::chrono::hours(3) + std::chrono::milliseconds(1));
      EXPECT_TRUE(lock.owns_lock());
    });
    {
      const std::lock_guard lock(mutex);
    }
    other.join();
  });
}

TEST(Condition, a_timed_wait_ends_early_when_signalled) {
  run_seeds([] {
    std::mutex mutex;
    std::condition_variable done;
    bool is_done = false;
    std::thread other([&] {
      std::unique_lock lock(mutex);
      EXPECT_TRUE(
          done.wait_until(lock, std::chrono::system_clock::now() + std::chrono::hours(1), [&] { return is_done; }));
    });
    pass_time(std::chrono::minutes(59));
    {
      const std::lock_guard lock(mutex);
      is_done = true;
    }
    done.notify_one();
    other.join();
  });
}

TEST(Condition, a_signal_without_a_waiter_is_lost) {
  run({}, [] {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    EXPECT_EQ(pthread_cond_signal(&condition), 0);
    EXPECT_EQ(pthread_cond_broadcast(&condition), 0);
    pthread_mutex_lock(&mutex);
    timespec deadline{};
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 1;
    EXPECT_EQ(pthread_cond_timedwait(&condition, &mutex, &deadline), ETIMEDOUT);
    deadline.tv_nsec = -1;
    EXPECT_EQ(pthread_cond_timedwait(&condition, &mutex, &deadline), EINVAL);
    pthread_mutex_unlock(&mutex);
    EXPECT_EQ(pthread_cond_destroy(&condition), 0);
    pthread_mutex_destroy(&mutex);
  });
}

// A waiter that was woken may destroy the condition while the thread that woke it is still on its way out of the call.
TEST(Condition, may_be_destroyed_after_its_last_waiter_was_woken) {
  run_seeds([] {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    bool ready = false;
    std::thread waker([&] {
      pthread_mutex_lock(&mutex);
      ready = true;
      pthread_cond_broadcast(&condition);
      pthread_mutex_unlock(&mutex);
    });
    pthread_mutex_lock(&mutex);
    while (!ready) {
      pthread_cond_wait(&condition, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    EXPECT_EQ(pthread_cond_destroy(&condition), 0);
    waker.join();
    pthread_mutex_destroy(&mutex);
  });
}

}  // namespace
}  // namespace rig::lab
