#include "harness/base/kernel_door.h"

#include <pthread.h>

#include <array>

namespace rig {

namespace {

// Which descriptors an epoll of the process reports as readable, again and again as long as they are: the number of
// the observer that saw the registration, twice, and one more if room is reported as well.
constexpr std::size_t registered_max = 131'072;
constinit std::array<std::atomic<std::uint32_t>, registered_max> level_triggered{};
constinit std::atomic<std::uint32_t> observers{0};

void note_level(int descriptor, bool on, bool room) noexcept {
  if (descriptor >= 0 && static_cast<std::size_t>(descriptor) < registered_max) {
    const std::uint32_t seen = observers.load(std::memory_order_relaxed) * 2 + (room ? 1 : 0);
    level_triggered[static_cast<std::size_t>(descriptor)].store(on ? seen : 0, std::memory_order_relaxed);
  }
}

bool is_level_triggered(int descriptor, bool without_room = false) noexcept {
  if (descriptor < 0 || static_cast<std::size_t>(descriptor) >= registered_max) {
    return false;
  }
  const std::uint32_t noted = level_triggered[static_cast<std::size_t>(descriptor)].load(std::memory_order_relaxed);
  return noted / 2 == observers.load(std::memory_order_relaxed) && !(without_room && noted % 2 != 0);
}

bool waits_for_input_of(const DoorWait& wait, int descriptor) {
  return waits_for_input(*static_cast<const KernelWait*>(wait.set), descriptor);
}

bool ignores_room_of(const DoorWait& wait, int descriptor) {
  return ignores_room(*static_cast<const KernelWait*>(wait.set), descriptor);
}

bool sigpipe_kills() noexcept {
  struct sigaction action{};
  sigset_t blocked;
  return sigaction(SIGPIPE, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
         action.sa_handler == SIG_DFL && pthread_sigmask(SIG_SETMASK, nullptr, &blocked) == 0 &&
         sigismember(&blocked, SIGPIPE) == 0;
}

}  // namespace

bool is_in(const fd_set* set, int descriptor) noexcept {
  const auto* const words = reinterpret_cast<const unsigned long*>(set);
  return set != nullptr && (words[descriptor / 64] >> (descriptor % 64) & 1) != 0;
}

bool sets_overlap(const KernelWait& wait) noexcept {
  if (wait.kind != KernelWait::Kind::select || wait.in == nullptr || wait.out == nullptr || wait.in == wait.out ||
      wait.count <= 0) {
    return false;
  }
  const auto in = reinterpret_cast<std::uintptr_t>(wait.in);
  const auto out = reinterpret_cast<std::uintptr_t>(wait.out);
  const auto bytes = (static_cast<std::uintptr_t>(wait.count) + 63) / 64 * 8;
  return (in < out ? out - in : in - out) < bytes;
}

bool waits_for_input(const KernelWait& wait, int descriptor) noexcept {
  switch (wait.kind) {
    case KernelWait::Kind::poll:
      for (const pollfd& one : wait.polls) {
        if (one.fd == descriptor) {
          return (one.events & POLLIN) != 0;
        }
      }
      return false;
    case KernelWait::Kind::select:
      return descriptor < wait.count && is_in(wait.in, descriptor);
    case KernelWait::Kind::epoll:
      return is_level_triggered(descriptor);
    case KernelWait::Kind::accept:
      break;
  }
  return false;
}

bool ignores_room(const KernelWait& wait, int descriptor) noexcept {
  switch (wait.kind) {
    case KernelWait::Kind::poll:
      for (const pollfd& one : wait.polls) {
        if (one.fd == descriptor && (one.events & POLLOUT) != 0) {
          return false;
        }
      }
      return true;
    case KernelWait::Kind::select:
      return descriptor >= wait.count || !is_in(wait.out, descriptor);
    case KernelWait::Kind::epoll:
      return is_level_triggered(descriptor, true);
    case KernelWait::Kind::accept:
      break;
  }
  return false;
}

DoorWait door_wait_of(const KernelWait& wait) noexcept {
  return {.function = wait.function,
          .caller = wait.caller,
          .blocks = wait.blocks,
          .waits_for_input = waits_for_input_of,
          .ignores_room = ignores_room_of,
          .set = &wait};
}

void open_kernel_door(KernelObserver* observer) noexcept {
  if (observer != nullptr) {
    observers.fetch_add(1);
  }
  open_kernel_observer.store(observer, std::memory_order_release);
}

namespace kernel_door {

bool enter(KernelObserver& observer, const KernelCall& call) noexcept {
  if (call.verb != KernelVerb::close) {
    return false;
  }
  const Telling telling;
  const int kept = errno;
  note_level(call.descriptor, false, false);
  const bool noted = observer.entering(call);
  errno = kept;
  return noted;
}

void leave(KernelObserver& observer, const KernelCall& call, KernelReturn result) noexcept {
  const Telling telling;
  const int kept = errno;
  result.error = result.result < 0 ? kept : 0;
  if (call.verb == KernelVerb::watch && result.result == 0) {
    note_level(call.other,
               call.operation != EPOLL_CTL_DEL && (call.events & EPOLLIN) != 0 &&
                   (call.events & (EPOLLET | EPOLLONESHOT)) == 0,
               (call.events & EPOLLOUT) != 0);
  }
  observer.left(call, result);
  errno = kept;
}

bool looks_at_waits(KernelObserver& observer) noexcept {
  const Telling telling;
  return observer.looks_at_waits();
}

void wait(KernelObserver& observer, const KernelWait& wait) noexcept {
  const Telling telling;
  const int kept = errno;
  observer.waiting(wait);
  errno = kept;
}

void resume(KernelObserver& observer, const KernelWait& wait, int result) noexcept {
  const Telling telling;
  const int kept = errno;
  observer.resumed(wait, result);
  errno = kept;
}

void signal(KernelObserver& observer, const KernelCall& call) noexcept {
  const int kept = errno;
  const bool arrives = [&] {
    const Telling telling;
    return !sigpipe_kills() || observer.killed(call);
  }();
  if (arrives) {
    std::raise(SIGPIPE);
  }
  errno = kept;
}

}  // namespace kernel_door

}  // namespace rig
