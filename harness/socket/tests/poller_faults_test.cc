// Pollers when system calls fail that seldom do: each fault is planted, so each answer is certain.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "harness/socket/tests/poller_fixture.h"

namespace rig::test {
namespace {

thread_local int epoll_ctl_errno = 0;
thread_local int wait_errno = 0;

bool fails(int& planted) {
  if (planted == 0) {
    return false;
  }
  errno = std::exchange(planted, 0);
  return true;
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace
}  // namespace rig::test

extern "C" {

int epoll_ctl(int poller, int operation, int descriptor, epoll_event* event) noexcept {
  static auto* const real = rig::test::next<int(int, int, int, epoll_event*)>("epoll_ctl");
  return rig::test::fails(rig::test::epoll_ctl_errno) ? -1 : real(poller, operation, descriptor, event);
}

int epoll_wait(int poller, epoll_event* events, int room, int timeout_ms) {
  static auto* const real = rig::test::next<int(int, epoll_event*, int, int)>("epoll_wait");
  return rig::test::fails(rig::test::wait_errno) ? -1 : real(poller, events, room, timeout_ms);
}

int poll(pollfd* entries, nfds_t count, int timeout_ms) {
  static auto* const real = rig::test::next<int(pollfd*, nfds_t, int)>("poll");
  return rig::test::fails(rig::test::wait_errno) ? -1 : real(entries, count, timeout_ms);
}

}  // extern "C"

namespace rig::test {
namespace {

TEST(poller_faults, the_systems_limit_on_watches_is_no_descriptors) {
  auto made = make_poller(PollerKind::epoll);
  ASSERT_TRUE(made);
  Pair pair;
  epoll_ctl_errno = ENOSPC;
  const Status added = (*made)->add(pair.handle(), 1, read_only);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), Code::no_descriptors);
  EXPECT_EQ(added.error().detail(), "epoll_ctl: the system's limit fs.epoll.max_user_watches is reached");
  EXPECT_EQ((*made)->registrations(), 0U);
  EXPECT_TRUE((*made)->add(pair.handle(), 1, read_only));
}

TEST(poller_faults, an_epoll_poller_that_cannot_watch_its_own_eventfd_is_not_made) {
  epoll_ctl_errno = ENOMEM;
  const auto made = make_poller(PollerKind::epoll);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::no_memory);
}

TEST(poller_faults, a_wait_that_fails_says_so_and_loses_no_registration) {
  for (const PollerKind kind : {PollerKind::epoll, PollerKind::poll}) {
    auto made = make_poller(kind);
    ASSERT_TRUE(made);
    Pair pair;
    pair.write_from(1);
    ASSERT_TRUE((*made)->add(pair.handle(), 1, read_only));
    std::array<Ready, 4> ready;
    wait_errno = ENOMEM;
    const auto refused = (*made)->wait(ready, no_limit);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::no_memory);
    wait_errno = EINTR;
    EXPECT_EQ((*made)->wait(ready, no_limit), 0U);
    EXPECT_EQ((*made)->wait(ready, no_limit), 1U);
  }
}

}  // namespace
}  // namespace rig::test
