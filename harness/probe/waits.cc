// The functions in which a thread waits: control has left the layer, and what it left behind can be judged.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "harness/base/kernel_door.h"
#include "harness/base/symbol_behind.h"

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

using rig::KernelVerb;
using rig::KernelWait;
using rig::through_kernel_door;
using rig::wait_through_kernel_door;

bool blocks(const timespec* limit) {
  return limit == nullptr || limit->tv_sec != 0 || limit->tv_nsec != 0;
}

bool blocks(const timeval* limit) {
  return limit == nullptr || limit->tv_sec != 0 || limit->tv_usec != 0;
}

KernelWait wait_of_poll(const char* function, const void* caller, const pollfd* set, nfds_t count, bool blocks) {
  return {
      .kind = KernelWait::Kind::poll, .function = function, .caller = caller, .blocks = blocks, .polls = {set, count}};
}

KernelWait wait_of_select(const char* function, const void* caller, const fd_set* readable, const fd_set* writable,
                          int count, bool blocks) {
  return {.kind = KernelWait::Kind::select,
          .function = function,
          .caller = caller,
          .blocks = blocks,
          .count = count,
          .in = readable,
          .out = writable};
}

KernelWait wait_of_epoll(const char* function, const void* caller, int epoll, const epoll_event* events, bool blocks) {
  return {.kind = KernelWait::Kind::epoll,
          .function = function,
          .caller = caller,
          .blocks = blocks,
          .descriptor = epoll,
          .events = events};
}

// accepted makes the call of accept or accept4; one that blocks is a wait.
template <class Real>
int accepted(const char* function, const void* caller, int listener, Real&& real) {
  const bool is_watched = rig::kernel_observer() != nullptr;
  const bool blocks = is_watched && (fcntl(listener, F_GETFL) & O_NONBLOCK) == 0;
  const auto call = [&] {
    return through_kernel_door(
        {.verb = KernelVerb::accept, .function = function, .descriptor = listener, .caller = caller}, real);
  };
  const KernelWait wait{
      .kind = KernelWait::Kind::accept, .function = function, .caller = caller, .descriptor = listener};
  return blocks ? wait_through_kernel_door(wait, call) : call();
}

}  // namespace

extern "C" {

int poll(pollfd* set, nfds_t count, int limit_ms) {
  return wait_through_kernel_door(wait_of_poll("poll", __builtin_return_address(0), set, count, limit_ms != 0),
                                  [=] { return behind_poll(set, count, limit_ms); });
}

// What `poll` becomes in a program that is built with checks.
int __poll_chk(pollfd* set, nfds_t count, int limit_ms, std::size_t) {
  return wait_through_kernel_door(wait_of_poll("poll", __builtin_return_address(0), set, count, limit_ms != 0),
                                  [=] { return behind_poll(set, count, limit_ms); });
}

int ppoll(pollfd* set, nfds_t count, const timespec* limit, const sigset_t* mask) {
  return wait_through_kernel_door(wait_of_poll("ppoll", __builtin_return_address(0), set, count, blocks(limit)),
                                  [=] { return behind_ppoll(set, count, limit, mask); });
}

int select(int count, fd_set* readable, fd_set* writable, fd_set* failed, timeval* limit) {
  return wait_through_kernel_door(
      wait_of_select("select", __builtin_return_address(0), readable, writable, count, blocks(limit)),
      [=] { return behind_select(count, readable, writable, failed, limit); });
}

int pselect(int count, fd_set* readable, fd_set* writable, fd_set* failed, const timespec* limit,
            const sigset_t* mask) {
  return wait_through_kernel_door(
      wait_of_select("pselect", __builtin_return_address(0), readable, writable, count, blocks(limit)),
      [=] { return behind_pselect(count, readable, writable, failed, limit, mask); });
}

int epoll_wait(int epoll, epoll_event* events, int count, int limit_ms) {
  return wait_through_kernel_door(
      wait_of_epoll("epoll_wait", __builtin_return_address(0), epoll, events, limit_ms != 0),
      [=] { return behind_epoll_wait(epoll, events, count, limit_ms); });
}

int epoll_pwait(int epoll, epoll_event* events, int count, int limit_ms, const sigset_t* mask) {
  return wait_through_kernel_door(
      wait_of_epoll("epoll_pwait", __builtin_return_address(0), epoll, events, limit_ms != 0),
      [=] { return behind_epoll_pwait(epoll, events, count, limit_ms, mask); });
}

int epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* limit, const sigset_t* mask) {
  return wait_through_kernel_door(
      wait_of_epoll("epoll_pwait2", __builtin_return_address(0), epoll, events, blocks(limit)),
      [=] { return behind_epoll_pwait2(epoll, events, count, limit, mask); });
}

int epoll_ctl(int epoll, int operation, int descriptor, epoll_event* event) noexcept {
  return through_kernel_door({.verb = KernelVerb::watch,
                              .function = "epoll_ctl",
                              .descriptor = epoll,
                              .caller = __builtin_return_address(0),
                              .operation = operation,
                              .other = descriptor,
                              .events = event != nullptr ? event->events : 0,
                              .data = event != nullptr ? event->data.u64 : 0},
                             [=] { return behind_epoll_ctl(epoll, operation, descriptor, event); });
}

int accept(int listener, sockaddr* peer, socklen_t* peer_bytes) {
  return accepted("accept", __builtin_return_address(0), listener,
                  [=] { return behind_accept(listener, peer, peer_bytes); });
}

int accept4(int listener, sockaddr* peer, socklen_t* peer_bytes, int flags) {
  return accepted("accept4", __builtin_return_address(0), listener,
                  [=] { return behind_accept4(listener, peer, peer_bytes, flags); });
}

}  // extern "C"
