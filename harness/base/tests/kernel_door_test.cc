#include "harness/base/kernel_door.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

namespace rig {
namespace {

// Recorder writes down what it is told, and spoils errno.
class Recorder final : public KernelObserver {
 public:
  Recorder() { open_kernel_door(this); }
  ~Recorder() { open_kernel_door(nullptr); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  bool looks(KernelVerb) noexcept override { return looking; }
  bool looks_at_waits() noexcept override { return looking; }
  bool entering(const KernelCall& call) noexcept override {
    note(std::string("+") + call.function);
    return true;
  }
  void left(const KernelCall& call, const KernelReturn& result) noexcept override {
    note(std::string("-") + call.function + "=" + std::to_string(result.result) +
         (result.error != 0 ? "/" + std::to_string(result.error) : "") + (result.noted ? " noted" : ""));
  }
  void waiting(const KernelWait& wait) noexcept override { note(wait.function); }
  void resumed(const KernelWait&, int result) noexcept override { note("back=" + std::to_string(result)); }
  bool is_socket(int descriptor) noexcept override { return descriptor == 7; }
  bool killed(const KernelCall&) noexcept override {
    note("killed");
    return false;
  }

  bool looking = true;
  std::string told;

 private:
  void note(const std::string& word) {
    told += (told.empty() ? "" : " ") + word;
    errno = ENOTTY;
  }
};

int fail_with(int error) {
  errno = error;
  return -1;
}

KernelCall call_of(KernelVerb verb, const char* function, int descriptor = 7) {
  return {.verb = verb, .function = function, .descriptor = descriptor};
}

TEST(KernelDoorTest, ACallIsToldWithItsResultAndKeepsItsErrno) {
  Recorder recorder;
  EXPECT_EQ(through_kernel_door(call_of(KernelVerb::receive, "recv"), [] { return fail_with(EAGAIN); }), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(through_kernel_door(call_of(KernelVerb::close, "close"), [] { return 0; }), 0);
  EXPECT_EQ(recorder.told, "-recv=-1/" + std::to_string(EAGAIN) + " +close -close=0 noted");
}

TEST(KernelDoorTest, WhatTheObserverDoesNotWantIsNotTold) {
  Recorder recorder;
  recorder.looking = false;
  EXPECT_EQ(through_kernel_door(call_of(KernelVerb::receive, "recv"), [] { return 3; }), 3);
  EXPECT_EQ(wait_through_kernel_door({.function = "poll"}, [] { return 1; }), 1);
  EXPECT_EQ(recorder.told, "");
}

TEST(KernelDoorTest, AClosedDoorPassesCallsOn) {
  EXPECT_EQ(through_kernel_door(call_of(KernelVerb::close, "close"), [] { return fail_with(EBADF); }), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(KernelDoorTest, AWaitIsToldBeforeAndAfter) {
  Recorder recorder;
  EXPECT_EQ(wait_through_kernel_door({.function = "poll"}, [] { return fail_with(EINTR); }), -1);
  EXPECT_EQ(errno, EINTR);
  EXPECT_EQ(recorder.told, "poll back=-1");
}

// broken is a send to a peer that is gone, as the system does it.
ssize_t broken(int descriptor, bool may_signal) {
  KernelCall call = call_of(KernelVerb::send, "send", descriptor);
  call.may_signal = may_signal;
  return send_through_kernel_door(call, [](bool) { return fail_with(EPIPE); });
}

TEST(KernelDoorTest, ASendThatWouldKillIsToldOfInThePlaceOfTheSignal) {
  Recorder recorder;
  EXPECT_EQ(broken(7, true), -1);
  EXPECT_EQ(errno, EPIPE);
  EXPECT_EQ(recorder.told, "killed -send=-1/" + std::to_string(EPIPE));
}

TEST(KernelDoorTest, ASendWithNoSignalOrToNoSocketKillsNobody) {
  Recorder recorder;
  EXPECT_EQ(broken(7, false), -1);
  EXPECT_EQ(broken(8, true), -1);
  EXPECT_EQ(recorder.told.find("killed"), std::string::npos);
}

volatile std::sig_atomic_t signals_caught = 0;

TEST(KernelDoorTest, AProgramThatHandlesSigpipeGetsIt) {
  Recorder recorder;
  const auto before = std::signal(SIGPIPE, [](int) { signals_caught = signals_caught + 1; });
  EXPECT_EQ(broken(7, true), -1);
  std::signal(SIGPIPE, before);
  EXPECT_EQ(signals_caught, 1);
  EXPECT_EQ(recorder.told.find("killed"), std::string::npos);
}

KernelCall watch_of(int operation, std::uint32_t events) {
  KernelCall call = call_of(KernelVerb::watch, "epoll_ctl", 3);
  call.operation = operation;
  call.other = 7;
  call.events = events;
  return call;
}

TEST(KernelDoorTest, AWaitSaysWhetherItIsForInput) {
  Recorder recorder;
  const std::array<pollfd, 2> polls{
      {{.fd = 5, .events = POLLIN, .revents = 0}, {.fd = 7, .events = POLLOUT, .revents = 0}}};
  const KernelWait poll{.kind = KernelWait::Kind::poll, .polls = polls};
  EXPECT_TRUE(waits_for_input(poll, 5));
  EXPECT_FALSE(waits_for_input(poll, 7));
  EXPECT_FALSE(waits_for_input(poll, 6));
  fd_set set;
  FD_ZERO(&set);
  FD_SET(70, &set);
  const KernelWait select{.kind = KernelWait::Kind::select, .count = 71, .in = &set};
  EXPECT_TRUE(waits_for_input(select, 70));
  EXPECT_FALSE(waits_for_input(select, 7));
  EXPECT_FALSE(waits_for_input(select, 71));
  const KernelWait epoll{.kind = KernelWait::Kind::epoll};
  EXPECT_FALSE(waits_for_input(epoll, 7));
  through_kernel_door(watch_of(EPOLL_CTL_ADD, EPOLLIN), [] { return 0; });
  EXPECT_TRUE(waits_for_input(epoll, 7));
  through_kernel_door(watch_of(EPOLL_CTL_MOD, EPOLLIN | EPOLLET), [] { return 0; });
  EXPECT_FALSE(waits_for_input(epoll, 7));
  through_kernel_door(watch_of(EPOLL_CTL_MOD, EPOLLIN), [] { return 0; });
  through_kernel_door(call_of(KernelVerb::close, "close"), [] { return 0; });
  EXPECT_FALSE(waits_for_input(epoll, 7));
}

TEST(KernelDoorTest, SetsOfASelectThatLieWithinEachOtherAreFound) {
  std::array<fd_set, 4> sets{};
  const auto select = [&](int count, const fd_set* in, const fd_set* out) {
    return KernelWait{.kind = KernelWait::Kind::select, .count = count, .in = in, .out = out};
  };
  EXPECT_FALSE(sets_overlap(select(FD_SETSIZE, &sets[0], &sets[1])));
  EXPECT_TRUE(sets_overlap(select(FD_SETSIZE + 1, &sets[0], &sets[1])));
  EXPECT_TRUE(sets_overlap(select(FD_SETSIZE + 1, &sets[1], &sets[0])));
  EXPECT_FALSE(sets_overlap(select(2 * FD_SETSIZE, &sets[0], &sets[2]))) << "a longer set of the program's own";
  EXPECT_FALSE(sets_overlap(select(FD_SETSIZE + 1, &sets[0], nullptr)));
}

TEST(KernelDoorTest, AWaitSaysWhetherItIgnoresRoom) {
  Recorder recorder;
  const std::array<pollfd, 2> polls{
      {{.fd = 5, .events = POLLIN, .revents = 0}, {.fd = 7, .events = POLLIN | POLLOUT, .revents = 0}}};
  const KernelWait poll{.kind = KernelWait::Kind::poll, .polls = polls};
  EXPECT_TRUE(ignores_room(poll, 5));
  EXPECT_FALSE(ignores_room(poll, 7));
  fd_set set;
  FD_ZERO(&set);
  FD_SET(70, &set);
  const KernelWait select{.kind = KernelWait::Kind::select, .count = 71, .out = &set};
  EXPECT_FALSE(ignores_room(select, 70));
  EXPECT_TRUE(ignores_room(select, 7));
  const KernelWait epoll{.kind = KernelWait::Kind::epoll};
  EXPECT_FALSE(ignores_room(epoll, 7));
  through_kernel_door(watch_of(EPOLL_CTL_ADD, EPOLLIN), [] { return 0; });
  EXPECT_TRUE(ignores_room(epoll, 7));
  through_kernel_door(watch_of(EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT), [] { return 0; });
  EXPECT_TRUE(waits_for_input(epoll, 7));
  EXPECT_FALSE(ignores_room(epoll, 7));
  through_kernel_door(watch_of(EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT | EPOLLET), [] { return 0; });
  EXPECT_FALSE(ignores_room(epoll, 7));
  through_kernel_door(call_of(KernelVerb::close, "close"), [] { return 0; });
}

}  // namespace
}  // namespace rig
