// OpenSSL keeps errors per thread: what another connection, or the app, left there is none of this one's. And it is the
// library that renegotiates.
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

rig_status renegotiate(Ends& ends, rig_socket* socket) {
  return ends.subject.renegotiate(socket, nullptr);
}

TEST(OpensslRenegotiation, either_side_asks_and_both_count) {
  Ends ends("openssl", true);
  ASSERT_EQ(ends.handshakes(ends.client), 1U);
  for (rig_socket* const starter : {ends.client, ends.server}) {
    const std::uint32_t before = ends.handshakes(starter);
    ASSERT_EQ(renegotiate(ends, starter), RIG_OK);
    EXPECT_EQ(renegotiate(ends, starter), RIG_INVALID_STATE) << "one is under way";
    ends.until([&] { return ends.handshakes(ends.client) > before && ends.handshakes(ends.server) > before; });
  }
  EXPECT_EQ(ends.handshakes(ends.client), 3U);
  EXPECT_EQ(ends.closed, 0);
}

TEST(OpensslRenegotiation, goes_through_full_queues_of_both_sides) {
  Ends ends("openssl", true);
  const std::vector<std::uint8_t> much(64 * 1024);
  for (rig_socket* const socket : {ends.client, ends.server}) {
    ends.subject.pause(socket, nullptr);
    rig_send_result result = RIG_SEND_COMPLETED;
    for (std::uint64_t token = 0; token < 1000 && result == RIG_SEND_COMPLETED; ++token) {
      result = ends.subject.send(socket, token, much.data(), much.size(), 0, nullptr);
    }
    ASSERT_EQ(result, RIG_SEND_PENDING);
    ASSERT_EQ(ends.subject.send(socket, 1000, much.data(), much.size(), 0, nullptr), RIG_SEND_PENDING);
  }
  ASSERT_EQ(renegotiate(ends, ends.client), RIG_OK);
  ASSERT_EQ(ends.subject.loop_turn(ends.loop, 0, nullptr), RIG_OK);
  EXPECT_EQ(ends.handshakes(ends.server), 1U) << "behind the write that is under way";
  ends.subject.resume(ends.client, nullptr);
  ends.subject.resume(ends.server, nullptr);
  ends.until([&] { return ends.handshakes(ends.client) == 2 && ends.handshakes(ends.server) == 2; });
  EXPECT_EQ(ends.closed, 0);
}

TEST(OpensslRenegotiation, is_refused_where_it_cannot_be) {
  Ends without("openssl");
  EXPECT_EQ(renegotiate(without, without.client), RIG_UNSUPPORTED);
  Ends newer("openssl", true, RIG_TLS_1_3);
  EXPECT_EQ(renegotiate(newer, newer.server), RIG_UNSUPPORTED);
  Ends ends("openssl", true);
  ends.subject.close(ends.server, RIG_CLOSE_GRACEFUL, nullptr);
  EXPECT_EQ(renegotiate(ends, ends.server), RIG_CLOSED);
  ends.until([&ends] { return ends.ended == 1; });
  EXPECT_EQ(renegotiate(ends, ends.client), RIG_INVALID_STATE) << "nobody would answer";
}

}  // namespace
}  // namespace rig::direct
