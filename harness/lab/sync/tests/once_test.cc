// pthread_once, std::call_once and the guards of statics inside functions.
#include <pthread.h>

#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

void in_threads(int count, const std::function<void()>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back(body);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

int routine_calls = 0;

TEST(Once, is_once_and_others_wait_for_its_end) {
  run_seeds([] {
    pthread_once_t control = PTHREAD_ONCE_INIT;
    routine_calls = 0;
    in_threads(3, [&] {
      pthread_once(&control, [] {
        std::this_thread::yield();
        ++routine_calls;
      });
      EXPECT_EQ(routine_calls, 1);
    });
  });
}

TEST(Once, an_exception_leaves_it_to_the_next) {
  run_seeds([] {
    std::once_flag flag;
    int attempts = 0;
    int caught = 0;
    std::mutex mutex;
    in_threads(3, [&] {
      try {
        std::call_once(flag, [&] {
          std::this_thread::yield();
          if (++attempts == 1) {
            throw std::runtime_error("the first attempt");
          }
        });
      } catch (const std::runtime_error&) {
        const std::lock_guard lock(mutex);
        ++caught;
      }
    });
    EXPECT_EQ(attempts, 2);
    EXPECT_EQ(caught, 1);
  });
}

// A guard can be used once in a process: each number is a static of its own.
template <int Number>
struct Contended {
  static inline int made = 0;
  int value;
  Contended() {
    std::this_thread::yield();
    pass_time(std::chrono::microseconds(10));
    ++made;
    value = Number;
  }
  static int get() {
    static const Contended only;
    return only.value;
  }
};

template <int... Numbers>
void contend(std::integer_sequence<int, Numbers...>) {
  std::uint64_t seed = 0;
  (run(with_seed(++seed),
       [] {
         in_threads(3, [] { EXPECT_EQ(Contended<Numbers>::get(), Numbers); });
         EXPECT_EQ(Contended<Numbers>::made, 1);
       }),
   ...);
}

TEST(StaticGuard, one_thread_initialises_and_the_others_wait) {
  contend(std::make_integer_sequence<int, 200>());
}

TEST(StaticGuard, an_exception_leaves_it_to_the_next) {
  static int attempts = 0;
  int caught = 0;
  const Outcome outcome = run({}, [&] {
    in_threads(2, [&] {
      try {
        static const std::string text = [] {
          std::this_thread::yield();
          if (++attempts == 1) {
            throw std::runtime_error("the first attempt");
          }
          return std::string("made");
        }();
        EXPECT_EQ(text, "made");
      } catch (const std::runtime_error&) {
        ++caught;
      }
    });
  });
  EXPECT_EQ(attempts, 2);
  EXPECT_EQ(caught, 1);
  EXPECT_EQ(outcome.threads, 3U);
}

}  // namespace
}  // namespace rig::lab
