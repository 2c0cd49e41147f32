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
  DescriptorAudit::Use use(const char* function, bool refused = false, const void* session = nullptr) {
    return {.descriptor = 7, .function = function, .caller = at(++site_), .refused = refused, .session = session};
  }

  ViolationLog log_;
  DescriptorAudit audit_{log_};
  std::uintptr_t site_ = 100;
};

TEST_F(DescriptorAuditTest, F1_ASocketThatIsClosedTwiceIsReported) {
  audit_.opened(7);
  audit_.closed(use("close"));
  EXPECT_EQ(laws(log_), "");
  audit_.closed(use("close", true));
  EXPECT_EQ(laws(log_), "F1");
  EXPECT_EQ(log_.kept().front().where, "descriptor 7");
  EXPECT_EQ(log_.kept().front().message.find("it is closed twice: first in "), 0u);
}

TEST_F(DescriptorAuditTest, F1_AClosedSocketThatIsUsedIsReported) {
  audit_.opened(7);
  audit_.closed(use("close"));
  audit_.used(use("recv", true));
  EXPECT_EQ(laws(log_), "F1");
}

TEST_F(DescriptorAuditTest, F1_IsSilentAboutWhatWasNeverASocketAndAboutANumberThatIsInUseAgain) {
  audit_.closed(use("close", true));
  audit_.closed(use("close"));
  audit_.closed(use("close", true));
  audit_.used(use("read", true));
  audit_.opened(7);
  audit_.closed(use("close"));
  audit_.opened(7);
  audit_.used(use("recv"));
  audit_.closed(use("close"));
  audit_.replaced(7);
  audit_.closed(use("close", true));
  audit_.closed({.descriptor = -1, .refused = true});
  audit_.closed({.descriptor = DescriptorAudit::descriptors_max, .refused = true});
  EXPECT_EQ(laws(log_), "");
}

TEST_F(DescriptorAuditTest, F1_ASessionThatWritesToAnotherSocketWithItsNumberIsReported) {
  audit_.opened(7);
  audit_.used(use("write", false, at(1)));
  audit_.closed(use("close"));
  audit_.opened(7);
  audit_.used(use("write", false, at(1)));
  EXPECT_EQ(laws(log_), "F1");
}

TEST_F(DescriptorAuditTest, F1_ANewSessionOnThatNumberIsSilent) {
  audit_.opened(7);
  audit_.used(use("write", false, at(1)));
  audit_.closed(use("close"));
  audit_.forgotten(at(1));
  audit_.opened(7);
  audit_.used(use("write", false, at(1)));
  audit_.used(use("write", false, at(2)));
  EXPECT_EQ(laws(log_), "");
}

TEST_F(DescriptorAuditTest, P1_AWriteThatKillsIsReported) {
  audit_.opened(7);
  audit_.killed(use("write"));
  EXPECT_EQ(laws(log_), "P1");
  EXPECT_EQ(log_.kept().front().message.find("write to a connection that is gone raises SIGPIPE"), 0u);
}

}  // namespace
}  // namespace rig
