// Condition variables are the lab's own: nobody ever waits in the real one. A signal that nobody waits for is lost, as
// it must be, and which of several waiters it wakes is the schedule's choice.
#include <errno.h>
#include <pthread.h>

#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

// The unversioned names may lead to the condition variables of 2002, which have another layout.
constexpr const char* version = "GLIBC_2.3.2";
constinit Real<decltype(::pthread_cond_wait)> real_wait("pthread_cond_wait", version);
constinit Real<decltype(::pthread_cond_timedwait)> real_timedwait("pthread_cond_timedwait", version);
constinit Real<decltype(::pthread_cond_signal)> real_signal("pthread_cond_signal", version);
constinit Real<decltype(::pthread_cond_broadcast)> real_broadcast("pthread_cond_broadcast", version);
constinit Real<decltype(::pthread_cond_destroy)> real_destroy("pthread_cond_destroy", version);
RIG_LAB_REAL(pthread_cond_clockwait);

// What the destruction of a condition waits on, while there are waiters.
const void* destruction_key(const pthread_cond_t* condition) {
  return reinterpret_cast<const char*>(condition) + 1;
}

std::string explain_wait(const Wait& wait) {
  return object_name("condition", wait.keys[0]);
}

std::string explain_destruction(const Wait& wait) {
  const char* condition = static_cast<const char*>(wait.keys[0]) - 1;
  return "the last waiter of " + object_name("condition", condition) + ", which it destroys";
}

int wait_on(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* deadline, const void* caller) {
  if (deadline != nullptr && !is_valid(*deadline)) {
    return EINVAL;
  }
  point(Op::cond_wait, caller);
  // No point from here until the wait: giving the mutex up and waiting are one step.
  if (const int result = mutex_give(mutex); result != 0) {
    return result;
  }
  const Woken why = wait_for(Op::cond_wait, condition, explain_wait, deadline == nullptr ? never : to_ns(*deadline));
  wake_all(destruction_key(condition));
  const int locked = mutex_take(mutex, never);
  const int result = locked != 0 ? locked : why == Woken::by_deadline ? ETIMEDOUT : 0;
  event(Op::cond_wait, result);
  return result;
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  return outside() ? real_wait(condition, mutex) : wait_on(condition, mutex, nullptr, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* deadline) {
  return outside() ? real_timedwait(condition, mutex, deadline) : wait_on(condition, mutex, deadline, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                          const timespec* deadline) {
  if (outside()) {
    return real_pthread_cond_clockwait(condition, mutex, clock, deadline);
  }
  return is_wait_clock(clock) ? wait_on(condition, mutex, deadline, RIG_LAB_CALLER) : EINVAL;
}

RIG_LAB_EXPORT int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  if (outside()) {
    return real_signal(condition);
  }
  point(Op::cond_signal, RIG_LAB_CALLER);
  const bool woken = wake_one(condition);
  event(Op::cond_signal, woken ? 1 : 0);
  point(Op::cond_signal, RIG_LAB_CALLER);
  return 0;
}

RIG_LAB_EXPORT int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  if (outside()) {
    return real_broadcast(condition);
  }
  point(Op::cond_broadcast, RIG_LAB_CALLER);
  event(Op::cond_broadcast, static_cast<std::int64_t>(waiting(condition)));
  wake_all(condition);
  point(Op::cond_broadcast, RIG_LAB_CALLER);
  return 0;
}

// As the system's, it waits for threads that are still waiting: after a broadcast nobody is.
RIG_LAB_EXPORT int pthread_cond_destroy(pthread_cond_t* condition) noexcept {
  if (!outside()) {
    while (waiting(condition) > 0) {
      wait_for(Op::cond_wait, destruction_key(condition), explain_destruction);
    }
  }
  return real_destroy(condition);
}
