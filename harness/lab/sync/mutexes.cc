// Mutexes. The real one is really taken, by its own trylock, so that sanitizers and error checks see what they always
// see; only the waiting is the lab's.
#include <errno.h>
#include <pthread.h>

#include "harness/lab/census.h"
#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(pthread_mutex_lock);
RIG_LAB_REAL(pthread_mutex_trylock);
RIG_LAB_REAL(pthread_mutex_timedlock);
RIG_LAB_REAL(pthread_mutex_clocklock);
RIG_LAB_REAL(pthread_mutex_unlock);

// How many the calling thread holds. One that was taken before its run began, or in a Bypass, is given back uncounted.
[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint32_t locks = 0;

// taken counts a mutex that the calling thread has got, also from an owner that died with it.
int taken(int result) {
  locks += result == 0 || result == EOWNERDEAD ? 1 : 0;
  return result;
}

// glibc's word for the kind of a mutex: two bits say what a second lock by the owner does, one that it is robust.
constexpr int kind_mask = 3;
constexpr int robust_bit = 16;

bool is_own_errorcheck(const pthread_mutex_t& mutex) {
  return (mutex.__data.__kind & kind_mask) == PTHREAD_MUTEX_ERRORCHECK &&
         thread_of_kernel_id(mutex.__data.__owner) == self();
}

bool is_robust(const pthread_mutex_t& mutex) {
  return (mutex.__data.__kind & robust_bit) != 0;
}

// A robust mutex is handed on by the kernel when its owner has died, which it may be about to do without the token.
bool is_left_behind(const pthread_mutex_t& mutex) {
  return is_robust(mutex) && !is_of_run(mutex.__data.__owner);
}

std::string explain_mutex(const Wait& wait) {
  const auto* mutex = static_cast<const pthread_mutex_t*>(wait.keys[0]);
  return object_name("mutex", mutex) + ", " + held_by(mutex->__data.__owner);
}

// await waits until the mutex may be free: given back, or left by an owner that has ended.
Woken await(pthread_mutex_t* mutex, std::int64_t deadline_ns) {
  if (!is_robust(*mutex)) {
    return wait_for(Op::mutex_lock, mutex, explain_mutex, deadline_ns);
  }
  const void* const keys[] = {mutex, key_of_end(*thread_of_kernel_id(mutex->__data.__owner))};
  return block({.op = Op::mutex_lock, .keys = keys, .deadline_ns = deadline_ns, .explain = explain_mutex});
}

int lock_by(pthread_mutex_t* mutex, const timespec* deadline, const void* caller) {
  point(Op::mutex_lock, caller);
  if (deadline == nullptr) {
    return mutex_take(mutex, never);
  }
  if (!is_valid(*deadline)) {
    // Only a call that has to wait looks at the time.
    const int result = real_pthread_mutex_trylock(mutex);
    return result == EBUSY ? EINVAL : taken(result);
  }
  const int result = mutex_take(mutex, to_ns(*deadline));
  event(Op::mutex_lock, result);
  return result;
}

// lock_of_run and unlock_of_run stay out of line and ask the rest of `outside` themselves, so that the call of a thread
// which is of no run needs no frame and ends in a jump: these two are what a dormant lab costs.
[[gnu::noinline]] int lock_of_run(pthread_mutex_t* mutex, const void* caller) {
  return outside() ? real_pthread_mutex_lock(mutex) : lock_by(mutex, nullptr, caller);
}

[[gnu::noinline]] int unlock_of_run(pthread_mutex_t* mutex, const void* caller) {
  if (outside()) {
    return real_pthread_mutex_unlock(mutex);
  }
  const int result = mutex_give(mutex);
  point(Op::mutex_unlock, caller);
  return result;
}

}  // namespace

std::uint32_t locks_held() noexcept {
  return self() == nullptr ? 0 : locks;
}

int mutex_take(pthread_mutex_t* mutex, std::int64_t deadline_ns) {
  for (;;) {
    const int result = real_pthread_mutex_trylock(mutex);
    if (result != EBUSY) {
      return taken(result);
    }
    if (is_own_errorcheck(*mutex)) {
      return EDEADLK;
    }
    if (is_left_behind(*mutex)) {
      return taken(real_pthread_mutex_lock(mutex));
    }
    if (await(mutex, deadline_ns) == Woken::by_deadline) {
      return ETIMEDOUT;
    }
  }
}

int mutex_give(pthread_mutex_t* mutex) {
  const int result = real_pthread_mutex_unlock(mutex);
  if (result == 0) {
    locks -= locks > 0 ? 1 : 0;
    wake_all(mutex);
  }
  return result;
}

}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  return self() == nullptr ? real_pthread_mutex_lock(mutex) : lock_of_run(mutex, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* deadline) noexcept {
  return outside() ? real_pthread_mutex_timedlock(mutex, deadline) : lock_by(mutex, deadline, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* deadline) noexcept {
  if (outside()) {
    return real_pthread_mutex_clocklock(mutex, clock, deadline);
  }
  return is_wait_clock(clock) ? lock_by(mutex, deadline, RIG_LAB_CALLER) : EINVAL;
}

RIG_LAB_EXPORT int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  if (outside()) {
    return real_pthread_mutex_trylock(mutex);
  }
  point(Op::mutex_trylock, RIG_LAB_CALLER);
  const int result = taken(real_pthread_mutex_trylock(mutex));
  event(Op::mutex_trylock, result);
  return result;
}

RIG_LAB_EXPORT int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  return self() == nullptr ? real_pthread_mutex_unlock(mutex) : unlock_of_run(mutex, RIG_LAB_CALLER);
}
