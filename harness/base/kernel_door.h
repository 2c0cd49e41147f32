// The kernel door: what the code of a process asks of the system about descriptors, as neutral events.
//
// Whoever defines functions of libc in its own place (the lab in an executable, the probe in a shared object) passes
// their calls through this door, which tells one observer of them. With no observer the door is closed: a call then
// costs a load and a jump.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>

#include "harness/base/library_door.h"

namespace rig {

// KernelVerb is what a function does, whatever its name is.
enum class KernelVerb : std::uint8_t {
  socket,     // makes a socket: the result
  open,       // makes another descriptor: the result
  duplicate,  // gives the file behind `descriptor` another number: the result
  accept,     // takes a connection from `descriptor`: the result is its socket
  connect,
  close,
  receive,
  send,
  shutdown,
  option,  // asks about the descriptor, or says how it behaves
  watch,   // epoll_ctl on `descriptor`, about `other`
};

// KernelCall is one call that comes through the door.
struct KernelCall {
  KernelVerb verb = KernelVerb::option;
  const char* function = "";     // "recvmsg"
  int descriptor = -1;           // -1: it needs none
  const void* caller = nullptr;  // the return address
  // Of receive and send: where the bytes are, and, of send, whether a broken pipe raises SIGPIPE, and whether the
  // system is told that more follows (MSG_MORE).
  std::span<const iovec> pieces = {};
  bool may_signal = false;
  bool more = false;
  bool peeks = false;    // of receive: the bytes stay where they are
  bool at_once = false;  // of receive and send: it does not wait, whatever its descriptor says
  // Of connect, accept, receive and send: who knows whether a call with the descriptor waits for the other side, as it
  // does without O_NONBLOCK; null: nobody.
  bool (*is_blocking)(int descriptor) noexcept = nullptr;
  const sockaddr* address = nullptr;  // of connect
  // Of option, where it is a socket's: which one, and where its value is (what was asked for is there on return).
  int level = 0;
  int option = 0;
  const void* value = nullptr;
  // Of watch: epoll_ctl's arguments.
  int operation = 0;
  int other = -1;
  std::uint32_t events = 0;
  std::uint64_t data = 0;
};

// KernelReturn is what came of it.
struct KernelReturn {
  std::int64_t result = 0;
  int error = 0;       // errno, if it failed
  bool noted = false;  // what the observer answered at entry
};

// KernelWait is a thread about to wait for descriptors, or back from it.
struct KernelWait {
  enum class Kind : std::uint8_t { poll, select, epoll, accept };
  Kind kind = Kind::poll;
  const char* function = "";
  const void* caller = nullptr;
  bool blocks = true;                   // its time limit is not 0
  std::span<const pollfd> polls = {};   // of poll
  int descriptor = -1;                  // of epoll and accept
  const epoll_event* events = nullptr;  // of epoll: as many as the result says, once it is back
  int count = 0;                        // of select: its first argument
  const fd_set* in = nullptr;           // of select: what is waited for, and then what is ready
  const fd_set* out = nullptr;
};

// is_in says whether `set`, which may be null, holds the descriptor. Sets may have more than FD_SETSIZE bits.
bool is_in(const fd_set* set, int descriptor) noexcept;

// sets_overlap says of a select that its two sets, as long as its first argument makes them, lie within each other: one
// of them is shorter than that, as an fd_set is from descriptor FD_SETSIZE on. Longer sets of a program's own do not.
bool sets_overlap(const KernelWait& wait) noexcept;

// waits_for_input says whether the wait ends whenever `descriptor` has something to read. An edge or a one-shot
// registration of epoll's does not count: a layer that has paused may leave one.
bool waits_for_input(const KernelWait& wait, int descriptor) noexcept;

// ignores_room says that the wait does not end when `descriptor` has room. Of epoll's registrations it counts those
// that waits_for_input counts.
bool ignores_room(const KernelWait& wait, int descriptor) noexcept;

// door_wait_of is the wait as the library door has it. `wait` outlives it.
DoorWait door_wait_of(const KernelWait& wait) noexcept;

// KernelObserver is told of every call. Its functions are called on the thread that makes the call, from many threads
// at once, with errno kept by the caller. They call nothing that a lab defines, and they allocate only to report.
class KernelObserver {
 public:
  // looks says whether the observer wants to know of a call that the calling thread makes now.
  virtual bool looks(KernelVerb verb) noexcept = 0;
  virtual bool looks_at_waits() noexcept = 0;
  // entering comes before a close only: as soon as the system has closed a descriptor, another thread may be given the
  // number. What it answers comes back with the return.
  virtual bool entering(const KernelCall& call) noexcept = 0;
  virtual void left(const KernelCall& call, const KernelReturn& result) noexcept = 0;
  virtual void waiting(const KernelWait& wait) noexcept = 0;
  // resumed: `result` is that of the call, and the sets and events are what it left.
  virtual void resumed(const KernelWait& wait, int result) noexcept = 0;
  virtual bool is_socket(int descriptor) noexcept = 0;
  // killed is a send that has raised a SIGPIPE at its default disposition; it answers whether the signal is to arrive.
  virtual bool killed(const KernelCall& call) noexcept = 0;

 protected:
  ~KernelObserver() = default;
};

// open_kernel_door has `observer` told from the next call on; null closes the door. Thread: as open_door().
void open_kernel_door(KernelObserver* observer) noexcept;

// Internal to the passages below.
namespace kernel_door {
// is_telling is true on a thread that calls the observer: what is called meanwhile (a sanitizer that looks at the
// observer's own memory opens a pipe) is told to nobody. Telling stands wherever the observer is called.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local bool is_telling = false;
class Telling {
 public:
  Telling() noexcept : before_(is_telling) { is_telling = true; }
  ~Telling() { is_telling = before_; }
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;

 private:
  const bool before_;
};
}  // namespace kernel_door

// kernel_observer is who is told, or null.
inline std::atomic<KernelObserver*> open_kernel_observer{nullptr};
inline KernelObserver* kernel_observer() noexcept {
  return kernel_door::is_telling ? nullptr : open_kernel_observer.load(std::memory_order_acquire);
}

namespace kernel_door {
// looks, and what follows, asks and tells the observer, on a thread that is_telling.
inline bool looks(KernelObserver& observer, KernelVerb verb) noexcept {
  const Telling telling;
  return observer.looks(verb);
}
inline bool is_socket(KernelObserver& observer, int descriptor) noexcept {
  const Telling telling;
  return observer.is_socket(descriptor);
}
void wait(KernelObserver& observer, const KernelWait& wait) noexcept;
void resume(KernelObserver& observer, const KernelWait& wait, int result) noexcept;
bool looks_at_waits(KernelObserver& observer) noexcept;
void leave(KernelObserver& observer, const KernelCall& call, KernelReturn result) noexcept;
bool enter(KernelObserver& observer, const KernelCall& call) noexcept;
void signal(KernelObserver& observer, const KernelCall& call) noexcept;
}  // namespace kernel_door

// through_kernel_door makes a call, `real()`, and has it told.
template <class Real>
auto through_kernel_door(const KernelCall& call, Real&& real) {
  KernelObserver* const observer = kernel_observer();
  if (observer == nullptr || !kernel_door::looks(*observer, call.verb)) [[likely]] {
    return real();
  }
  const bool noted = kernel_door::enter(*observer, call);
  const auto result = real();
  kernel_door::leave(*observer, call, {.result = result, .noted = noted});
  return result;
}

// pair_through_kernel_door is the same for a function that makes two descriptors.
template <class Real>
int pair_through_kernel_door(KernelVerb verb, const char* function, const void* caller, const int* ends, Real&& real) {
  const int result = real();
  for (const int end : {0, 1}) {
    if (result == 0) {
      through_kernel_door({.verb = verb, .function = function, .caller = caller}, [=] { return ends[end]; });
    }
  }
  return result;
}

// send_through_kernel_door is the same for a call that sends: `real(quiet)` raises no SIGPIPE if quiet is true. So a
// signal that would kill can be told of before it arrives, or in its place.
template <class Real>
ssize_t send_through_kernel_door(const KernelCall& call, Real&& real) {
  KernelObserver* const observer = kernel_observer();
  if (observer == nullptr || !kernel_door::looks(*observer, call.verb)) [[likely]] {
    return real(false);
  }
  const bool quiet = call.may_signal && kernel_door::is_socket(*observer, call.descriptor);
  const ssize_t result = real(quiet);
  if (quiet && result < 0 && errno == EPIPE) {
    kernel_door::signal(*observer, call);
  }
  kernel_door::leave(*observer, call, {.result = result});
  return result;
}

// wait_through_kernel_door makes a wait, `real()`.
template <class Real>
int wait_through_kernel_door(const KernelWait& wait, Real&& real) {
  KernelObserver* const observer = kernel_observer();
  if (observer == nullptr || !kernel_door::looks_at_waits(*observer)) [[likely]] {
    return real();
  }
  kernel_door::wait(*observer, wait);
  const int result = real();
  kernel_door::resume(*observer, wait, result);
  return result;
}

}  // namespace rig
