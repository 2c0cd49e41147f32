// L2 at the kernel door: each way to burn the processor or to starve a neighbour, and the layer next to it that does
// what it has to.
#include "harness/oracle/wakeup_audit.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "harness/oracle/tests/door_events.h"

namespace rig {
namespace {

using namespace test;

constexpr std::uint32_t thread = 0;
constexpr int busy = 7;
constexpr int neighbour = 9;

class WakeupAuditTest : public testing::Test {
 protected:
  void call(KernelVerb verb, int descriptor, std::int64_t result, int error = 0) {
    audit_.called({.verb = verb, .function = "call", .descriptor = descriptor, .caller = at(++site_)},
                  {.result = result, .error = error}, thread);
  }
  void receive(int descriptor, std::int64_t bytes) { call(KernelVerb::receive, descriptor, bytes); }
  // receive_to_the_bound reads as much of the busy one as a turn may have, in pieces.
  void receive_to_the_bound(std::uint64_t piece) {
    for (std::uint64_t bytes = 0; bytes < WakeupAudit::turn_bytes_max; bytes += piece) {
      receive(busy, static_cast<std::int64_t>(piece));
    }
  }
  // wait is a poll of both descriptors.
  void wait(short busy_events, short neighbour_events = 0, bool blocks = true) {
    const std::array<pollfd, 2> polls{{{.fd = busy, .events = POLLIN, .revents = busy_events},
                                       {.fd = neighbour, .events = POLLIN, .revents = neighbour_events}}};
    const int ready = (busy_events != 0 ? 1 : 0) + (neighbour_events != 0 ? 1 : 0);
    done({.kind = KernelWait::Kind::poll, .function = "poll", .caller = at(1), .blocks = blocks, .polls = polls},
         ready);
  }
  // wait_by_epoll is a wait that reports one registration.
  void wait_by_epoll(std::uint32_t events, std::uint64_t data) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = data;
    done(
        {.kind = KernelWait::Kind::epoll, .function = "epoll_wait", .caller = at(1), .descriptor = 3, .events = &event},
        1);
  }
  void watch(int operation, int descriptor, std::uint64_t data, std::uint32_t events = EPOLLIN) {
    audit_.called({.verb = KernelVerb::watch,
                   .function = "epoll_ctl",
                   .descriptor = 3,
                   .caller = at(++site_),
                   .operation = operation,
                   .other = descriptor,
                   .events = events,
                   .data = data},
                  {}, thread);
  }

  // time_out is a wait that ends after so long, with nothing to report.
  void time_out(std::int64_t milliseconds) {
    now_ns_ += milliseconds * 1'000'000;
    wait(0);
  }

  // turn_for is a turn of so long, of which `body` is what the thread does.
  void turn_for(std::int64_t milliseconds, auto body) {
    audit_.turning(thread, &loop_, now_ns_ + milliseconds * 1'000'000);
    body();
    audit_.turned(thread, now_ns_);
  }
  void wake() { audit_.woken(&loop_, audit_.waking(&loop_)); }

  int loop_ = 0;  // whose address stands for a loop
  ViolationLog log_;
  WakeupAudit audit_{log_};
  std::uintptr_t site_ = 100;
  std::int64_t now_ns_ = 0;

 private:
  void done(const KernelWait& wait, int result) {
    audit_.waiting(wait, thread);
    audit_.resumed(wait, result, thread, now_ns_);
  }
};

TEST_F(WakeupAuditTest, L2_InputThatIsReportedAgainAndAgainAndNotReadIsReported) {
  for (std::uint32_t i = 0; i < WakeupAudit::ignored_max; ++i) {
    EXPECT_EQ(laws(log_), "");
    wait(POLLIN, POLLIN);
    receive(neighbour, 1);
  }
  EXPECT_EQ(laws(log_), "L2");
  EXPECT_EQ(log_.kept().front().where, "descriptor 7");
  EXPECT_EQ(log_.kept().front().message.find("poll reports input that nobody reads (32 times in a row); called from "),
            0u);
}

TEST_F(WakeupAuditTest, L2_RoomThatIsReportedAgainAndAgainAndNotUsedIsReportedAlthoughInputIsRead) {
  for (std::uint32_t i = 0; i < WakeupAudit::ignored_max; ++i) {
    wait(POLLIN | POLLOUT);
    receive(busy, 1);
  }
  EXPECT_EQ(laws(log_), "L2");
  EXPECT_EQ(log_.kept().front().message.find("poll reports room that nobody uses"), 0u);
}

TEST_F(WakeupAuditTest, L2_IsSilentWhereEachReportIsActedUpon) {
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::ignored_max; ++i) {
    wait(POLLIN | POLLOUT, i % (WakeupAudit::ignored_max / 2) == 0 ? POLLIN : 0);
    receive(busy, 1);
    call(KernelVerb::send, busy, 1);
  }
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_AReportThatTheSystemTakesBackIsNoFaultOfTheLayer) {
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::ignored_max; ++i) {
    wait(POLLIN);
    call(KernelVerb::receive, busy, -1, EAGAIN);
  }
  EXPECT_EQ(laws(log_), "");
}

KernelCall on_blocking(KernelVerb verb) {
  return {.verb = verb,
          .function = "call",
          .descriptor = busy,
          .caller = at(50),
          .is_blocking = [](int descriptor) noexcept { return descriptor == busy; }};
}

TEST_F(WakeupAuditTest, L2_ACallThatMayWaitForTheOtherSideIsReportedOnce) {
  for (const KernelVerb verb : {KernelVerb::connect, KernelVerb::accept, KernelVerb::receive, KernelVerb::send}) {
    ViolationLog log;
    WakeupAudit audit(log);
    for (int i = 0; i < 3; ++i) {
      audit.judge_blocking(on_blocking(verb));
    }
    EXPECT_EQ(laws(log), "L2");
    EXPECT_EQ(log.kept().front().where, "descriptor 7");
    EXPECT_TRUE(log.kept().front().message.contains("the socket is not O_NONBLOCK; called from "));
  }
}

TEST_F(WakeupAuditTest, L2_ASocketThatWaitsNotIsSilentAndSoIsAFlagThatForbidsIt) {
  KernelCall call = on_blocking(KernelVerb::receive);
  call.at_once = true;
  audit_.judge_blocking(call);
  call = on_blocking(KernelVerb::send);
  call.descriptor = neighbour;
  audit_.judge_blocking(call);
  call = on_blocking(KernelVerb::option);
  audit_.judge_blocking(call);
  call = on_blocking(KernelVerb::connect);
  call.is_blocking = nullptr;
  audit_.judge_blocking(call);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_WhoMovesBytesIsAskedAnewBehindAConnectAndSoIsTheNextFile) {
  KernelCall call = on_blocking(KernelVerb::connect);
  call.is_blocking = [](int) noexcept { return false; };
  audit_.judge_blocking(call);
  audit_.judge_blocking(on_blocking(KernelVerb::connect));  // as the first was
  EXPECT_EQ(laws(log_), "");
  audit_.judge_blocking(on_blocking(KernelVerb::send));
  EXPECT_EQ(laws(log_), "L2");
  call.verb = KernelVerb::send;
  WakeupAudit audit(log_);
  audit.judge_blocking(call);
  audit.begun(busy);
  audit.judge_blocking(on_blocking(KernelVerb::send));
  EXPECT_EQ(log_.kept().size(), 2u);
}

TEST_F(WakeupAuditTest, L2_EpollIsKnownByTheDataOfItsRegistration) {
  watch(EPOLL_CTL_ADD, busy, 70);
  watch(EPOLL_CTL_ADD, neighbour, 90);
  for (std::uint32_t i = 0; i < WakeupAudit::ignored_max; ++i) {
    wait_by_epoll(EPOLLIN, 70);
    receive(neighbour, 1);
  }
  EXPECT_EQ(laws(log_), "L2");
  EXPECT_EQ(log_.kept().front().where, "descriptor 7");
}

TEST_F(WakeupAuditTest, L2_DataThatTwoRegistrationsShareArePassedOver) {
  watch(EPOLL_CTL_ADD, busy, 70);
  watch(EPOLL_CTL_ADD, neighbour, 70);
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::ignored_max; ++i) {
    wait_by_epoll(EPOLLIN, 70);
    receive(neighbour, 1);
  }
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_AChangeOfTheRegistrationIsAnAnswer) {
  watch(EPOLL_CTL_ADD, busy, 70);
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::ignored_max; ++i) {
    wait_by_epoll(EPOLLIN, 70);
    watch(EPOLL_CTL_MOD, busy, 70);
  }
  EXPECT_EQ(laws(log_), "");
}

// Each is news: of a connection that has paused, for example.
TEST_F(WakeupAuditTest, L2_AnEdgeThatNobodyActsUponIsSilent) {
  watch(EPOLL_CTL_ADD, busy, 70, EPOLLIN | EPOLLOUT | EPOLLET);
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::ignored_max; ++i) {
    wait_by_epoll(EPOLLIN | EPOLLOUT, 70);
  }
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_ATimeoutOfTheLayersOwnThatComesAgainAndAgainIsReported) {
  for (std::uint32_t i = 0; i < WakeupAudit::idle_wakes_max + 1; ++i) {
    EXPECT_EQ(laws(log_), "");
    time_out(1);
    call(KernelVerb::receive, busy, -1, EAGAIN);
  }
  EXPECT_EQ(laws(log_), "L2");
  EXPECT_EQ(log_.kept().front().message.find("poll is where the thread wakes up by its own timeout while nothing "
                                             "happens (33 times in a row); called from "),
            0u);
}

TEST_F(WakeupAuditTest, L2_ATurnThatEndsBeforeTheAppsTimeIsATimeoutOfTheLayersOwn) {
  for (std::uint32_t i = 0; i < WakeupAudit::idle_wakes_max + 1; ++i) {
    EXPECT_EQ(laws(log_), "");
    audit_.turning(thread, &loop_, now_ns_ + 20'000'000);
    time_out(1);
  }
  EXPECT_EQ(laws(log_), "L2");
}

TEST_F(WakeupAuditTest, L2_IsSilentAboutASlowTimerAndAboutTheAppsOwnTime) {
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::idle_wakes_max; ++i) {
    time_out(100);
  }
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::idle_wakes_max; ++i) {
    audit_.turning(thread, &loop_, now_ns_ + 1'000'000);
    time_out(1);
  }
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_ALoopThatSleepsOnOverAWakeUpIsReported) {
  turn_for(20, [this] {
    wake();
    wait(0, 0, false);
    time_out(20);
  });
  EXPECT_EQ(laws(log_), "L2");
  EXPECT_EQ(log_.kept().front().message.find(
                "poll waits to the end of the turn, although the loop has been woken; called from "),
            0u);
}

TEST_F(WakeupAuditTest, L2_ALoopThatIsWokenBeforeItsTurnAndSleepsIsReported) {
  wake();
  turn_for(20, [this] { time_out(20); });
  EXPECT_EQ(laws(log_), "L2");
}

TEST_F(WakeupAuditTest, L2_IsSilentAboutALoopThatIsWokenAndAboutOneThatNobodyWakes) {
  turn_for(20, [this] { time_out(20); });
  turn_for(20, [this] {
    wake();
    wait(POLLIN);
    receive(busy, 1);
  });
  turn_for(20, [this] { time_out(20); });
  EXPECT_EQ(laws(log_), "");
}

// What is due is done behind the wait, and nobody waits for another one.
TEST_F(WakeupAuditTest, L2_IsSilentAboutAWakeUpBehindTheLastWaitOfATurn) {
  turn_for(20, [this] {
    time_out(20);
    wake();
  });
  turn_for(20, [this] { time_out(20); });
  EXPECT_EQ(laws(log_), "");
}

// The wake-up may have ended that wait, or a thread may have been slow to say that it has woken somebody.
TEST_F(WakeupAuditTest, L2_IsSilentAboutAWaitThatEndsWhileSomebodyWakesTheLoop) {
  turn_for(20, [this] {
    const std::uint64_t waits = audit_.waking(&loop_);
    wait(POLLIN);
    audit_.woken(&loop_, waits);
    time_out(20);
  });
  const std::uint64_t waits = audit_.waking(&loop_);
  turn_for(20, [this] { time_out(20); });
  audit_.woken(&loop_, waits);
  turn_for(20, [this] { time_out(20); });
  EXPECT_EQ(laws(log_), "");
}

// A layer may wait for something of its own in between.
TEST_F(WakeupAuditTest, L2_IsSilentAboutATurnThatEndsBeforeItsTime) {
  turn_for(20, [this] {
    wake();
    time_out(10);
  });
  turn_for(20, [this] {
    wake();
    time_out(10);
    wait(POLLIN);
    time_out(10);
  });
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_IsSilentAboutTimeoutsBetweenWhichSomethingHappens) {
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::idle_wakes_max; ++i) {
    time_out(1);
    if (i % 10 == 0) {
      receive(neighbour, 1);
    } else if (i % 10 == 5) {
      wait(POLLIN);
      call(KernelVerb::receive, busy, -1, EAGAIN);
    }
  }
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_AThreadThatWakesUpAndDoesNothingIsReported) {
  for (std::uint32_t i = 0; i < WakeupAudit::wakes_max + 1; ++i) {
    EXPECT_EQ(laws(log_), "");
    wait_by_epoll(EPOLLIN, 1);
  }
  EXPECT_EQ(laws(log_), "L2");
  EXPECT_EQ(log_.kept().front().where, "a thread");
}

TEST_F(WakeupAuditTest, L2_ACallThatWouldBlockAndIsTriedAgainAtOnceIsReported) {
  wait(POLLOUT);
  for (std::uint32_t i = 0; i < WakeupAudit::would_block_max; ++i) {
    EXPECT_EQ(laws(log_), "");
    call(KernelVerb::send, busy, -1, EAGAIN);
  }
  EXPECT_EQ(laws(log_), "L2");
  EXPECT_EQ(log_.kept().front().message.find("call would block, and is tried again at once"), 0u);
}

TEST_F(WakeupAuditTest, L2_AnAppThatSendsOnAndOnIsNoSpinOfTheLayers) {
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::would_block_max; ++i) {
    audit_.entered(thread);
    call(KernelVerb::send, busy, -1, EAGAIN);
    call(KernelVerb::receive, busy, -1, EAGAIN);
  }
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_LookingAgainAndAgainWithoutTimeIsReportedWithinOneVerbOnly) {
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::looks_max; ++i) {
    audit_.entered(thread);
    wait(0, 0, false);
  }
  EXPECT_EQ(laws(log_), "");
  for (std::uint32_t i = 0; i < WakeupAudit::looks_max + 1; ++i) {
    wait(0, 0, false);
  }
  EXPECT_EQ(laws(log_), "L2");
}

// A reactor may look between any two of its handlers, as long as they get somewhere.
TEST_F(WakeupAuditTest, L2_LookingBetweenCallsThatMoveBytesIsNoSpin) {
  for (std::uint32_t i = 0; i < 10 * WakeupAudit::looks_max; ++i) {
    wait(0, 0, false);
    call(KernelVerb::send, busy, 100, 0);
  }
  EXPECT_EQ(laws(log_), "");
  for (std::uint32_t i = 0; i < WakeupAudit::looks_max + 1; ++i) {
    wait(0, 0, false);
    call(KernelVerb::watch, busy, 0, 0);
  }
  EXPECT_EQ(laws(log_), "L2");
}

TEST_F(WakeupAuditTest, L2_ASocketThatIsReadOnAndOnWhileItsNeighbourWaitsIsReported) {
  wait(POLLIN, POLLIN);
  receive_to_the_bound(16384);
  EXPECT_EQ(laws(log_), "");
  receive(busy, 16384);
  EXPECT_EQ(laws(log_), "L2");
  EXPECT_NE(log_.kept().front().message.find("waits for its turn, descriptor 9 (1064960 bytes)"), std::string::npos);
}

TEST_F(WakeupAuditTest, L2_AFewLargeReadsStarveANeighbourAsManySmallOnesDo) {
  wait(POLLIN, POLLIN);
  receive_to_the_bound(WakeupAudit::turn_bytes_max / 2);
  EXPECT_EQ(laws(log_), "");
  receive(busy, 1);
  EXPECT_EQ(laws(log_), "L2");
}

TEST_F(WakeupAuditTest, L2_ATurnGoesOnBehindACallback) {
  wait(POLLIN, POLLIN);
  for (std::uint64_t bytes = 0; bytes <= WakeupAudit::turn_bytes_max; bytes += 65536) {
    receive(busy, 65536);
    audit_.entered(thread);
  }
  EXPECT_EQ(laws(log_), "L2");
}

TEST_F(WakeupAuditTest, L2_TheBytesOfATurnAreCountedAnewInTheNext) {
  for (int turn = 0; turn < 4; ++turn) {
    wait(POLLIN, POLLIN);
    receive_to_the_bound(65536);
    receive(neighbour, 1);
  }
  wait(POLLIN, POLLIN);
  receive_to_the_bound(65536);
  // What the loop is turned for before it waits again is nothing that the last wait has reported.
  audit_.turning(thread, &loop_, WakeupAudit::no_time);
  receive(busy, 65536);
  EXPECT_EQ(laws(log_), "");
}

TEST_F(WakeupAuditTest, L2_ALongReadIsSilentWhereNobodyWaitsOrTheNeighbourHasHadItsTurn) {
  wait(POLLIN, 0);
  receive_to_the_bound(16384);
  receive_to_the_bound(16384);
  wait(POLLIN, POLLIN);
  receive(neighbour, 1);
  receive_to_the_bound(16384);
  audit_.entered(thread);  // a callback has come in between
  receive_to_the_bound(16384);
  EXPECT_EQ(laws(log_), "");
}

}  // namespace
}  // namespace rig
