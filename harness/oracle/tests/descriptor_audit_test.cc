// F1 and P1 at the kernel door: each with the defect that it must report and the neighbour that it must let pass.
#include "harness/oracle/descriptor_audit.h"

#include <gtest/gtest.h>

#include <string>

#include "harness/oracle/tests/door_events.h"

namespace rig {
namespace {

using namespace test;

class DescriptorAuditTest : public testing::Test {
 protected:
  static constexpr int number = 7;

  DescriptorAudit::Use use(const char* function, bool refused = false, const void* session = nullptr) {
    return {.descriptor = number, .function = function, .caller = at(++site_), .refused = refused, .session = session};
  }
  void open(DescriptorOwner owner = DescriptorOwner::judged) { audit_.opened(use("socket"), true, owner); }
  // close is a close as the kernel door tells of it: before it, and that it was refused.
  void close(bool refused = false) {
    const bool first = audit_.closing(use("close"));
    if (refused && !first) {
      audit_.close_refused(use("close", true));
    }
  }

  // report is a wait of thread 0 that reports the descriptor.
  void report() {
    const int reported[] = {number};
    audit_.collected(0, reported);
  }
  DescriptorAudit::Use receive() {
    DescriptorAudit::Use made = use("recv");
    made.thread = 0;
    made.moves = true;
    return made;
  }

  ViolationLog log_;
  DescriptorAudit audit_{log_};
  std::uintptr_t site_ = 100;
};

TEST_F(DescriptorAuditTest, F1_ASocketThatIsClosedTwiceIsReported) {
  open();
  close();
  EXPECT_EQ(laws(log_), "");
  close(true);
  EXPECT_EQ(laws(log_), "F1");
  EXPECT_EQ(log_.kept().front().where, "descriptor 7");
  EXPECT_EQ(log_.kept().front().message.find("it is closed twice: first in "), 0u);
}

TEST_F(DescriptorAuditTest, F1_AClosedSocketThatIsUsedIsReported) {
  open();
  close();
  audit_.used(use("recv", true));
  EXPECT_EQ(laws(log_), "F1");
}

TEST_F(DescriptorAuditTest, F1_IsSilentAboutWhatWasNeverASocketAndAboutANumberThatIsInUseAgain) {
  close(true);
  close();
  close(true);
  audit_.used(use("read", true));
  open();
  close();
  open();
  audit_.used(use("recv"));
  close();
  audit_.replaced(number);
  close(true);
  audit_.close_refused({.descriptor = -1, .refused = true});
  audit_.close_refused({.descriptor = DescriptorTable<int>::descriptors_max, .refused = true});
  EXPECT_EQ(laws(log_), "");
}

TEST_F(DescriptorAuditTest, F1_ASessionThatWritesToAnotherSocketWithItsNumberIsReported) {
  open();
  audit_.used(use("write", false, at(1)));
  close();
  open();
  audit_.used(use("write", false, at(1)));
  EXPECT_EQ(laws(log_), "F1");
}

TEST_F(DescriptorAuditTest, F1_ANewSessionOnThatNumberIsSilent) {
  open();
  audit_.used(use("write", false, at(1)));
  close();
  audit_.forgotten(at(1));
  open();
  audit_.used(use("write", false, at(1)));
  audit_.used(use("write", false, at(2)));
  EXPECT_EQ(laws(log_), "");
}

TEST_F(DescriptorAuditTest, F1_AnEventOfTheOldOwnerThatIsActedUponIsReported) {
  open();
  report();
  close();
  open();
  audit_.connecting(number);
  EXPECT_EQ(laws(log_), "");
  audit_.used(receive());
  EXPECT_EQ(laws(log_), "F1");
  EXPECT_EQ(log_.kept().front().message.find("it is connecting still, and used by a thread that has an event of the "
                                             "old owner of its number at hand: closed in "),
            0u);
}

TEST_F(DescriptorAuditTest, F1_IsSilentAboutTheNewOwnersOwnEventsAndAboutWhatIsConnected) {
  open();
  report();
  close();
  open();  // it is accepted, or connected at once: it may be used right away
  audit_.used(receive());
  close();
  open();
  audit_.connecting(number);
  DescriptorAudit::Use elsewhere = receive();
  elsewhere.thread = 1;  // which has no event of the old owner
  audit_.used(elsewhere);
  audit_.used(use("getsockopt"));
  report();
  audit_.used(receive());
  EXPECT_EQ(laws(log_), "");
}

TEST_F(DescriptorAuditTest, F1_SomebodyElsesDescriptorIsReportedWhetherTheSystemAllowsItOrNot) {
  open(DescriptorOwner::other);
  audit_.used(use("send"));
  EXPECT_EQ(laws(log_), "F1");
  close();
  EXPECT_EQ(laws(log_), "F1 F1");
}

TEST_F(DescriptorAuditTest, F1_IsSilentAboutOnesOwnOnANumberThatWasSomebodyElses) {
  open(DescriptorOwner::other);
  audit_.closing(use("close"), DescriptorOwner::other);
  open();
  audit_.used(use("send"));
  close();
  audit_.finish();
  EXPECT_EQ(laws(log_), "");
}

TEST_F(DescriptorAuditTest, F1_WhatIsNeverClosedIsReportedAtTheEndAndWhatIsSomebodyElsesIsNot) {
  open(DescriptorOwner::other);
  audit_.finish();
  EXPECT_EQ(laws(log_), "");
  open();
  audit_.finish();
  EXPECT_EQ(laws(log_), "F1");
  EXPECT_EQ(log_.kept().front().message.find("it was never closed; socket called from "), 0u);
}

TEST_F(DescriptorAuditTest, F1_Descriptor0IsADescriptor) {
  audit_.opened({.descriptor = 0, .function = "socket", .caller = at(1)}, true);
  EXPECT_TRUE(audit_.is_socket(0));
  audit_.finish();
  EXPECT_EQ(laws(log_), "F1");
}

TEST_F(DescriptorAuditTest, P1_AWriteThatKillsIsReported) {
  open();
  audit_.killed(use("write"));
  EXPECT_EQ(laws(log_), "P1");
  EXPECT_EQ(log_.kept().front().message.find("write to a connection that is gone raises SIGPIPE"), 0u);
}

}  // namespace
}  // namespace rig
