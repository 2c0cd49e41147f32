// Signal: one place where every thread of a run says "something happened", and where those wait who need it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "harness/base/mutex.h"

namespace rig {

// Signal counts what happens in a run. Waiting is by count: read events(), look at the condition, and if it does not
// hold wait_beyond(that count); an event in between is not lost. Thread: any.
class Signal {
 public:
  // changed says that something happened. Cheap while nobody waits.
  void changed();

  // events is how many things happened so far.
  std::uint64_t events() const { return events_.load(); }

  // wait_beyond waits until events() exceeds `seen`, at most `limit`; false if the limit passed.
  bool wait_beyond(std::uint64_t seen, std::chrono::microseconds limit);

  // stop tells every wait of the run to give up; stopped() asks.
  void stop();
  bool stopped() const { return stopped_.load(); }

 private:
  std::atomic<std::uint64_t> events_{0};
  std::atomic<int> waiters_{0};
  std::atomic<bool> stopped_{false};
  Mutex mutex_;
  ConditionVariable condition_;
};

}  // namespace rig
