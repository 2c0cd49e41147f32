// Loop: one thread's turn-taking between a poller, timers and the sockets that belong to it.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <thread>
#include <vector>

#include "harness/base/bytes.h"
#include "harness/base/error.h"
#include "harness/base/mutex.h"
#include "harness/socket/poller.h"
#include "harness/socket/timer_queue.h"

namespace rig {

class Loop;

// Stage is where an object of a loop is in its life; Loop::counts() adds them up.
enum class Stage : std::uint8_t { listening, connecting, handshaking, open, closing, undestroyed };

// LoopObject is what a Loop serves: a socket or a listener. All its hooks run on the loop's thread, one at a time.
// Owns: nothing; the Loop keeps an attached object alive until it detaches itself.
class LoopObject : public std::enable_shared_from_this<LoopObject> {
 public:
  LoopObject() = default;
  virtual ~LoopObject() = default;
  LoopObject(const LoopObject&) = delete;
  LoopObject& operator=(const LoopObject&) = delete;

  // ready is a report of the poller about the object's handle.
  virtual void ready(const Ready& report) = 0;
  // service does what is due; it follows a Loop::schedule() within the same or the next turn.
  virtual void service() = 0;
  // expired is the end of one of the object's timers.
  virtual void expired(Timer& timer) = 0;
  // stage is what counts() adds this object to.
  virtual Stage stage() const = 0;

 private:
  friend class Loop;
  static constexpr std::size_t unattached = ~std::size_t{0};
  std::size_t slot_ = unattached;  // guarded by Loop::mutex_
  bool scheduled_ = false;         // guarded by Loop::mutex_
  std::size_t timers_ = 0;         // room reserved for this object; the loop's thread only
};

// ObjectTimer is a Timer that knows whom to tell.
class ObjectTimer : public Timer {
 public:
  explicit ObjectTimer(LoopObject& object) : object_(object) {}

 private:
  friend class Loop;
  LoopObject& object_;
};

// LoopCounts is how many objects are at which stage. `undestroyed` are closed sockets that their owner still holds.
struct LoopCounts {
  std::size_t listeners = 0;
  std::size_t connecting = 0;
  std::size_t handshaking = 0;
  std::size_t open = 0;
  std::size_t closing = 0;
  std::size_t undestroyed = 0;
  std::size_t registrations = 0;  // handles in the poller
};

// Loop waits for its poller, then serves what is due. A turn is: wait; reports; expired timers; scheduled objects, and
// those that they schedule; and, for as long as somebody asks for it, another look at the poller without waiting, so
// that an op sent inside a callback leaves in the same turn also where every send goes through the poller. The rounds
// of one turn are bounded.
//
// Owns: the poller and, while attached, its objects. Destroy it when nothing is attached.
// Thread: turn() on one thread at a time. schedule(), wake(), fast_track() and now_us() on any. All other verbs on the
// thread that turns, or on any while nobody turns.
class Loop {
 public:
  // make makes one. Errors: as make_poller().
  static std::expected<std::shared_ptr<Loop>, Error> make(PollerKind kind, bool fast_track) noexcept;
  // make over a poller that the caller brings. Errors: no_memory.
  static std::expected<std::shared_ptr<Loop>, Error> make(std::unique_ptr<Poller> poller, bool fast_track) noexcept;
  ~Loop();

  // turn waits at most `timeout_us` (below 0: without limit), not at all if something is due. It must not be called
  // from inside a callback. Errors: what the poller reports; the loop can be turned again.
  Status turn(std::int64_t timeout_us);

  // wake ends the current wait, or else the next. Thread: any.
  void wake() noexcept;

  // schedule asks for object.service(); more calls before that add up to one. Nothing happens for a detached object.
  // It never allocates. Thread: any.
  void schedule(LoopObject& object) noexcept RIG_EXCLUDES(mutex_);

  // attach takes the object in, with room for `timers` of its timers. Errors: no_memory.
  Status attach(const std::shared_ptr<LoopObject>& object, std::size_t timers) noexcept RIG_EXCLUDES(mutex_);
  // detach lets go of it; its timers are cancelled and its handle removed before. It may be the last owner.
  void detach(LoopObject& object) noexcept RIG_EXCLUDES(mutex_);

  // watch, rewatch and unwatch register an attached object's handle with the poller. Errors: as Poller.
  Status watch(LoopObject& object, NativeHandle handle, Interest interest) noexcept;
  Status rewatch(NativeHandle handle, Interest interest) noexcept;
  void unwatch(NativeHandle handle) noexcept;

  // look_again asks for one more look at the poller, without waiting, before the current turn ends.
  void look_again() noexcept { look_again_ = true; }

  void arm(ObjectTimer& timer, std::int64_t delay_us) noexcept { timers_.arm(timer, now_us() + delay_us); }
  void cancel(ObjectTimer& timer) noexcept { timers_.cancel(timer); }

  LoopCounts counts() const RIG_EXCLUDES(mutex_);
  bool fast_track() const noexcept { return fast_track_; }
  PollerKind poller_kind() const noexcept { return poller_->kind(); }

  // now_us is the monotonic clock. Units: microseconds.
  static std::int64_t now_us() noexcept;

  // cipher_buffer and plain_buffer are scratch space that the objects of a loop share: one is served at a time.
  MutableBytes cipher_buffer() noexcept { return {cipher_buffer_.get(), scratch_bytes}; }
  MutableBytes plain_buffer() noexcept { return {plain_buffer_.get(), scratch_bytes}; }

 private:
  struct Slot {
    std::shared_ptr<LoopObject> object;
    std::uint32_t generation = 0;
  };

  static constexpr std::size_t scratch_bytes = 64 * 1024;

  Loop(std::unique_ptr<Poller> poller, bool fast_track);
  std::expected<std::size_t, Error> poll_once(std::int64_t timeout_us);
  void expire_timers();
  bool run_scheduled() RIG_EXCLUDES(mutex_);
  bool anything_scheduled() const RIG_EXCLUDES(mutex_);
  std::shared_ptr<LoopObject> find(std::uint64_t key) const RIG_EXCLUDES(mutex_);

  const std::unique_ptr<Poller> poller_;
  const bool fast_track_;
  std::atomic<std::thread::id> turning_{};
  TimerQueue timers_;
  std::size_t timers_reserved_ = 0;
  bool look_again_ = false;
  std::unique_ptr<std::uint8_t[]> cipher_buffer_;
  std::unique_ptr<std::uint8_t[]> plain_buffer_;

  mutable Mutex mutex_;
  std::vector<Slot> slots_ RIG_GUARDED_BY(mutex_);
  std::vector<std::size_t> free_slots_ RIG_GUARDED_BY(mutex_);
  std::vector<LoopObject*> scheduled_ RIG_GUARDED_BY(mutex_);
  std::vector<LoopObject*> running_;  // the round being served; capacity kept with scheduled_
};

}  // namespace rig
