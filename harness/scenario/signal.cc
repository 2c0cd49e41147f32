#include "harness/scenario/signal.h"

namespace rig {

void Signal::changed() {
  ++events_;
  if (waiters_.load() > 0) {
    {
      // A waiter is between its last look and its wait only while it holds the mutex.
      const MutexLock lock(mutex_);
    }
    condition_.notify_all();
  }
}

bool Signal::wait_beyond(std::uint64_t seen, std::chrono::microseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  ++waiters_;
  bool happened = true;
  {
    const MutexLock lock(mutex_);
    while (events_.load() <= seen) {
      const auto left =
          std::chrono::duration_cast<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) {
        happened = false;
        break;
      }
      condition_.wait_for(mutex_, left);
    }
  }
  --waiters_;
  return happened;
}

void Signal::reaction_ends() {
  ++reactions_ended_;
  if (end_is_awaited_.exchange(false)) {
    changed();
  }
}

void Signal::stop() {
  stopped_ = true;
  changed();
}

}  // namespace rig
