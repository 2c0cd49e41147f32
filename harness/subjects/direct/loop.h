// Loop: poll(2) over the sockets and listeners of one thread.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <expected>
#include <limits>
#include <memory>
#include <vector>

#include "harness/base/error.h"
#include "harness/base/native_handle.h"
#include "harness/subjects/direct/tcp.h"
#include "harness/subjects/subject.h"

namespace rig::direct {

// never is the deadline of who waits for no time.
inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

// Interest is what an object waits for in the next wait of its loop. Units: microseconds of Loop::now_us().
struct Interest {
  NativeHandle handle = invalid_handle;
  short events = 0;  // POLLIN, POLLOUT; none: the handle is not polled at all, not even for a hang-up
  std::int64_t until_us = never;
};

// Object is a socket or a listener in a loop. Thread: the loop's, for all of it.
class Object {
 public:
  Object() = default;
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // interest is asked before each wait, so nothing has to be told when it changes but that the loop should look.
  virtual Interest interest(std::int64_t now_us) = 0;
  // turn does what is due; it comes once in each turn of the loop. `events` is what poll reported, and callbacks run
  // in here.
  virtual void turn(short events, std::int64_t now_us) = 0;
  // gone says that nobody will call the object any more: the loop frees it.
  virtual bool gone() const = 0;
  virtual void count(rig_loop_counts& counts) const = 0;
};

// Loop takes turns. Owns: its objects. Thread: wake() on any; all others on the thread that turns it.
class Loop {
 public:
  static std::expected<std::unique_ptr<Loop>, Error> make(bool fast_track);

  // turn waits for at most `timeout_us`, then gives each object its turn. Errors: no_memory, refused_by_system.
  Status turn(std::int64_t timeout_us);

  // wake ends the wait under way or the next one. Thread: any.
  void wake() noexcept;

  void add(std::unique_ptr<Object> object) { objects_.push_back(std::move(object)); }
  rig_loop_counts counts() const;
  bool fast_track() const noexcept { return fast_track_; }

  // now_us is the monotonic clock. Units: microseconds.
  static std::int64_t now_us() noexcept;

 private:
  Loop(Descriptor bell, bool fast_track) : bell_(std::move(bell)), fast_track_(fast_track) {}
  void sweep();

  const Descriptor bell_;  // an eventfd: what rings it ends a wait
  const bool fast_track_;
  std::atomic<bool> rung_{false};
  std::vector<std::unique_ptr<Object>> objects_;
  std::vector<pollfd> waits_;  // the bell, then one for each object; capacity kept
};

}  // namespace rig::direct
