// E1, E2, E3 and L1 at the library door: each with the defect that it must report and the neighbour that it must let
// pass.
#include "harness/oracle/engine_monitor.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <thread>
#include <vector>

#include "harness/oracle/session_slot.h"
#include "harness/oracle/tests/door_events.h"

namespace rig {
namespace {

using namespace test;
using enum DoorVerb;
using enum DoorOutcome;

class EngineMonitorTest : public testing::Test {
 protected:
  EngineMonitorTest() { register_fake_door(TlsLibrary::openssl); }

  DoorCall made(DoorVerb verb, std::uint32_t thread = 0) {
    constexpr std::array names{"create",  "destroy",  "reset", "handshake", "read", "peek", "write", "shutdown",
                               "control", "classify", "clear", "take",      "push", "init", "deinit"};
    return {.library = library_,
            .verb = verb,
            .function = names[static_cast<std::size_t>(verb)],
            .session = verb == init || verb == deinit ? nullptr : at(1),
            .data = bytes_.data(),
            .bytes = bytes_.size(),
            .caller = at(++site_),
            .thread = thread};
  }
  void call(const DoorCall& made, DoorOutcome outcome = done) {
    monitor_.entering(made);
    monitor_.left(made, {.outcome = outcome});
  }
  // blocked_write leaves a write of all bytes waiting for room.
  void blocked_write() { call(made(write), want_write); }

  std::string message() const { return log_.kept().empty() ? "" : log_.kept().front().message; }

  ViolationLog log_;
  EngineMonitor monitor_{log_};
  TlsLibrary library_ = TlsLibrary::openssl;
  std::array<char, 100> bytes_{};
  std::array<char, 100> copy_{};
  std::uintptr_t site_ = 100;
};

TEST_F(EngineMonitorTest, E1_AMovedRetryIsReportedUnlessItMayMove) {
  blocked_write();
  DoorCall retry = made(write);
  retry.data = copy_.data();
  retry.may_move = true;
  call(retry, want_write);
  EXPECT_EQ(laws(log_), "");
  retry.may_move = false;
  call(retry, want_write);
  EXPECT_EQ(laws(log_), "E1");
  EXPECT_EQ(message().find("the session is given the write that waits from another address; it was that of write with "
                           "100 bytes; write with 100 bytes called from "),
            0u)
      << message();
  EXPECT_EQ(log_.kept().front().where, "OpenSSL session 1");
}

TEST_F(EngineMonitorTest, E1_AShorterALongerAndAnotherRetryAreReportedOnEachLibrary) {
  for (const TlsLibrary library : {TlsLibrary::openssl, TlsLibrary::gnutls, TlsLibrary::mbedtls}) {
    library_ = library;
    call(made(create));
    call(made(handshake));
    blocked_write();
    DoorCall retry = made(write);
    retry.bytes = 50;
    call(retry, want_write);
    retry = made(write);
    retry.bytes = 200;
    call(retry, want_write);
    bytes_[70] ^= 1;
    call(made(write), want_write);
    call(made(destroy));
  }
  EXPECT_EQ(laws(log_), "E1 E1 E1 E1 E1 E1 E1 E1 E1");
}

TEST_F(EngineMonitorTest, E1_TheSameRetryIsSilentAndSoIsAReadInBetweenAndAnotherWriteAfterIt) {
  blocked_write();
  call(made(read), want_read);
  call(made(write), want_write);
  call(made(write));
  DoorCall next = made(write);
  next.bytes = 10;
  call(next);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, E1_AWriteThatWaitedForInputOrWithinAHandshakeHoldsNothingBack) {
  DoorCall other = made(write);
  other.bytes = 10;
  call(made(write), want_read);
  call(other, want_read);
  DoorCall early = made(write);
  early.in_handshake = true;
  call(early, want_write);
  call(other);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, E1_AWriteThatTheLayerHasWaivedIsNotCompared) {
  blocked_write();
  monitor_.waived(at(1));
  DoorCall next = made(write);
  next.bytes = 10;
  call(next, want_write);
  EXPECT_EQ(laws(log_), "");
  next.bytes = 11;
  next.caller = at(++site_);
  call(next);
  EXPECT_EQ(laws(log_), "E1") << "that one waits as any other";
}

TEST_F(EngineMonitorTest, E1_ARekeyOverAPendingWriteIsReported) {
  blocked_write();
  call(made(control), other);
  EXPECT_EQ(laws(log_), "E1");
}

TEST_F(EngineMonitorTest, E1_AWriteOfNoBytesIsReportedUnlessItHasAMeaning) {
  DoorCall empty = made(write);
  empty.bytes = 0;
  empty.may_be_empty = true;
  call(empty);
  EXPECT_EQ(laws(log_), "");
  empty.may_be_empty = false;
  call(empty);
  EXPECT_EQ(laws(log_), "E1");
}

TEST_F(EngineMonitorTest, E1_AWriteOfNothingFlushesGnutls) {
  library_ = TlsLibrary::gnutls;
  blocked_write();
  DoorCall flush = made(write);
  flush.data = nullptr;
  flush.bytes = 0;
  call(flush);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, E2_TwoThreadsInASessionAreReported) {
  const DoorCall first = made(write, 1);
  const DoorCall second = made(read, 2);
  monitor_.entering(first);
  monitor_.entering(second);
  monitor_.left(second, {});
  monitor_.left(first, {});
  EXPECT_EQ(laws(log_), "E2");
  EXPECT_EQ(message().find("the session is entered while another thread is in it, in write (called from "), 0u)
      << message();
}

TEST_F(EngineMonitorTest, E2_OneAfterTheOtherIsSilentAndSoAreTwoSessionsAtOnce) {
  call(made(write, 1));
  call(made(read, 2));
  const DoorCall first = made(write, 1);
  DoorCall second = made(read, 2);
  second.session = at(2);
  monitor_.entering(first);
  monitor_.entering(second);
  monitor_.left(first, {});
  monitor_.left(second, {});
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, E2_GnutlsMayReadAndWriteAtOnceButNotShakeHands) {
  library_ = TlsLibrary::gnutls;
  const DoorCall writer = made(write, 1);
  const DoorCall reader = made(read, 2);
  monitor_.entering(writer);
  monitor_.entering(reader);
  EXPECT_EQ(laws(log_), "");
  monitor_.entering(made(read, 3));
  EXPECT_EQ(laws(log_), "E2");
  monitor_.left(reader, {});
  monitor_.entering(made(handshake, 2));
  EXPECT_EQ(laws(log_), "E2 E2");
}

TEST_F(EngineMonitorTest, E3_ACallAfterAFatalFailureIsReported) {
  call(made(read), fatal);
  call(made(shutdown));
  EXPECT_EQ(laws(log_), "E3");
  EXPECT_EQ(message().find("the session is used after the fatal failure of read; shutdown called from "), 0u)
      << message();
}

TEST_F(EngineMonitorTest, E3_FreeingAndResettingAfterAFatalFailureAreSilent) {
  call(made(read), broken);
  call(made(classify), broken);
  call(made(reset));
  call(made(handshake));
  call(made(read), fatal);
  call(made(destroy));
  call(made(create));
  call(made(read), end);
  call(made(shutdown));
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, E3_AShutdownInAHandshakeIsReported) {
  DoorCall early = made(shutdown);
  early.in_handshake = true;
  call(early, other);
  EXPECT_EQ(laws(log_), "E3");
  library_ = TlsLibrary::gnutls;
  call(made(create));
  call(made(handshake), want_read);
  call(made(shutdown));
  EXPECT_EQ(laws(log_), "E3 E3");
  call(made(handshake));
  call(made(shutdown));
  EXPECT_EQ(laws(log_), "E3 E3");
}

TEST_F(EngineMonitorTest, E3_AShutdownAfterAHandshakeThatThePeerDeclinedIsSilentUnlessItWasTheFirst) {
  library_ = TlsLibrary::gnutls;
  call(made(create));
  call(made(handshake));
  call(made(handshake), want_read);
  call(made(handshake), given_up);
  call(made(shutdown));
  EXPECT_EQ(laws(log_), "");
  call(made(create));
  call(made(handshake), want_read);
  call(made(handshake), given_up);
  call(made(shutdown));
  EXPECT_EQ(laws(log_), "E3");
}

TEST_F(EngineMonitorTest, E3_AWriteToGnutlsBeforeItHasShakenHandsIsReported) {
  library_ = TlsLibrary::gnutls;
  call(made(write));
  EXPECT_EQ(laws(log_), "") << "nobody has seen it made: it may have shaken hands";
  call(made(create));
  call(made(handshake), want_read);
  call(made(write), other);
  EXPECT_EQ(laws(log_), "E3");
  call(made(create));
  call(made(write), other);
  EXPECT_EQ(laws(log_), "E3 E3");
  EXPECT_EQ(message().find("the session is given data to write before it has shaken hands; write with 100 bytes"), 0u)
      << message();
}

// The others shake hands within the write; GnuTLS takes data while it does so once more.
TEST_F(EngineMonitorTest, E3_IsSilentAboutWritesThatTheLibraryAllows) {
  call(made(create));
  call(made(handshake), want_read);
  call(made(write), want_read);
  library_ = TlsLibrary::gnutls;
  call(made(create));
  call(made(handshake));
  call(made(handshake), want_read);
  call(made(write));
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, E3_AShutdownOverAPendingWriteIsReportedAndAfterItIsSilent) {
  blocked_write();
  call(made(shutdown), want_write);
  EXPECT_EQ(laws(log_), "E3");
  call(made(write));
  call(made(shutdown));
  EXPECT_EQ(laws(log_), "E3");
}

TEST_F(EngineMonitorTest, E3_AnEndOfTheLibraryUnderASessionIsReported) {
  call(made(create));
  call(made(deinit));
  EXPECT_EQ(laws(log_), "E3");
  EXPECT_EQ(message().find("the library is ended while sessions live on: 1; deinit called from "), 0u) << message();
}

TEST_F(EngineMonitorTest, E3_GnutlsCountsItsBeginningsAndEnds) {
  library_ = TlsLibrary::gnutls;
  call(made(init));
  call(made(init));
  call(made(create));
  call(made(deinit));
  EXPECT_EQ(laws(log_), "") << "one user has ended, another has not";
  call(made(destroy));
  call(made(deinit));
  EXPECT_EQ(laws(log_), "");
  call(made(deinit));
  EXPECT_EQ(laws(log_), "E3");
}

TEST_F(EngineMonitorTest, L1_AWaitForInputThatTheLibraryHoldsIsReported) {
  fake_pending = 8;
  call(made(read));
  monitor_.waiting(wait(0, false));
  EXPECT_EQ(laws(log_), "") << "a wait that does not block";
  monitor_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "L1");
  EXPECT_EQ(message().find("poll waits for input on descriptor 5, and the library holds 8 bytes of it already"), 0u);
}

TEST_F(EngineMonitorTest, L1_IsSilentAfterAReadThatWaitsAndWhereTheLayerDoesNotWaitForInput) {
  fake_pending = 8;
  call(made(read));
  call(made(read), want_read);
  monitor_.waiting(wait(0));
  call(made(read));
  DoorWait paused = wait(0);
  paused.waits_for_input = [](const DoorWait&, int) { return false; };
  monitor_.waiting(paused);
  fake_pending = 0;
  call(made(read));
  monitor_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, L1_IsSilentWhereTheLayerThatHasNotReadOnWaitsForRoomAsWell) {
  fake_pending = 8;
  call(made(read));
  DoorWait both = wait(0);
  both.ignores_room = [](const DoorWait&, int) { return false; };
  monitor_.waiting(both);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, L1_AWaitForInputWhereTheLibraryWantsRoomIsReported) {
  fake_pending = 0;
  call(made(handshake), want_write);
  monitor_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "L1");
  EXPECT_EQ(message().find("poll waits for input on descriptor 5, and what the library was last asked goes on when "
                           "there is room; called from "),
            0u)
      << message();
}

TEST_F(EngineMonitorTest, L1_IsSilentWhereTheLayerWaitsForRoomOrHasAskedForSomethingElseSince) {
  fake_pending = 0;
  call(made(handshake), want_write);
  DoorWait both = wait(0);
  both.ignores_room = [](const DoorWait&, int) { return false; };
  monitor_.waiting(both);
  call(made(handshake), want_write);
  call(made(handshake), want_read);
  monitor_.waiting(wait(0));
  call(made(write), want_write);
  monitor_.waiting(wait(0));
  EXPECT_EQ(laws(log_), "");
}

TEST_F(EngineMonitorTest, ADefectOnABusyPathIsOneReport) {
  call(made(read), fatal);
  const DoorCall again = made(read);
  for (int i = 0; i < 100; ++i) {
    call(again, fatal);
  }
  EXPECT_EQ(log_.count(), 1u);
}

TEST_F(EngineMonitorTest, SessionsOfOneSlotAreToldApartAndKeepWhatIsKnownOfThem) {
  const std::size_t slot = session_slot(at(1));
  std::vector<const void*> sessions;
  for (std::uintptr_t address = 1; sessions.size() < 6; ++address) {
    const std::size_t here = session_slot(at(address * 16));
    if (here == slot || here == (slot + 1) % session_slots_max) {
      sessions.push_back(at(address * 16));
    }
  }
  const auto on = [&](const void* session, DoorVerb verb) {
    DoorCall one = made(verb);
    one.session = session;
    return one;
  };
  std::size_t reports = 0;
  for (const void* survivor : sessions) {
    for (const void* session : sessions) {
      call(on(session, create));
      call(on(session, read), session == survivor ? fatal : done);
    }
    for (const void* session : sessions) {
      if (session != survivor) {
        call(on(session, destroy));
      }
    }
    EXPECT_EQ(log_.count(), reports);
    call(on(survivor, read));
    EXPECT_EQ(log_.count(), ++reports);
    call(on(survivor, destroy));
  }
}

TEST_F(EngineMonitorTest, SessionsComeAndGoWithoutEnd) {
  for (std::uintptr_t i = 1; i < 20'000; ++i) {
    DoorCall one = made(create);
    one.session = at(i % 900 + 1);
    call(one);
    one.verb = read;
    call(one, i % 3 == 0 ? fatal : done);
    if (i % 2 == 0) {
      one.verb = destroy;
      call(one);
    }
  }
  EXPECT_EQ(laws(log_), "");
}

}  // namespace
}  // namespace rig
