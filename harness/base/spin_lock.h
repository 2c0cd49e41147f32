// SpinLock: a lock for observers, which may not call what a lab defines in place of the system's.
#pragma once

#include <atomic>

namespace rig {

// SpinLock is held for some tens of instructions that call nobody. Under a lab, where one thread runs at a time and
// changes only at interposed calls, it is never found taken. Thread: any.
class SpinLock {
 public:
  void lock() noexcept {
    while (taken_.test_and_set(std::memory_order_acquire)) {
      while (taken_.test(std::memory_order_relaxed)) {
      }
    }
  }
  void unlock() noexcept { taken_.clear(std::memory_order_release); }

 private:
  std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
};

}  // namespace rig
