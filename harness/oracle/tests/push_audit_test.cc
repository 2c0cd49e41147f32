// PushAudit: what the system may hold back for an op with `more`, and for no other.
#include "harness/oracle/push_audit.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace rig {
namespace {

class PushAuditTest : public testing::Test {
 protected:
  void done_at_once(bool more) {
    audit_.issues(more);
    audit_.answered(more, true, false);
  }
  bool broken() const { return audit_.holds() && !audit_.may_hold(); }

  PushAudit audit_;
};

TEST_F(PushAuditTest, L3_AnOpWithoutMoreWhoseSendSaysThatMoreFollowsIsHeldBack) {
  audit_.issues(false);
  audit_.sent(true, 10, 10);
  EXPECT_FALSE(broken());  // it is still under way
  audit_.answered(false, true, true);
  EXPECT_FALSE(broken());
  audit_.completed();
  EXPECT_TRUE(broken());
}

TEST_F(PushAuditTest, L3_ACorkedSocketHoldsBackWhateverIsSent) {
  audit_.optioned(IPPROTO_TCP, TCP_CORK, 1);
  audit_.sent(false, 10, 10);
  done_at_once(false);
  EXPECT_TRUE(broken());
}

TEST_F(PushAuditTest, IsSilentWhereMoreWasSaidAndWhereTheLastSendPushes) {
  audit_.sent(true, 10, 10);
  done_at_once(true);
  EXPECT_TRUE(audit_.holds());
  EXPECT_FALSE(broken());
  audit_.sent(false, 10, 10);
  done_at_once(false);
  EXPECT_FALSE(broken());
}

TEST_F(PushAuditTest, IsSilentAfterAPushOfWhateverKind) {
  const auto held = [&] {
    audit_.sent(true, 10, 10);
    done_at_once(false);
    return broken();
  };
  EXPECT_TRUE(held());
  audit_.optioned(IPPROTO_TCP, TCP_NODELAY, 1);
  EXPECT_FALSE(broken());
  EXPECT_TRUE(held());
  audit_.optioned(IPPROTO_TCP, TCP_CORK, 0);
  EXPECT_FALSE(broken());
  EXPECT_TRUE(held());
  audit_.ended();
  EXPECT_FALSE(broken());
  audit_.sent(true, 10, 4);  // the system had no room: what it took is on its way
  EXPECT_FALSE(broken());
  EXPECT_TRUE(held());
  audit_.optioned(SOL_SOCKET, TCP_NODELAY, 1);  // another option of that number
  audit_.optioned(IPPROTO_TCP, TCP_NODELAY, 0);
  EXPECT_TRUE(broken());
}

TEST_F(PushAuditTest, ARefusedOpIsNoneAndOneThatIsUnderWayMayPushTheOthers) {
  audit_.sent(true, 10, 10);
  done_at_once(true);
  audit_.issues(false);
  audit_.answered(false, false, false);
  EXPECT_FALSE(broken());  // the last that was accepted says that more follows
  audit_.issues(false);
  audit_.answered(false, true, true);
  EXPECT_FALSE(broken());
  audit_.completed();
  EXPECT_TRUE(broken());
}

TEST_F(PushAuditTest, IsSilentWhereOpsWithMoreWereIssuedSideBySideWithOthers) {
  audit_.issues(true);
  audit_.issues(false);
  audit_.sent(true, 10, 10);
  audit_.answered(true, true, false);
  audit_.answered(false, true, false);
  EXPECT_FALSE(broken());
}

}  // namespace
}  // namespace rig
