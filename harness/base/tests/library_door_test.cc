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

TEST(LibraryDoor, AThreadsNumberIsItsOwnUntilItGivesItBack) {
  const Recorder recorder;
  EXPECT_EQ(door_thread(), 0u);
  EXPECT_EQ(door_thread(), 0u);
  for (int i = 0; i < 300; ++i) {
    std::uint32_t other = 0;
    std::thread([&] {
      other = door_thread();
      give_back_door_thread();
    }).join();
    EXPECT_EQ(other, 1u);
  }
}

TEST(LibraryDoor, NumbersBeginAnewWithEachObserver) {
  for (int i = 0; i < 3; ++i) {
    const Recorder recorder;
    std::thread([] { EXPECT_EQ(door_thread(), 0u); }).join();
    EXPECT_EQ(door_thread(), 1u);
  }
}

TEST(LibraryDoor, AThreadBeyondTheLimitHasTheLimitForItsNumber) {
  const Recorder recorder;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i <= door_threads_max; ++i) {
    std::thread([&] { last = door_thread(); }).join();
  }
  EXPECT_EQ(last, door_threads_max);
}

}  // namespace
}  // namespace rig
