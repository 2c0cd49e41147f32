// The functions in which a thread waits: control has left the layer, and what it left behind can be judged.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

#include <array>
#include <atomic>

#include "harness/base/library_door.h"
#include "harness/base/symbol_behind.h"
#include "harness/probe/probe.h"

namespace {

RIG_BEHIND(poll);
RIG_BEHIND(ppoll);
RIG_BEHIND(select);
RIG_BEHIND(pselect);
RIG_BEHIND(epoll_wait);
RIG_BEHIND(epoll_pwait);
RIG_BEHIND(epoll_ctl);
RIG_BEHIND(accept);
RIG_BEHIND(accept4);
inline constinit rig::SymbolBehind<int(int, epoll_event*, int, const timespec*, const sigset_t*)> behind_epoll_pwait2{
    "epoll_pwait2"};

using rig::door_observer;
using rig::door_resumed;
using rig::door_waiting;
using rig::DoorWait;

// waited announces the wait, makes it, and announces its end.
template <class Real>
int waited(const DoorWait& wait, Real&& real) {
  door_waiting(wait);
  const int result = real();
  door_resumed();
  return result;
}

bool polled_for_input(const DoorWait& wait, int descriptor) {
  const auto* const set = static_cast<const pollfd*>(wait.set);
  for (std::size_t i = 0; i < wait.set_count; ++i) {
    if (set[i].fd == descriptor) {
      return (set[i].events & POLLIN) != 0;
    }
  }
  return false;
}

bool selected_for_input(const DoorWait& wait, int descriptor) {
  const auto* const set = static_cast<const fd_set*>(wait.set);
  return set != nullptr && static_cast<std::size_t>(descriptor) < wait.set_count && FD_ISSET(descriptor, set);
}

// Which descriptors an epoll of the process reports as readable, again and again as long as they are: an edge that is
// passed over is no mistake of a layer that pauses.
constexpr std::size_t registered_max = 8192;
std::array<std::atomic<bool>, registered_max> level_triggered{};

bool registered_for_input(const DoorWait&, int descriptor) {
  return static_cast<std::size_t>(descriptor) < registered_max && level_triggered[static_cast<std::size_t>(descriptor)];
}

bool blocks(const timespec* limit) {
  return limit == nullptr || limit->tv_sec != 0 || limit->tv_nsec != 0;
}

bool blocks(const timeval* limit) {
  return limit == nullptr || limit->tv_sec != 0 || limit->tv_usec != 0;
}

DoorWait wait_of_poll(const char* function, const void* caller, const pollfd* set, nfds_t count, bool blocks) {
  return {.function = function,
          .caller = caller,
          .blocks = blocks,
          .waits_for_input = polled_for_input,
          .set = set,
          .set_count = count};
}

DoorWait wait_of_select(const char* function, const void* caller, const fd_set* readable, int count, bool blocks) {
  return {.function = function,
          .caller = caller,
          .blocks = blocks,
          .waits_for_input = selected_for_input,
          .set = readable,
          .set_count = static_cast<std::size_t>(count)};
}

DoorWait wait_of_epoll(const char* function, const void* caller, bool blocks) {
  return {.function = function, .caller = caller, .blocks = blocks, .waits_for_input = registered_for_input};
}

// accepted makes the call of accept or accept4; one that blocks is a wait.
template <class Real>
int accepted(const char* function, const void* caller, int listener, Real&& real) {
  const bool blocks = (fcntl(listener, F_GETFL) & O_NONBLOCK) == 0;
  const int result = blocks ? waited({.function = function, .caller = caller}, real) : real();
  if (rig::DescriptorAudit* const audit = rig::probe::audit(); audit != nullptr && result >= 0) {
    audit->opened(result);
  }
  return result;
}

}  // namespace

extern "C" {

int poll(pollfd* set, nfds_t count, int limit_ms) {
  if (door_observer() == nullptr) {
    return behind_poll(set, count, limit_ms);
  }
  return waited(wait_of_poll("poll", __builtin_return_address(0), set, count, limit_ms != 0),
                [=] { return behind_poll(set, count, limit_ms); });
}

// What `poll` becomes in a program that is built with checks.
int __poll_chk(pollfd* set, nfds_t count, int limit_ms, std::size_t) {
  if (door_observer() == nullptr) {
    return behind_poll(set, count, limit_ms);
  }
  return waited(wait_of_poll("poll", __builtin_return_address(0), set, count, limit_ms != 0),
                [=] { return behind_poll(set, count, limit_ms); });
}

int ppoll(pollfd* set, nfds_t count, const timespec* limit, const sigset_t* mask) {
  if (door_observer() == nullptr) {
    return behind_ppoll(set, count, limit, mask);
  }
  return waited(wait_of_poll("ppoll", __builtin_return_address(0), set, count, blocks(limit)),
                [=] { return behind_ppoll(set, count, limit, mask); });
}

int select(int count, fd_set* readable, fd_set* writable, fd_set* failed, timeval* limit) {
  if (door_observer() == nullptr) {
    return behind_select(count, readable, writable, failed, limit);
  }
  return waited(wait_of_select("select", __builtin_return_address(0), readable, count, blocks(limit)),
                [=] { return behind_select(count, readable, writable, failed, limit); });
}

int pselect(int count, fd_set* readable, fd_set* writable, fd_set* failed, const timespec* limit,
            const sigset_t* mask) {
  if (door_observer() == nullptr) {
    return behind_pselect(count, readable, writable, failed, limit, mask);
  }
  return waited(wait_of_select("pselect", __builtin_return_address(0), readable, count, blocks(limit)),
                [=] { return behind_pselect(count, readable, writable, failed, limit, mask); });
}

int epoll_wait(int epoll, epoll_event* events, int count, int limit_ms) {
  if (door_observer() == nullptr) {
    return behind_epoll_wait(epoll, events, count, limit_ms);
  }
  return waited(wait_of_epoll("epoll_wait", __builtin_return_address(0), limit_ms != 0),
                [=] { return behind_epoll_wait(epoll, events, count, limit_ms); });
}

int epoll_pwait(int epoll, epoll_event* events, int count, int limit_ms, const sigset_t* mask) {
  if (door_observer() == nullptr) {
    return behind_epoll_pwait(epoll, events, count, limit_ms, mask);
  }
  return waited(wait_of_epoll("epoll_pwait", __builtin_return_address(0), limit_ms != 0),
                [=] { return behind_epoll_pwait(epoll, events, count, limit_ms, mask); });
}

int epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* limit, const sigset_t* mask) {
  if (door_observer() == nullptr) {
    return behind_epoll_pwait2(epoll, events, count, limit, mask);
  }
  return waited(wait_of_epoll("epoll_pwait2", __builtin_return_address(0), blocks(limit)),
                [=] { return behind_epoll_pwait2(epoll, events, count, limit, mask); });
}

int epoll_ctl(int epoll, int operation, int descriptor, epoll_event* event) noexcept {
  const int result = behind_epoll_ctl(epoll, operation, descriptor, event);
  if (result == 0 && static_cast<std::size_t>(descriptor) < registered_max) {
    const bool again =
        operation != EPOLL_CTL_DEL && (event->events & EPOLLIN) != 0 && (event->events & (EPOLLET | EPOLLONESHOT)) == 0;
    level_triggered[static_cast<std::size_t>(descriptor)].store(again, std::memory_order_relaxed);
  }
  return result;
}

int accept(int listener, sockaddr* peer, socklen_t* peer_bytes) {
  if (door_observer() == nullptr) {
    return behind_accept(listener, peer, peer_bytes);
  }
  return accepted("accept", __builtin_return_address(0), listener,
                  [=] { return behind_accept(listener, peer, peer_bytes); });
}

int accept4(int listener, sockaddr* peer, socklen_t* peer_bytes, int flags) {
  if (door_observer() == nullptr) {
    return behind_accept4(listener, peer, peer_bytes, flags);
  }
  return accepted("accept4", __builtin_return_address(0), listener,
                  [=] { return behind_accept4(listener, peer, peer_bytes, flags); });
}

}  // extern "C"
