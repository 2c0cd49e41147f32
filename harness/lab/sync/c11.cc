// The threads of C11. Their types are those of POSIX under other names, and the system's functions call past the lab.
#include <errno.h>
#include <pthread.h>
#include <threads.h>

#include <cstdint>
#include <memory>

#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(thrd_create);
RIG_LAB_REAL(thrd_join);
RIG_LAB_REAL(thrd_detach);
RIG_LAB_REAL(mtx_lock);
RIG_LAB_REAL(mtx_timedlock);
RIG_LAB_REAL(mtx_trylock);
RIG_LAB_REAL(mtx_unlock);
RIG_LAB_REAL(cnd_wait);
RIG_LAB_REAL(cnd_timedwait);
RIG_LAB_REAL(cnd_signal);
RIG_LAB_REAL(cnd_broadcast);
constinit Real<void(int)> real_thrd_exit("thrd_exit");

pthread_mutex_t* posix(mtx_t* mutex) {
  return reinterpret_cast<pthread_mutex_t*>(mutex);
}

pthread_cond_t* posix(cnd_t* condition) {
  return reinterpret_cast<pthread_cond_t*>(condition);
}

int word_of(int number) {
  switch (number) {
    case 0:
      return thrd_success;
    case EBUSY:
      return thrd_busy;
    case ENOMEM:
      return thrd_nomem;
    case ETIMEDOUT:
      return thrd_timedout;
    default:
      return thrd_error;
  }
}

void* pointer_of(int result) {
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(result));
}

struct Start {
  thrd_start_t routine;
  void* argument;
};

void* start_main(void* raw) {
  const Start start = *static_cast<Start*>(raw);
  delete static_cast<Start*>(raw);
  return pointer_of(start.routine(start.argument));
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int thrd_create(thrd_t* thread, thrd_start_t routine, void* argument) {
  if (outside()) {
    return real_thrd_create(thread, routine, argument);
  }
  auto start = std::make_unique<Start>(Start{.routine = routine, .argument = argument});
  const int result = pthread_create(thread, nullptr, start_main, start.get());
  if (result == 0) {
    static_cast<void>(start.release());  // start_main deletes it
  }
  return word_of(result);
}

RIG_LAB_EXPORT int thrd_join(thrd_t thread, int* result) {
  if (outside()) {
    return real_thrd_join(thread, result);
  }
  void* value = nullptr;
  const int joined = pthread_join(thread, &value);
  if (joined == 0 && result != nullptr) {
    *result = static_cast<int>(reinterpret_cast<std::intptr_t>(value));
  }
  return word_of(joined);
}

RIG_LAB_EXPORT int thrd_detach(thrd_t thread) {
  return outside() ? real_thrd_detach(thread) : word_of(pthread_detach(thread));
}

RIG_LAB_EXPORT void thrd_exit(int result) {
  if (outside()) {
    real_thrd_exit(result);
    __builtin_unreachable();
  }
  pthread_exit(pointer_of(result));
}

RIG_LAB_EXPORT int mtx_lock(mtx_t* mutex) {
  return outside() ? real_mtx_lock(mutex) : word_of(pthread_mutex_lock(posix(mutex)));
}

RIG_LAB_EXPORT int mtx_timedlock(mtx_t* __restrict mutex, const timespec* __restrict deadline) {
  return outside() ? real_mtx_timedlock(mutex, deadline) : word_of(pthread_mutex_timedlock(posix(mutex), deadline));
}

RIG_LAB_EXPORT int mtx_trylock(mtx_t* mutex) {
  return outside() ? real_mtx_trylock(mutex) : word_of(pthread_mutex_trylock(posix(mutex)));
}

RIG_LAB_EXPORT int mtx_unlock(mtx_t* mutex) {
  return outside() ? real_mtx_unlock(mutex) : word_of(pthread_mutex_unlock(posix(mutex)));
}

RIG_LAB_EXPORT int cnd_wait(cnd_t* condition, mtx_t* mutex) {
  return outside() ? real_cnd_wait(condition, mutex) : word_of(pthread_cond_wait(posix(condition), posix(mutex)));
}

RIG_LAB_EXPORT int cnd_timedwait(cnd_t* __restrict condition, mtx_t* __restrict mutex,
                                 const timespec* __restrict deadline) {
  return outside() ? real_cnd_timedwait(condition, mutex, deadline)
                   : word_of(pthread_cond_timedwait(posix(condition), posix(mutex), deadline));
}

RIG_LAB_EXPORT int cnd_signal(cnd_t* condition) {
  return outside() ? real_cnd_signal(condition) : word_of(pthread_cond_signal(posix(condition)));
}

RIG_LAB_EXPORT int cnd_broadcast(cnd_t* condition) {
  return outside() ? real_cnd_broadcast(condition) : word_of(pthread_cond_broadcast(posix(condition)));
}
