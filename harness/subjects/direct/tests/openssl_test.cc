// OpenSSL keeps errors per thread: what another connection, or the app, left there is none of this one's.
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <vector>

#include "harness/subjects/direct/tests/ends.h"

namespace rig::direct {
namespace {

// leave_an_entry does what code does that fails and does not clear.
void leave_an_entry() {
  ERR_clear_error();
  ERR_raise(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT);
}

TEST(OpensslQueue, a_strangers_entry_fails_no_read_that_has_nothing_to_read) {
  Ends ends("openssl");
  leave_an_entry();
  ends.subject.resume(ends.client, nullptr);
  ASSERT_EQ(ends.subject.loop_turn(ends.loop, 0, nullptr), RIG_OK);
  EXPECT_EQ(ERR_peek_error(), 0U) << "nothing was read at all";
  EXPECT_EQ(ends.closed, 0);
}

TEST(OpensslQueue, a_strangers_entry_fails_no_send_that_is_blocked) {
  Ends ends("openssl");
  ends.subject.pause(ends.server, nullptr);
  const std::vector<std::uint8_t> much(64 * 1024);
  rig_send_result result = RIG_SEND_COMPLETED;
  for (std::uint64_t token = 0; token < 1000 && result == RIG_SEND_COMPLETED; ++token) {
    leave_an_entry();
    result = ends.subject.send(ends.client, token, much.data(), much.size(), 0, nullptr);
  }
  ASSERT_EQ(result, RIG_SEND_PENDING);
  ASSERT_EQ(ends.subject.loop_turn(ends.loop, 0, nullptr), RIG_OK);
  EXPECT_EQ(ends.closed, 0);
}

TEST(OpensslQueue, a_connection_that_fails_leaves_no_entry) {
  Ends ends("openssl");
  ends.subject.close(ends.server, RIG_CLOSE_ABORT, nullptr);
  ends.until([&ends] { return ends.closed == 2; });
  EXPECT_EQ(ends.reset, 1);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

}  // namespace
}  // namespace rig::direct
