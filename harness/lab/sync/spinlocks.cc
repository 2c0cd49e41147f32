// Spin locks: really taken, waited for by the lab.
#include <errno.h>
#include <pthread.h>

#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(pthread_spin_lock);
RIG_LAB_REAL(pthread_spin_trylock);
RIG_LAB_REAL(pthread_spin_unlock);

const void* key_of(pthread_spinlock_t* lock) {
  return const_cast<const int*>(lock);
}

std::string explain_spin(const Wait& wait) {
  return object_name("spin lock", wait.keys[0]);
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int pthread_spin_lock(pthread_spinlock_t* lock) noexcept {
  if (outside()) {
    return real_pthread_spin_lock(lock);
  }
  point(Op::spin_lock, RIG_LAB_CALLER);
  for (;;) {
    const int result = real_pthread_spin_trylock(lock);
    if (result != EBUSY) {
      return result;
    }
    wait_for(Op::spin_lock, key_of(lock), explain_spin);
  }
}

RIG_LAB_EXPORT int pthread_spin_trylock(pthread_spinlock_t* lock) noexcept {
  if (outside()) {
    return real_pthread_spin_trylock(lock);
  }
  point(Op::spin_lock, RIG_LAB_CALLER);
  const int result = real_pthread_spin_trylock(lock);
  event(Op::spin_lock, result);
  return result;
}

RIG_LAB_EXPORT int pthread_spin_unlock(pthread_spinlock_t* lock) noexcept {
  if (outside()) {
    return real_pthread_spin_unlock(lock);
  }
  const int result = real_pthread_spin_unlock(lock);
  wake_all(key_of(lock));
  point(Op::spin_unlock, RIG_LAB_CALLER);
  return result;
}
