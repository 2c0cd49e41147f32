// From the beginning of a connection to the end of its handshake, over doubles: each way in which it can fail arrives
// as one connected(error), behind the ops that were queued, and then as closed.
#include <gtest/gtest.h>

#include "harness/socket/tests/layer_fixture.h"

namespace rig {
namespace {

using namespace test;

enum class At : std::uint8_t { connecting, handshaking };

// Each failure is met at both stages.
class tls_socket_connect : public testing::TestWithParam<At> {
 protected:
  // begin is a client at the stage, with an op and an empty op queued.
  DoubleEnd& begin(const SocketConfig& config = {}) {
    DoubleEnd& end = doubles_.make(Role::client, config);
    end.engine->flights = 2;
    if (GetParam() == At::connecting) {
      end.wire->connected = std::unexpected(Error(Code::would_block, "in progress"));
    }
    EXPECT_TRUE(end.socket->start(&end.events));
    if (queue_ops_) {
      EXPECT_EQ(end.send(1, ""), SendOutcome::pending);
      EXPECT_EQ(end.send(2, "x"), SendOutcome::pending);
    }
    doubles_.turn();
    const LoopCounts counts = doubles_.loop->counts();
    EXPECT_EQ(GetParam() == At::connecting ? counts.connecting : counts.handshaking, 1U);
    EXPECT_EQ(end.events.log, Log{});
    return end;
  }
  // go_on lets the connection come to its end.
  void go_on(DoubleEnd& end) {
    end.wire->connected = {};
    end.wire->input = "..";
  }
  static Log fate(std::string_view code) {
    const std::string suffix = ":" + std::string(code);
    return {"sent:1" + suffix, "sent:2" + suffix, "connected" + suffix, "closed" + suffix};
  }
  // fail breaks a handshake below: the stream, or the connect where there is none yet.
  void fail(DoubleEnd& end, Code code) {
    if (GetParam() == At::connecting) {
      end.wire->connected = std::unexpected(Error(code));
    } else {
      end.wire->broken = Error(code);
    }
  }

  bool queue_ops_ = true;
  Doubles doubles_{true};
};

INSTANTIATE_TEST_SUITE_P(, tls_socket_connect, testing::Values(At::connecting, At::handshaking),
                         [](const testing::TestParamInfo<At>& at) {
                           return at.param == At::connecting ? "connecting" : "handshaking";
                         });

TEST_P(tls_socket_connect, a_connection_that_succeeds_reports_connected_and_then_its_ops) {
  DoubleEnd& end = begin();
  go_on(end);
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected", "sent:1", "sent:2"}));
  EXPECT_EQ(end.wire->text(), ".x");
  EXPECT_EQ(doubles_.loop->counts().open, 1U);
}

TEST_P(tls_socket_connect, a_refusal_or_a_reset_is_reported_once) {
  for (const Code code : {Code::refused, Code::unreachable, Code::timeout, Code::reset}) {
    DoubleEnd& end = begin();
    fail(end, code);
    doubles_.turn();
    doubles_.turn();
    EXPECT_EQ(end.events.log, fate(code_name(code)));
    EXPECT_TRUE(end.wire->closed);
    end.socket->destroy();
    doubles_.turn();
  }
}

TEST_P(tls_socket_connect, the_handshake_deadline_counts_from_the_beginning) {
  DoubleEnd& end = begin({.handshake_timeout_us = 2'000});
  doubles_.turn_until([&] { return end.events.closed; });
  EXPECT_EQ(end.events.log, fate("timeout"));
}

TEST_P(tls_socket_connect, the_connect_deadline_is_over_once_the_connection_stands) {
  DoubleEnd& end = begin({.connect_timeout_us = 2'000});
  const std::int64_t passed_us = Loop::now_us() + 4'000;
  doubles_.turn_until([&] { return end.events.closed || Loop::now_us() > passed_us; });
  if (GetParam() == At::connecting) {
    EXPECT_EQ(end.events.log, fate("timeout"));
    return;
  }
  EXPECT_EQ(end.events.log, Log{});
  go_on(end);
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected", "sent:1", "sent:2"}));
}

TEST_P(tls_socket_connect, an_abort_is_reported_in_the_same_turn) {
  DoubleEnd& end = begin();
  end.socket->close(CloseMode::abort);
  EXPECT_EQ(doubles_.loop->counts().closing, 1U);
  doubles_.turn();
  EXPECT_EQ(end.events.log, fate("aborted"));
  EXPECT_EQ(doubles_.loop->counts().undestroyed, 1U);
}

TEST_P(tls_socket_connect, an_abort_comes_before_a_success_that_nobody_has_seen_yet) {
  DoubleEnd& end = begin();
  go_on(end);
  end.socket->close(CloseMode::abort);
  doubles_.turn();
  EXPECT_EQ(end.events.log, fate("aborted"));
}

TEST_P(tls_socket_connect, destroy_is_an_abort_and_still_reports) {
  DoubleEnd& end = begin();
  end.socket->destroy();
  doubles_.turn();
  EXPECT_EQ(end.events.log, fate("aborted"));
  EXPECT_EQ(doubles_.loop->counts().undestroyed, 0U);
}

TEST_P(tls_socket_connect, a_graceful_close_with_nothing_to_flush_ends_at_once) {
  queue_ops_ = false;
  DoubleEnd& end = begin();
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected:aborted", "closed:aborted"}));
}

TEST_P(tls_socket_connect, a_graceful_close_flushes_what_was_queued_before_the_handshake) {
  DoubleEnd& end = begin();
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{});
  go_on(end);
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected", "sent:1", "sent:2", "closed"}));
  EXPECT_EQ(end.wire->text(), ".x!");
}

TEST_P(tls_socket_connect, a_graceful_close_that_cannot_flush_meets_its_deadline) {
  DoubleEnd& end = begin({.close_timeout_us = 1'000});
  end.socket->close(CloseMode::graceful);
  doubles_.turn_until([&] { return end.events.closed; });
  EXPECT_EQ(end.events.log, fate("aborted"));
}

TEST_P(tls_socket_connect, a_half_close_waits_for_the_handshake_and_the_ops) {
  DoubleEnd& end = begin();
  EXPECT_TRUE(end.socket->half_close());
  EXPECT_EQ(code_of(end.send(3, "y")), Code::closed);
  go_on(end);
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected", "sent:1", "sent:2"}));
  EXPECT_EQ(end.wire->text(), ".x!");
  EXPECT_EQ(end.wire->fins, 1U);
}

TEST_P(tls_socket_connect, an_op_queued_in_connected_error_is_refused) {
  DoubleEnd& end = begin();
  end.events.at_connected = [&] { EXPECT_EQ(code_of(end.send(3, "y")), Code::closed); };
  fail(end, Code::reset);
  doubles_.turn();
  EXPECT_EQ(end.events.log, fate("reset"));
}

class tls_socket_handshake : public testing::Test {
 protected:
  DoubleEnd& begin(Role role = Role::client) {
    DoubleEnd& end = doubles_.make(role);
    end.engine->flights = 1;
    EXPECT_TRUE(end.socket->start(&end.events));
    doubles_.turn();
    EXPECT_EQ(doubles_.loop->counts().handshaking, 1U);
    return end;
  }
  Doubles doubles_{true};
};

TEST_F(tls_socket_handshake, a_fin_of_the_peer_is_a_truncation) {
  for (const Role role : {Role::client, Role::server}) {
    DoubleEnd& end = begin(role);
    end.wire->fin = true;
    doubles_.turn();
    EXPECT_EQ(end.events.log, (Log{"connected:truncated", "closed:truncated"}));
    end.socket->destroy();
    doubles_.turn();
  }
}

// Whoever asks a library again for nothing pays for it with every verb of the app.
TEST_F(tls_socket_handshake, the_engine_is_asked_once_at_the_beginning_and_then_when_something_has_come) {
  DoubleEnd& end = begin(Role::server);
  doubles_.turn();
  EXPECT_EQ(end.engine->handshakes, 1U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(end.socket->pause());
    EXPECT_TRUE(end.socket->resume());
    doubles_.turn();
  }
  EXPECT_EQ(end.engine->handshakes, 1U);
  end.wire->input = ".";
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"connected"});
  EXPECT_EQ(end.engine->handshakes, 2U);
}

TEST_F(tls_socket_handshake, garbage_is_answered_with_an_alert) {
  DoubleEnd& end = begin();
  end.wire->input = "GET / HTTP/1.1";
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected:protocol", "closed:protocol"}));
  EXPECT_EQ(end.wire->text(), ".X");
  EXPECT_FALSE(end.wire->reset);
}

TEST_F(tls_socket_handshake, an_alert_that_does_not_fit_holds_nobody_up) {
  DoubleEnd& end = begin();
  end.wire->room = 0;
  end.wire->input = "garbage";
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected:protocol", "closed:protocol"}));
  EXPECT_EQ(end.wire->text(), ".");
}

TEST_F(tls_socket_handshake, an_engine_that_takes_no_input_ends_the_connection) {
  DoubleEnd& end = begin();
  end.engine->feed_error = Error(Code::no_memory);
  end.wire->input = ".";
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected:no_memory", "closed:no_memory"}));
}

TEST_F(tls_socket_handshake, data_behind_the_last_flight_comes_after_connected) {
  DoubleEnd& end = begin(Role::server);
  end.wire->input = ".hello!";
  end.wire->fin = true;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected", "data:5", "ended"}));
}

TEST_F(tls_socket_handshake, a_socket_that_is_paused_finishes_its_handshake_and_delivers_nothing) {
  DoubleEnd& end = begin();
  EXPECT_TRUE(end.socket->pause());
  end.wire->input = ".hello";
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"connected"});
  EXPECT_TRUE(end.socket->resume());
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected", "data:5"}));
}

TEST_F(tls_socket_handshake, a_socket_ended_in_connected_says_nothing_more_than_closed) {
  DoubleEnd& end = begin();
  end.wire->input = ".hello";
  end.events.at_connected = [&] { end.socket->close(CloseMode::abort); };
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected", "closed:aborted"}));
}

// Zero stands for no limit of its own; anything above is one.
TEST(tls_socket_start, the_shorter_of_two_limits_counts_however_short_it_is) {
  struct Row {
    SocketConfig config;
    std::int64_t wait_us;
  };
  constexpr std::int64_t hour_us = 3'600'000'000;
  for (const Row& row : {Row{{.connect_timeout_us = 1, .handshake_timeout_us = hour_us}, 1},
                         Row{{.connect_timeout_us = 0, .handshake_timeout_us = hour_us}, hour_us},
                         Row{{.connect_timeout_us = 2 * hour_us, .handshake_timeout_us = hour_us}, hour_us}}) {
    Doubles doubles(true);
    DoubleEnd& end = doubles.make(Role::client, row.config);
    end.wire->connected = std::unexpected(Error(Code::would_block, "in progress"));
    ASSERT_TRUE(end.socket->start(&end.events));
    EXPECT_TRUE(doubles.loop->turn(-1));
    EXPECT_LE(doubles.poller->last_timeout_us, row.wait_us);
    EXPECT_GT(doubles.poller->last_timeout_us, row.wait_us / 2 - 1);
  }
}

TEST(tls_socket_start, a_poller_that_cannot_take_the_handle_refuses_and_no_callback_comes) {
  Doubles doubles(true);
  doubles.poller->refuse_add = Error(Code::no_descriptors, "the handle is too high");
  DoubleEnd& end = doubles.make();
  const Status started = end.socket->start(&end.events);
  EXPECT_EQ(code_of(started), Code::no_descriptors);
  EXPECT_TRUE(end.wire->closed);
  EXPECT_EQ(code_of(end.send(1, "x")), Code::closed);
  doubles.turn();
  EXPECT_EQ(end.events.log, Log{});
  const LoopCounts counts = doubles.loop->counts();
  EXPECT_EQ(counts.connecting + counts.undestroyed + counts.closing, 0U);
}

// A Windows SOCKET is 64 bits wide; a room that kept it in an int would name another one.
TEST(tls_socket_start, a_handle_wider_than_32_bits_passes_every_room) {
  const std::uint64_t wide = (std::uint64_t{1} << 33) + 5;
  Doubles doubles(true);
  DoubleEnd& narrow = doubles.make(Role::client, {}, 5);
  DoubleEnd& end = doubles.make(Role::client, {}, wide);
  ASSERT_TRUE(narrow.socket->start(&narrow.events));
  ASSERT_TRUE(end.socket->start(&end.events));
  doubles.turn();
  EXPECT_EQ(end.events.log, Log{"connected"});
  end.wire->input = "hello";
  end.wire->room = 0;
  EXPECT_EQ(end.send(1, "x"), SendOutcome::pending);
  doubles.turn();
  EXPECT_EQ(end.events.received, "hello");
  ASSERT_NE(doubles.poller->entry(NativeHandle(wide)), nullptr);
  EXPECT_TRUE(doubles.poller->entry(NativeHandle(wide))->interest.writable);
  EXPECT_FALSE(doubles.poller->entry(NativeHandle(5))->interest.writable);
  end.socket->close(CloseMode::abort);
  doubles.turn();
  EXPECT_EQ(doubles.poller->entry(NativeHandle(wide)), nullptr);
  EXPECT_NE(doubles.poller->entry(NativeHandle(5)), nullptr);
  EXPECT_EQ(narrow.events.log, Log{"connected"});
}

}  // namespace
}  // namespace rig
