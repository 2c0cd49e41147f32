#include "harness/base/library_door.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

namespace rig {
namespace {

const void* at(std::uintptr_t number) {
  return reinterpret_cast<const void*>(number * 64);
}

// Recorder writes down what it is told, and spoils errno.
class Recorder final : public DoorObserver {
 public:
  Recorder() { open_door(this); }
  ~Recorder() { open_door(nullptr); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void entering(const DoorCall& call) noexcept override { note(std::string("+") + call.function); }
  void left(const DoorCall& call, const DoorReturn&) noexcept override { note(std::string("-") + call.function); }
  void waiting(const DoorWait& wait) noexcept override { note(wait.function); }
  void resumed(std::uint32_t) noexcept override { note("resumed"); }

  std::string told;

 private:
  void note(const std::string& word) {
    told += (told.empty() ? "" : " ") + word;
    errno = ENOTTY;
  }
};

// through leads a call through the door, and `inner` within it.
template <class Inner>
void through(const char* function, const void* session, const void* caller, Inner&& inner) {
  DoorPassage passage({.function = function, .session = session, .caller = caller});
  if (!passage.announced()) {
    inner();
    return;
  }
  passage.enter();
  inner();
  passage.leave({});
}

TEST(LibraryDoor, AClosedDoorAnnouncesNothing) {
  const DoorPassage passage({.function = "read", .session = at(1)});
  EXPECT_FALSE(passage.announced());
  door_waiting({.function = "poll"});
  door_resumed();
}

TEST(LibraryDoor, CallsAreAnnouncedAndErrnoIsKept) {
  Recorder recorder;
  errno = EDOM;
  through("read", at(1), nullptr, [] { EXPECT_EQ(door_session(), at(1)); });
  door_waiting({.function = "poll"});
  door_resumed();
  EXPECT_EQ(errno, EDOM);
  EXPECT_EQ(door_session(), nullptr);
  EXPECT_EQ(recorder.told, "+read -read poll resumed");
}

TEST(LibraryDoor, WhatALibraryCallsOnTheSameSessionIsItsOwnAffairAndAWaitWithinToo) {
  Recorder recorder;
  through("connect", at(1), nullptr, [] {
    through("handshake", at(1), nullptr, [] {});
    door_waiting({.function = "poll"});
    door_resumed();
  });
  EXPECT_EQ(recorder.told, "+connect -connect");
}

TEST(LibraryDoor, ACallbackThatUsesAnotherSessionIsTheLayers) {
  Recorder recorder;
  const auto* const caller = reinterpret_cast<const void*>(&at);
  through("connect", at(1), nullptr, [&] { through("read", at(2), caller, [] {}); });
  EXPECT_EQ(recorder.told, "+connect +read -read -connect");
}

TEST(LibraryDoor, AThreadsNumberIsItsOwnAndIsGivenAgain) {
  const std::uint32_t own = door_thread();
  EXPECT_EQ(door_thread(), own);
  std::uint32_t first = own;
  std::thread([&] { first = door_thread(); }).join();
  EXPECT_NE(first, own);
  for (int i = 0; i < 300; ++i) {
    std::uint32_t other = own;
    std::thread([&] { other = door_thread(); }).join();
    EXPECT_EQ(other, first);
  }
}

}  // namespace
}  // namespace rig
