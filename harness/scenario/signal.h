// Signal: one place where every thread of a run says "something happened", and where those wait who need it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

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

  // wait_until waits until `holds`, as long as anything at all happens: false if nothing has for `stall_limit`.
  template <class Holds>
  bool wait_until(Holds holds, std::chrono::microseconds stall_limit);

  // reaction_begins and reaction_ends stand around a callback in which an app may send by itself, from before it is
  // known what has come until it has answered.
  void reaction_begins() { ++reactions_begun_; }
  void reaction_ends();
  // holds_between_reactions answers `holds`, but false where a reaction was under way meanwhile: what it is about to
  // send is in no book yet. Its end is an event then.
  template <class Holds>
  bool holds_between_reactions(Holds holds);

  // stop tells every wait of the scenario's own threads to give up; stopped() asks.
  void stop();
  bool stopped() const { return stopped_.load(); }

 private:
  std::atomic<std::uint64_t> events_{0};
  std::atomic<int> waiters_{0};
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> reactions_begun_{0};
  std::atomic<std::uint64_t> reactions_ended_{0};
  std::atomic<bool> end_is_awaited_{false};
  Mutex mutex_;
  ConditionVariable condition_;
};

template <class Holds>
bool Signal::wait_until(Holds holds, std::chrono::microseconds stall_limit) {
  using Clock = std::chrono::steady_clock;
  std::uint64_t seen = events();
  auto last_event = Clock::now();
  while (!holds()) {
    wait_beyond(seen, std::chrono::milliseconds(50));
    const std::uint64_t now = events();
    if (now != seen) {
      seen = now;
      last_event = Clock::now();
    } else if (Clock::now() - last_event > stall_limit) {
      return holds();
    }
  }
  return true;
}

template <class Holds>
bool Signal::holds_between_reactions(Holds holds) {
  for (;;) {
    const std::uint64_t ended = reactions_ended_.load();
    if (!holds()) {
      return false;
    }
    if (reactions_begun_.load() == ended) {
      return true;
    }
    // It may have ended before it could know that somebody waits for that: so look once more.
    if (end_is_awaited_.exchange(true)) {
      return false;
    }
  }
}

}  // namespace rig
