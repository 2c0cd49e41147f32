// The threads of C11 are threads of the run.
#include <threads.h>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

struct Shared {
  mtx_t mutex;
  cnd_t changed;
  int stage = 0;
};

int first_half(void* raw) {
  auto* shared = static_cast<Shared*>(raw);
  mtx_lock(&shared->mutex);
  shared->stage = 1;
  cnd_broadcast(&shared->changed);
  while (shared->stage != 2) {
    cnd_wait(&shared->changed, &shared->mutex);
  }
  mtx_unlock(&shared->mutex);
  return 42;
}

int second_half(void* raw) {
  auto* shared = static_cast<Shared*>(raw);
  mtx_lock(&shared->mutex);
  while (shared->stage != 1) {
    cnd_wait(&shared->changed, &shared->mutex);
  }
  shared->stage = 2;
  cnd_signal(&shared->changed);
  mtx_unlock(&shared->mutex);
  thrd_exit(43);
}

TEST(C11, threads_mutexes_and_conditions) {
  const Schedules schedules = run_seeds([] {
    Shared shared;
    mtx_init(&shared.mutex, mtx_timed);
    cnd_init(&shared.changed);
    thrd_t first;
    thrd_t second;
    ASSERT_EQ(thrd_create(&first, first_half, &shared), thrd_success);
    ASSERT_EQ(thrd_create(&second, second_half, &shared), thrd_success);
    int result = 0;
    EXPECT_EQ(thrd_join(first, &result), thrd_success);
    EXPECT_EQ(result, 42);
    EXPECT_EQ(thrd_join(second, &result), thrd_success);
    EXPECT_EQ(result, 43);
    EXPECT_EQ(mtx_trylock(&shared.mutex), thrd_success);
    const timespec moment{.tv_sec = now_ns() / 1'000'000'000 + 60, .tv_nsec = 0};
    EXPECT_EQ(cnd_timedwait(&shared.changed, &shared.mutex, &moment), thrd_timedout);
    EXPECT_EQ(time(nullptr), moment.tv_sec);
    EXPECT_EQ(mtx_timedlock(&shared.mutex, &moment), thrd_timedout);
    mtx_unlock(&shared.mutex);
    cnd_destroy(&shared.changed);
    mtx_destroy(&shared.mutex);
  });
  EXPECT_EQ(schedules.threads_max, 3U);
}

int once_calls = 0;

TEST(C11, call_once_is_once) {
  run_seeds([] {
    static once_flag flag;
    flag = ONCE_FLAG_INIT;
    once_calls = 0;
    const auto body = [](void*) {
      call_once(&flag, [] {
        thrd_yield();
        ++once_calls;
      });
      return once_calls;
    };
    thrd_t other;
    ASSERT_EQ(thrd_create(&other, body, nullptr), thrd_success);
    EXPECT_EQ(body(nullptr), 1);
    int seen = 0;
    EXPECT_EQ(thrd_join(other, &seen), thrd_success);
    EXPECT_EQ(seen, 1);
  });
}

}  // namespace
}  // namespace rig::lab
