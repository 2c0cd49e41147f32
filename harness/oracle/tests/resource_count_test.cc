// What is given back, and what is queued within the bound, is passed over in silence; the neighbours are reported.
#include "harness/oracle/resource_count.h"

#include <gtest/gtest.h>

namespace rig {
namespace {

DoorCall call_of(DoorVerb verb, TlsLibrary library = TlsLibrary::gnutls) {
  static const int session = 0;
  DoorCall call;
  call.library = library;
  call.verb = verb;
  call.session = &session;
  return call;
}

TEST(SessionCountTest, SessionsThatAreFreedAreSilent) {
  SessionCount count;
  ViolationLog log;
  for (int i = 0; i < 3; ++i) {
    count.left(call_of(DoorVerb::create));
    count.left(call_of(DoorVerb::handshake));
    count.entering(call_of(DoorVerb::destroy));
  }
  count.given_back(log);
  EXPECT_EQ(log.count(), 0u);
}

TEST(SessionCountTest, R1_ASessionThatIsNeverFreedIsReportedForItsLibrary) {
  SessionCount count;
  ViolationLog log;
  count.left(call_of(DoorVerb::create, TlsLibrary::openssl));
  count.entering(call_of(DoorVerb::destroy, TlsLibrary::openssl));
  count.left(call_of(DoorVerb::create));
  count.left(call_of(DoorVerb::create));
  count.entering(call_of(DoorVerb::destroy));
  count.given_back(log);
  ASSERT_EQ(log.count(), 1u);
  EXPECT_EQ(log.kept()[0].law, Law::r1_resources);
  EXPECT_EQ(log.kept()[0].message, "of 2 sessions of GnuTLS that were made, 1 were never freed");
}

TEST(SessionCountTest, ASessionThatCouldNotBeMadeIsNone) {
  SessionCount count;
  ViolationLog log;
  DoorCall failed = call_of(DoorVerb::create);
  failed.session = nullptr;
  count.left(failed);
  count.given_back(log);
  EXPECT_EQ(log.count(), 0u);
}

TEST(QueueCountTest, AQueueAtItsBoundIsSilentAlsoWhileCallbacksAreDue) {
  ViolationLog log;
  QueueCount queue("client 0", {.ops = 4, .bytes = 400}, log);
  for (int op = 0; op < 9; ++op) {  // four in the queue, four whose callbacks are due, and one
    queue.pending(100);
  }
  EXPECT_EQ(log.count(), 0u);
  EXPECT_EQ(queue.most_ops(), 9u);
  for (int op = 0; op < 1000; ++op) {
    queue.completed(100, false);
    queue.pending(100);
  }
  EXPECT_EQ(log.count(), 0u);
}

TEST(QueueCountTest, R1_AQueueThatGrowsIsReportedOnce) {
  ViolationLog log;
  QueueCount queue("client 0", {.ops = 4, .bytes = 0}, log);
  for (int op = 0; op < 100; ++op) {
    queue.pending(100);
  }
  ASSERT_EQ(log.count(), 1u);
  EXPECT_EQ(log.kept()[0].message, "10 ops with 1000 bytes are queued, and the bounds are 4 ops and 0 bytes");
}

TEST(QueueCountTest, R1_BytesAreBoundedAsOpsAre) {
  ViolationLog log;
  QueueCount queue("client 0", {.ops = 0, .bytes = 1000}, log);
  for (int op = 0; op < 21; ++op) {
    EXPECT_EQ(log.count(), 0u);
    queue.pending(100);
  }
  queue.pending(0);  // adds nothing
  EXPECT_EQ(log.count(), 0u);
  queue.pending(100);
  EXPECT_EQ(log.count(), 1u);
}

TEST(QueueCountTest, AnOpLargerThanTheBoundIsAloneAndMayStillBeOwedWhenTheNextOneComes) {
  ViolationLog log;
  QueueCount queue("client 0", {.ops = 0, .bytes = 2}, log);
  queue.pending(431);
  queue.pending(100);
  queue.pending(431);
  EXPECT_EQ(log.count(), 0u);
  queue.pending(431);
  EXPECT_EQ(log.count(), 1u);
}

TEST(QueueCountTest, WithoutABoundOrAfterAFailureNothingIsJudged) {
  ViolationLog log;
  QueueCount unbounded("client 0", {}, log);
  QueueCount failed("client 1", {.ops = 1, .bytes = 1}, log);
  failed.completed(0, true);
  for (int op = 0; op < 100; ++op) {
    unbounded.pending(100);
    failed.pending(100);
  }
  EXPECT_EQ(log.count(), 0u);
}

TEST(QueueCountTest, R1_WhatASocketHoldsBeyondItsEndIsReported) {
  ViolationLog log;
  QueueCount queue("server 1", {}, log);
  queue.closed(0, 0);
  EXPECT_EQ(log.count(), 0u);
  queue.closed(2, 512);
  ASSERT_EQ(log.count(), 1u);
  EXPECT_EQ(log.kept()[0].where, "server 1");
}

TEST(DescriptorCountTest, R1_MoreThanAtTheBeginningIsReportedAndFewerIsNot) {
  ViolationLog log;
  judge_descriptors(7, 7, log);
  judge_descriptors(7, 5, log);
  EXPECT_EQ(log.count(), 0u);
  judge_descriptors(7, 9, log);
  ASSERT_EQ(log.count(), 1u);
  EXPECT_EQ(log.kept()[0].message, "2 descriptors are open that were not at the beginning");
}

}  // namespace
}  // namespace rig
