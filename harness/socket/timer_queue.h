// TimerQueue: deadlines in order, without allocation once a timer is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "harness/base/check.h"
#include "harness/base/error.h"

namespace rig {

class TimerQueue;

// Timer is one deadline; it belongs to the object that embeds it and to at most one TimerQueue.
class Timer {
 public:
  Timer() = default;
  // A queue that still had it would be left with a dangling pointer.
  ~Timer() { RIG_CHECK(!armed()); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // armed is true between arm() and expiry or cancel().
  bool armed() const noexcept { return position_ != unarmed; }

 private:
  friend class TimerQueue;
  static constexpr std::size_t unarmed = std::numeric_limits<std::size_t>::max();
  std::size_t position_ = unarmed;
  std::int64_t deadline_us_ = 0;
};

// TimerQueue is a binary heap of armed timers. Units: microseconds of the caller's clock.
// Owns: nothing; a Timer must be cancelled before it dies. Thread: one thread at a time.
class TimerQueue {
 public:
  // reserve makes room so that `timers` of them can be armed at once without allocating. Errors: no_memory.
  Status reserve(std::size_t timers) noexcept;

  // arm sets, or moves, the deadline of `timer`. There must be room (reserve). Timers with equal deadlines expire in no
  // particular order.
  void arm(Timer& timer, std::int64_t deadline_us) noexcept;

  // cancel disarms `timer`; nothing happens if it is not armed.
  void cancel(Timer& timer) noexcept;

  // next_deadline_us is the earliest deadline, or -1 if nothing is armed.
  std::int64_t next_deadline_us() const noexcept;

  // pop_expired disarms and returns one timer whose deadline is not after `now_us`, or null.
  Timer* pop_expired(std::int64_t now_us) noexcept;

  // size is how many timers are armed.
  std::size_t size() const noexcept { return heap_.size(); }

 private:
  void place(std::size_t position, Timer* timer) noexcept;
  void sift_up(std::size_t position) noexcept;
  void sift_down(std::size_t position) noexcept;

  std::vector<Timer*> heap_;
};

}  // namespace rig
