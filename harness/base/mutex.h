// Mutex: std::mutex with the annotations that clang's thread-safety analysis reads.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define RIG_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define RIG_THREAD_ATTRIBUTE(x)
#endif

// RIG_GUARDED_BY(mutex): the member is read and written only while `mutex` is held.
#define RIG_GUARDED_BY(x) RIG_THREAD_ATTRIBUTE(guarded_by(x))
// RIG_REQUIRES(mutex): the caller holds `mutex`.
#define RIG_REQUIRES(...) RIG_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
// RIG_EXCLUDES(mutex): the caller does not hold `mutex`.
#define RIG_EXCLUDES(...) RIG_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace rig {

// Mutex is a thin shell over std::mutex (clang cannot annotate libstdc++'s). Thread: any.
class RIG_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() RIG_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() RIG_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  bool try_lock() RIG_THREAD_ATTRIBUTE(try_acquire_capability(true)) { return mutex_.try_lock(); }

  // native is the wrapped mutex, for ConditionVariable only.
  std::mutex& native() { return mutex_; }

 private:
  std::mutex mutex_;
};

// MutexLock holds a Mutex for a scope. It may be opened and taken again within the scope (around a system call or a
// callback); it must be held when the scope ends.
class RIG_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) RIG_THREAD_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RIG_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// ConditionVariable is a condition variable for Mutex. Thread: any.
class ConditionVariable {
 public:
  // wait gives up `mutex` and waits for a notification (spurious wake-ups happen: wait in a loop over the condition).
  void wait(Mutex& mutex) RIG_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.native(), std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // wait_for is wait with a limit; false if the limit passed. Units: microseconds.
  bool wait_for(Mutex& mutex, std::chrono::microseconds limit) RIG_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.native(), std::adopt_lock);
    const bool notified = condition_.wait_for(lock, limit) == std::cv_status::no_timeout;
    lock.release();
    return notified;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace rig
