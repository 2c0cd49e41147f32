// Reader-writer locks: really taken by their own try functions, waited for by the lab.
#include <errno.h>
#include <pthread.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(pthread_rwlock_rdlock);
RIG_LAB_REAL(pthread_rwlock_tryrdlock);
RIG_LAB_REAL(pthread_rwlock_timedrdlock);
RIG_LAB_REAL(pthread_rwlock_clockrdlock);
RIG_LAB_REAL(pthread_rwlock_wrlock);
RIG_LAB_REAL(pthread_rwlock_trywrlock);
RIG_LAB_REAL(pthread_rwlock_timedwrlock);
RIG_LAB_REAL(pthread_rwlock_clockwrlock);
RIG_LAB_REAL(pthread_rwlock_unlock);

// glibc counts readers above three bits of flags.
constexpr unsigned readers_shift = 3;

// The locks that writers wait for, once for each writer: some locks prefer them to readers, from the moment that one
// waits until it has the lock.
constinit PerRun<std::vector<const void*>> awaited_by_writers;

class WaitingWriter {
 public:
  explicit WaitingWriter(const void* lock) : lock_(lock) {
    const Unwatched unwatched;
    awaited_by_writers.get().push_back(lock);
  }
  ~WaitingWriter() {
    const Unwatched unwatched;
    auto& all = awaited_by_writers.get();
    all.erase(std::ranges::find(all, lock_));
  }
  WaitingWriter(const WaitingWriter&) = delete;
  WaitingWriter& operator=(const WaitingWriter&) = delete;

 private:
  const void* lock_;
};

bool gives_way_to_writers(const pthread_rwlock_t& lock) {
  const Unwatched unwatched;
  return lock.__data.__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP &&
         std::ranges::find(awaited_by_writers.get(), &lock) != awaited_by_writers.get().end();
}

std::string explain_rwlock(const Wait& wait) {
  const auto* lock = static_cast<const pthread_rwlock_t*>(wait.keys[0]);
  const std::string name = object_name("rwlock", lock);
  if (lock->__data.__cur_writer != 0) {
    return name + ", " + held_by(lock->__data.__cur_writer);
  }
  return name + ", held by " + std::to_string(lock->__data.__readers >> readers_shift) + " reader(s)";
}

enum class Side : std::uint8_t { reader, writer };

// attempt is one try, as the waiting functions make it.
int attempt(pthread_rwlock_t* lock, Side side) {
  if (lock->__data.__cur_writer != 0 && thread_of_kernel_id(lock->__data.__cur_writer) == self()) {
    return EDEADLK;
  }
  if (side == Side::writer) {
    return real_pthread_rwlock_trywrlock(lock);
  }
  return gives_way_to_writers(*lock) ? EBUSY : real_pthread_rwlock_tryrdlock(lock);
}

// wait_until tries until the lock is taken or the time has come.
int wait_until(pthread_rwlock_t* lock, Side side, std::int64_t deadline_ns) {
  const Op op = side == Side::reader ? Op::rwlock_read : Op::rwlock_write;
  std::optional<WaitingWriter> writer;
  for (;;) {
    const int result = attempt(lock, side);
    if (result != EBUSY) {
      return result;
    }
    if (side == Side::writer && !writer) {
      writer.emplace(lock);
    }
    if (wait_for(op, lock, explain_rwlock, deadline_ns) == Woken::by_deadline) {
      return ETIMEDOUT;
    }
  }
}

int lock_by(pthread_rwlock_t* lock, Side side, const timespec* deadline, const void* caller) {
  const Op op = side == Side::reader ? Op::rwlock_read : Op::rwlock_write;
  if (deadline != nullptr && !is_valid(*deadline)) {
    return EINVAL;
  }
  point(op, caller);
  const int result = wait_until(lock, side, deadline == nullptr ? never : to_ns(*deadline));
  if (deadline != nullptr) {
    event(op, result);
  }
  if (result == ETIMEDOUT) {
    wake_all(lock);  // readers that gave way to this writer
  }
  return result;
}

int lock_by_clock(pthread_rwlock_t* lock, Side side, clockid_t clock, const timespec* deadline, const void* caller) {
  return is_wait_clock(clock) ? lock_by(lock, side, deadline, caller) : EINVAL;
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
  return outside() ? real_pthread_rwlock_rdlock(lock) : lock_by(lock, Side::reader, nullptr, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
  return outside() ? real_pthread_rwlock_wrlock(lock) : lock_by(lock, Side::writer, nullptr, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t* lock, const timespec* deadline) noexcept {
  return outside() ? real_pthread_rwlock_timedrdlock(lock, deadline)
                   : lock_by(lock, Side::reader, deadline, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t* lock, const timespec* deadline) noexcept {
  return outside() ? real_pthread_rwlock_timedwrlock(lock, deadline)
                   : lock_by(lock, Side::writer, deadline, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock,
                                              const timespec* deadline) noexcept {
  return outside() ? real_pthread_rwlock_clockrdlock(lock, clock, deadline)
                   : lock_by_clock(lock, Side::reader, clock, deadline, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock,
                                              const timespec* deadline) noexcept {
  return outside() ? real_pthread_rwlock_clockwrlock(lock, clock, deadline)
                   : lock_by_clock(lock, Side::writer, clock, deadline, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) noexcept {
  if (outside()) {
    return real_pthread_rwlock_tryrdlock(lock);
  }
  point(Op::rwlock_read, RIG_LAB_CALLER);
  const int result = gives_way_to_writers(*lock) ? EBUSY : real_pthread_rwlock_tryrdlock(lock);
  event(Op::rwlock_read, result);
  return result;
}

RIG_LAB_EXPORT int pthread_rwlock_trywrlock(pthread_rwlock_t* lock) noexcept {
  if (outside()) {
    return real_pthread_rwlock_trywrlock(lock);
  }
  point(Op::rwlock_write, RIG_LAB_CALLER);
  const int result = real_pthread_rwlock_trywrlock(lock);
  event(Op::rwlock_write, result);
  return result;
}

RIG_LAB_EXPORT int pthread_rwlock_unlock(pthread_rwlock_t* lock) noexcept {
  if (outside()) {
    return real_pthread_rwlock_unlock(lock);
  }
  const int result = real_pthread_rwlock_unlock(lock);
  wake_all(lock);
  point(Op::rwlock_unlock, RIG_LAB_CALLER);
  return result;
}
