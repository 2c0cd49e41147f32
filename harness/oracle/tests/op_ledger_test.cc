#include "harness/oracle/op_ledger.h"

#include <gtest/gtest.h>

#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace rig {
namespace {

using Answer = OpLedger::Answer;
using Order = OpLedger::Order;

class OpLedgerTest : public testing::Test {
 protected:
  void SetUp() override { ledger_.callback("connected"); }
  void pend(std::uint64_t token, std::size_t bytes = 100) {
    ledger_.issue(token, bytes);
    ledger_.answered(token, Answer::pending);
  }
  void done(std::uint64_t token, std::size_t bytes = 100) { ledger_.completed(token, bytes, std::nullopt); }
  void fail(std::uint64_t token, Code code = Code::reset, std::size_t bytes = 0) {
    ledger_.completed(token, bytes, Error(code));
  }
  // elsewhere runs a callback on the loop's thread, while a send of this thread is under way.
  template <class Call>
  void elsewhere(Call call) {
    std::thread(call).join();
  }
  // laws are the names of what was reported, in order: "C1 C3".
  std::string laws() const {
    std::string text;
    for (const Violation& violation : log_.kept()) {
      text += (text.empty() ? "" : " ") + std::string(law_name(violation.law));
    }
    return text;
  }
  std::string message(std::size_t index = 0) const {
    return index < log_.kept().size() ? log_.kept()[index].message : "";
  }

  ViolationLog log_;
  OpLedger ledger_{"client 2", Order::promised, log_};
};

TEST_F(OpLedgerTest, AnOrderlyLifeIsSilentAndCounted) {
  pend(1);
  pend(2, 50);
  ledger_.issue(3, 10);
  ledger_.answered(3, Answer::completed);
  ledger_.issue(4, 10);
  ledger_.answered(4, Answer::refused);
  EXPECT_EQ(ledger_.pending(), 2u);
  done(1);
  ledger_.callback("data");
  ledger_.callback("ended");
  fail(2, Code::aborted);
  ledger_.closed();
  ledger_.quiet();
  EXPECT_EQ(laws(), "");
  const OpLedger::Totals totals = ledger_.totals();
  EXPECT_EQ(totals.issued, 4u);
  EXPECT_EQ(totals.completed_at_once, 1u);
  EXPECT_EQ(totals.went_pending, 2u);
  EXPECT_EQ(totals.refused, 1u);
  EXPECT_EQ(totals.callbacks, 2u);
  EXPECT_EQ(totals.failed, 1u);
  EXPECT_EQ(totals.completed_bytes, 110u);
  EXPECT_EQ(ledger_.pending(), 0u);
}

// C1

TEST_F(OpLedgerTest, C1PendingWhenClosedCame) {
  pend(7, 64);
  pend(8);
  pend(9);
  done(7, 64);
  ledger_.closed();
  ASSERT_EQ(laws(), "C1");
  EXPECT_EQ(message(),
            "2 of 3 pending ops had not completed when closed came; the first of them is op 8 of 100 bytes.");
  EXPECT_EQ(log_.kept()[0].where, "client 2");
  ledger_.quiet();
  EXPECT_EQ(laws(), "C1") << "what closed() has reported, quiet() does not repeat";
}

TEST_F(OpLedgerTest, C1NeverCompletedAtTheEnd) {
  pend(5);
  ledger_.quiet();
  EXPECT_EQ(laws(), "C1 C6");
}

TEST_F(OpLedgerTest, C1CompletedTwice) {
  pend(5);
  done(5);
  done(5);
  ASSERT_EQ(laws(), "C1");
  EXPECT_EQ(message(), "op 5 of 100 bytes completed by callback 2 times.");
  EXPECT_EQ(ledger_.pending(), 0u);
}

TEST_F(OpLedgerTest, C1UnknownToken) {
  pend(5);
  done(6);
  ASSERT_EQ(laws(), "C1");
  EXPECT_EQ(message(), "sent was called with token 6 (100 bytes), which was never issued.");
}

TEST_F(OpLedgerTest, C1PendingAfterClosed) {
  ledger_.issue(5, 1);
  ledger_.closed();
  EXPECT_EQ(laws(), "") << "a send that has not returned is not judged";
  ledger_.answered(5, Answer::pending);
  EXPECT_EQ(laws(), "C1");
  ledger_.quiet();
  EXPECT_EQ(laws(), "C1");
}

TEST_F(OpLedgerTest, C1DualRefusedAfterClosed) {
  ledger_.issue(5, 1);
  ledger_.closed();
  ledger_.answered(5, Answer::refused);
  ledger_.quiet();
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C1DualCompletedBeforeSendReturnedAndClosedBetween) {
  ledger_.issue(5, 1);
  elsewhere([&] {
    fail(5, Code::aborted);
    ledger_.closed();
  });
  ledger_.answered(5, Answer::pending);
  ledger_.quiet();
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C1AnOpWithoutBytesCompletesToo) {
  pend(5, 0);
  ledger_.closed();
  EXPECT_EQ(laws(), "C1");
}

TEST_F(OpLedgerTest, C1DualAnOpWithoutBytesThatCompletes) {
  pend(5, 0);
  done(5, 0);
  ledger_.closed();
  ledger_.quiet();
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C1ConnectedAndEndedComeOnce) {
  ledger_.callback("ended");
  ledger_.callback("data");
  ledger_.callback("data");
  ledger_.callback("writable");
  ledger_.callback("writable");
  EXPECT_EQ(laws(), "");
  ledger_.callback("connected");
  ledger_.callback("ended");
  ASSERT_EQ(laws(), "C1 C1");
  EXPECT_EQ(message(), "connected was called a second time.");
}

// C2

TEST_F(OpLedgerTest, C2CallbackAfterAFinalAnswer) {
  ledger_.issue(1, 10);
  ledger_.answered(1, Answer::completed);
  ledger_.issue(2, 10);
  ledger_.answered(2, Answer::refused);
  done(1, 10);
  fail(2);
  ASSERT_EQ(laws(), "C2 C2");
  EXPECT_EQ(message(0), "sent was called for op 1, which send had answered as completed.");
  EXPECT_EQ(message(1), "sent was called for op 2, which send had answered as refused.");
}

TEST_F(OpLedgerTest, C2CallbackBeforeAFinalAnswer) {
  ledger_.issue(1, 10);
  elsewhere([&] { done(1, 10); });
  EXPECT_EQ(laws(), "");
  ledger_.answered(1, Answer::completed);
  EXPECT_EQ(laws(), "C2");
  EXPECT_EQ(message(), "send answered completed for op 1, which had completed by callback already.");
  EXPECT_EQ(ledger_.totals().completed_bytes, 10u) << "the op's bytes count once";
}

TEST_F(OpLedgerTest, C2DualCallbackBeforeAPendingAnswerOnAnotherThread) {
  ledger_.issue(1, 10);
  elsewhere([&] { done(1, 10); });
  ledger_.answered(1, Answer::pending);
  ledger_.closed();
  ledger_.quiet();
  EXPECT_EQ(laws(), "");
  EXPECT_EQ(ledger_.pending(), 0u);
}

TEST_F(OpLedgerTest, C2CallbackInsideItsOwnSend) {
  ledger_.issue(1, 10);
  done(1, 10);
  ledger_.answered(1, Answer::pending);
  ASSERT_EQ(laws(), "C2");
  EXPECT_EQ(message(), "op 1 completed by callback inside its own send(), before the caller had an answer.");
}

// C3

TEST_F(OpLedgerTest, C3CallbacksAfterClosed) {
  ledger_.closed();
  ledger_.callback("data");
  ledger_.callback("writable");
  ledger_.closed();
  ASSERT_EQ(laws(), "C3 C3 C3");
  EXPECT_EQ(message(0), "data was called after closed.");
  EXPECT_EQ(message(2), "closed was called again after closed.");
}

TEST_F(OpLedgerTest, C3CompletionAfterClosedIsC1WhenClosedCameAndC3WhenItCame) {
  pend(1);
  ledger_.closed();
  fail(1, Code::aborted);
  ledger_.quiet();
  ASSERT_EQ(laws(), "C1 C3");
  EXPECT_EQ(message(1), "sent was called for op 1 after closed.");
}

TEST_F(OpLedgerTest, C3DualCallbacksBeforeClosed) {
  ledger_.callback("data");
  ledger_.callback("writable");
  ledger_.closed();
  EXPECT_EQ(laws(), "");
}

TEST(OpLedgerEarlyTest, C3NothingComesBeforeConnected) {
  ViolationLog log;
  OpLedger ledger("client 0", Order::promised, log);
  ledger.callback("data");
  ledger.callback("ended");
  ledger.issue(1, 100);
  ledger.answered(1, Answer::pending);
  ledger.completed(1, 100, std::nullopt);
  ledger.callback("connected");
  ASSERT_EQ(log.count(), 3u);
  for (const Violation& violation : log.kept()) {
    EXPECT_EQ(violation.law, Law::c3_nothing_after_closed);
  }
  EXPECT_EQ(log.kept()[0].message, "data was called before connected.");
  EXPECT_EQ(log.kept()[2].message, "op 1 was reported as sent before connected.");
}

TEST(OpLedgerEarlyTest, C3DualOpsThatFailWithTheConnect) {
  ViolationLog log;
  OpLedger ledger("client 0", Order::promised, log);
  ledger.issue(1, 100);
  ledger.answered(1, Answer::pending);
  ledger.issue(2, 100);
  ledger.answered(2, Answer::refused);
  ledger.callback("writable");
  ledger.completed(1, 0, Error(Code::refused));
  ledger.callback("connected");
  ledger.closed();
  EXPECT_EQ(log.count(), 0u);
}

// C4

TEST_F(OpLedgerTest, C4ALaterOpCompletesFirst) {
  pend(1);
  pend(2);
  pend(3);
  done(3);
  EXPECT_EQ(laws(), "") << "the ones before it may yet be lost, which is C1";
  done(1);
  ASSERT_EQ(laws(), "C4");
  EXPECT_EQ(message(), "op 1 completed after op 3, but send had answered it before op 3 was issued.");
  done(2);
  pend(4);
  done(4);
  EXPECT_EQ(laws(), "C4") << "one completion that came too early is one report";
}

TEST_F(OpLedgerTest, C4DualALostCompletionIsC1Alone) {
  pend(1);
  pend(2);
  done(2);
  ledger_.closed();
  EXPECT_EQ(laws(), "C1");
}

TEST_F(OpLedgerTest, C4TwoSwapsAreTwoReports) {
  for (std::uint64_t token = 1; token <= 4; ++token) {
    pend(token);
  }
  for (const std::uint64_t token : {2, 1, 4, 3}) {
    done(token);
  }
  EXPECT_EQ(laws(), "C4 C4");
}

TEST_F(OpLedgerTest, C4DualSendersSideBySideHaveNoOrder) {
  ledger_.issue(1, 100);
  ledger_.issue(2, 100);
  ledger_.answered(1, Answer::pending);
  ledger_.answered(2, Answer::pending);
  done(2);
  done(1);
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C4DualAnOpCompletedAtOnceMayPassAPendingOne) {
  pend(1);
  ledger_.issue(2, 100);
  ledger_.answered(2, Answer::completed);
  done(1);
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C4ACallbackBeforeTheAnswerTakesPartInTheOrder) {
  pend(1);
  ledger_.issue(2, 100);
  elsewhere([&] { done(2); });
  ledger_.answered(2, Answer::pending);
  done(1);
  EXPECT_EQ(laws(), "C4");
}

TEST_F(OpLedgerTest, C4DualFailuresInOrder) {
  pend(1);
  pend(2);
  fail(1);
  fail(2);
  EXPECT_EQ(laws(), "");
}

TEST(OpLedgerFreeOrderTest, C4IsNotAskedWhereOrderIsNotPromised) {
  ViolationLog log;
  OpLedger ledger("server 0", Order::free, log);
  ledger.callback("connected");
  for (const std::uint64_t token : {1, 2}) {
    ledger.issue(token, 5);
    ledger.answered(token, Answer::pending);
  }
  ledger.completed(2, 5, std::nullopt);
  ledger.completed(1, 5, std::nullopt);
  EXPECT_EQ(log.count(), 0u);
}

TEST(OpLedgerFreeOrderTest, C5DualWithoutAPromiseASuccessMayBeToldAfterALaterOpsFailure) {
  ViolationLog log;
  OpLedger ledger("server 0", Order::free, log);
  ledger.callback("connected");
  for (const std::uint64_t token : {1, 2}) {
    ledger.issue(token, 5);
    ledger.answered(token, Answer::pending);
  }
  ledger.completed(1, 0, Error(Code::reset));
  ledger.completed(2, 5, std::nullopt);
  EXPECT_EQ(log.count(), 0u);
  ledger.issue(3, 5);
  ledger.answered(3, Answer::pending);
  ledger.completed(3, 5, std::nullopt);
  ASSERT_EQ(log.count(), 1u) << "issued after the failure was told, it cannot succeed in any order";
  EXPECT_EQ(log.kept()[0].law, Law::c5_status_and_bytes);
}

// C5

TEST_F(OpLedgerTest, C5SuccessWithAnotherLength) {
  pend(1);
  pend(2);
  pend(3, 0);
  done(1, 99);
  done(2, 101);
  done(3, 1);
  ASSERT_EQ(laws(), "C5 C5 C5");
  EXPECT_EQ(message(), "op 1 completed with 99 bytes, but 100 were issued.");
}

TEST_F(OpLedgerTest, C5DualAFailureMaySayHowFarItCame) {
  pend(1);
  pend(2);
  fail(1, Code::reset, 100);
  fail(2, Code::reset, 17);
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C5AFailureWithMoreThanWasIssued) {
  pend(1);
  fail(1, Code::reset, 101);
  ASSERT_EQ(laws(), "C5");
  EXPECT_EQ(message(), "op 1 failed (reset) with 101 bytes, but only 100 were issued.");
}

TEST_F(OpLedgerTest, C5SuccessBehindAFailedOp) {
  pend(1);
  pend(2);
  pend(3);
  fail(1);
  done(2);
  fail(3);
  ASSERT_EQ(laws(), "C5");
  EXPECT_EQ(message(),
            "op 2 of 100 bytes is reported as sent, but op 1, which comes before it in the stream, failed (reset).");
}

TEST_F(OpLedgerTest, C5SuccessAtOnceAfterAFailure) {
  pend(1);
  fail(1, Code::aborted);
  ledger_.issue(2, 1);
  ledger_.answered(2, Answer::completed);
  EXPECT_EQ(laws(), "C5");
}

TEST_F(OpLedgerTest, C5SuccessAtOnceAfterClosed) {
  ledger_.closed();
  ledger_.issue(2, 1);
  ledger_.answered(2, Answer::completed);
  ASSERT_EQ(laws(), "C5");
  EXPECT_EQ(message(), "send reported op 2 of 1 bytes as completed, but it was issued after closed.");
}

TEST_F(OpLedgerTest, C5DualIssuedBeforeClosedAndAnsweredAfterIt) {
  ledger_.issue(2, 1);
  elsewhere([&] { ledger_.closed(); });
  ledger_.answered(2, Answer::completed);
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C5DualFailuresAfterAReset) {
  pend(1);
  pend(2);
  fail(1);
  fail(2, Code::aborted);
  pend(3);
  fail(3, Code::closed);
  ledger_.closed();
  ledger_.quiet();
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C5DualSuccessSideBySideWithTheFailedOp) {
  ledger_.issue(1, 100);
  ledger_.issue(2, 100);
  ledger_.answered(1, Answer::pending);
  ledger_.answered(2, Answer::pending);
  fail(1);
  done(2);
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C5DualAFailureThatLeavesTheStreamWhole) {
  pend(1);
  fail(1, Code::no_memory);
  pend(2);
  done(2);
  EXPECT_EQ(laws(), "");
}

TEST_F(OpLedgerTest, C5DualAnOpWithoutBytesMaySucceedAfterAFailure) {
  pend(1);
  fail(1);
  pend(2, 0);
  done(2, 0);
  EXPECT_EQ(laws(), "");
}

// C6

TEST_F(OpLedgerTest, C6ClosedNeverCame) {
  ledger_.quiet();
  ASSERT_EQ(laws(), "C6");
  EXPECT_EQ(message(), "closed never came; 0 op(s) were still pending.");
}

// Two senders and a loop that completes in the order in which it took the ops, under one lock, as a socket layer does.
TEST_F(OpLedgerTest, TwoSendersAndALoopAtOnceAreSilent) {
  constexpr std::uint64_t ops_per_sender = 2000;
  std::mutex mutex;
  std::deque<std::uint64_t> queue;
  std::vector<std::thread> senders;
  for (std::uint64_t sender = 0; sender < 2; ++sender) {
    senders.emplace_back([&, sender] {
      for (std::uint64_t i = 0; i < ops_per_sender; ++i) {
        const std::uint64_t token = sender * ops_per_sender + i;
        ledger_.issue(token, 10);
        {
          const std::lock_guard lock(mutex);
          queue.push_back(token);
        }
        ledger_.answered(token, Answer::pending);
      }
    });
  }
  for (std::uint64_t completed = 0; completed < 2 * ops_per_sender;) {
    std::optional<std::uint64_t> token;
    {
      const std::lock_guard lock(mutex);
      if (!queue.empty()) {
        token = queue.front();
        queue.pop_front();
      }
    }
    if (token.has_value()) {
      done(*token, 10);
      ++completed;
    }
  }
  for (auto& sender : senders) {
    sender.join();
  }
  ledger_.closed();
  ledger_.quiet();
  EXPECT_EQ(laws(), "") << message();
  EXPECT_EQ(ledger_.totals().went_pending, 2 * ops_per_sender);
  EXPECT_EQ(ledger_.totals().callbacks, 2 * ops_per_sender);
}

}  // namespace
}  // namespace rig
