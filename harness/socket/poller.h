// Poller: which of many handles are ready. Three of them behind one contract: epoll, poll and select.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "harness/base/error.h"
#include "harness/base/native_handle.h"

namespace rig {

// PollerKind names an implementation.
enum class PollerKind : std::uint8_t { epoll, poll, select };

// poller_kind_name is "epoll", "poll" or "select"; poller_kind_from_name is its inverse.
std::string_view poller_kind_name(PollerKind kind) noexcept;
std::optional<PollerKind> poller_kind_from_name(std::string_view name) noexcept;

// Interest is what a registration waits for. With neither flag only failures and hang-ups are reported (see Ready).
struct Interest {
  bool readable = false;
  bool writable = false;
  friend bool operator==(const Interest&, const Interest&) = default;
};

// Ready is one report. `failed` is an error or a full hang-up: read and write to learn which; it is reported whatever
// the interest. select cannot tell: it shows a failure as readiness for what the interest names, and shows nothing of
// it without an interest. `key` is the caller's own, as given to add().
struct Ready {
  NativeHandle handle;
  std::uint64_t key = 0;
  bool readable = false;
  bool writable = false;
  bool failed = false;
};

// Poller is level-triggered: a handle is reported on each wait() for as long as it is ready.
//
// A report is only ever about the registration that is current when wait() returns: remove() followed by add() of the
// same handle under another key never delivers the old key (creytiv/re#266, wasmer#6608 had it otherwise). Reports of
// one wait() are a snapshot; a caller that removes a handle while it works through them skips the rest for it.
// Thread: one thread at a time, but for wake(), which any thread may call at any time.
class Poller {
 public:
  virtual ~Poller() = default;

  virtual PollerKind kind() const noexcept = 0;

  // add registers a handle. Errors: invalid_argument (invalid_handle, or registered already), no_descriptors (select:
  // the handle is not below FD_SETSIZE, said in words; epoll: the system's limit), no_memory.
  virtual Status add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept = 0;

  // modify changes the interest. It never fails for lack of memory. Errors: invalid_argument (not registered).
  virtual Status modify(NativeHandle handle, Interest interest) noexcept = 0;

  // remove forgets a handle; it must come before the handle is closed. It never fails for lack of memory.
  // Errors: invalid_argument (not registered).
  virtual Status remove(NativeHandle handle) noexcept = 0;

  // wait fills `ready` and returns how many entries it used: 0 if `timeout_us` passed or wake() was called. A timeout
  // below 0 has no limit. Handles that did not fit are reported by the next wait (no handle starves). EINTR counts as
  // 0. Units: microseconds, rounded up to what the system call takes.
  virtual std::expected<std::size_t, Error> wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept = 0;

  // wake makes the current wait(), or else the next one, return at once. Calls add up to one. Thread: any.
  virtual void wake() noexcept = 0;

  // registrations is how many handles are registered, the poller's own not counted.
  virtual std::size_t registrations() const noexcept = 0;
};

// make_poller makes one. Errors: no_descriptors, no_memory, unsupported (the platform lacks this kind).
std::expected<std::unique_ptr<Poller>, Error> make_poller(PollerKind kind) noexcept;

}  // namespace rig
