// Semaphores: the count is the real one's; only the waiting is the lab's.
#include <errno.h>
#include <semaphore.h>

#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(sem_wait);
RIG_LAB_REAL(sem_trywait);
RIG_LAB_REAL(sem_timedwait);
RIG_LAB_REAL(sem_clockwait);
RIG_LAB_REAL(sem_post);

std::string explain_semaphore(const Wait& wait) {
  return object_name("semaphore", wait.keys[0]);
}

int fail(int number) {
  errno = number;
  return -1;
}

int wait_by(sem_t* semaphore, const timespec* deadline, const void* caller) {
  const int errno_before = errno;
  point(Op::sem_wait, caller);
  for (;;) {
    if (real_sem_trywait(semaphore) == 0) {
      errno = errno_before;
      event(Op::sem_wait, 0);
      return 0;
    }
    if (errno != EAGAIN) {
      return -1;
    }
    if (deadline != nullptr && !is_valid(*deadline)) {
      return fail(EINVAL);
    }
    const std::int64_t deadline_ns = deadline == nullptr ? never : to_ns(*deadline);
    if (wait_for(Op::sem_wait, semaphore, explain_semaphore, deadline_ns) == Woken::by_deadline) {
      event(Op::sem_wait, ETIMEDOUT);
      return fail(ETIMEDOUT);
    }
  }
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int sem_wait(sem_t* semaphore) {
  return outside() ? real_sem_wait(semaphore) : wait_by(semaphore, nullptr, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int sem_timedwait(sem_t* semaphore, const timespec* deadline) {
  return outside() ? real_sem_timedwait(semaphore, deadline) : wait_by(semaphore, deadline, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* deadline) {
  if (outside()) {
    return real_sem_clockwait(semaphore, clock, deadline);
  }
  return is_wait_clock(clock) ? wait_by(semaphore, deadline, RIG_LAB_CALLER) : fail(EINVAL);
}

RIG_LAB_EXPORT int sem_trywait(sem_t* semaphore) noexcept {
  if (outside()) {
    return real_sem_trywait(semaphore);
  }
  point(Op::sem_wait, RIG_LAB_CALLER);
  const int result = real_sem_trywait(semaphore);
  event(Op::sem_wait, result);
  return result;
}

RIG_LAB_EXPORT int sem_post(sem_t* semaphore) noexcept {
  if (outside()) {
    return real_sem_post(semaphore);
  }
  const int result = real_sem_post(semaphore);
  wake_all(semaphore);
  point(Op::sem_post, RIG_LAB_CALLER);
  return result;
}
