// Closing, over doubles: graceful, by halves and by force, and everything that may come in between.
#include <gtest/gtest.h>

#include "harness/socket/tests/layer_fixture.h"

namespace rig {
namespace {

using namespace test;

class tls_socket_close : public testing::TestWithParam<bool> {
 protected:
  bool fast() const { return GetParam(); }
  // clogged is an open socket with two ops that the wire does not take.
  DoubleEnd& clogged(const SocketConfig& config = {}) {
    DoubleEnd& end = doubles_.open(config);
    end.wire->room = 0;
    EXPECT_EQ(end.send(1, "ab"), SendOutcome::pending);
    EXPECT_EQ(end.send(2, "cd"), SendOutcome::pending);
    doubles_.turn();
    return end;
  }
  // lingering is a socket whose graceful close waits for the peer's system only.
  DoubleEnd& lingering(const SocketConfig& config = {}) {
    DoubleEnd& end = doubles_.open(config);
    end.wire->unsent = 5;
    end.socket->close(CloseMode::graceful);
    doubles_.turn();
    EXPECT_EQ(end.wire->text(), "!");
    EXPECT_EQ(end.wire->fins, 1U);
    EXPECT_EQ(end.events.log, Log{});
    EXPECT_EQ(doubles_.loop->counts().closing, 1U);
    return end;
  }
  void expect_closed_verbs(DoubleEnd& end) {
    EXPECT_EQ(code_of(end.send(9, "x")), Code::closed);
    EXPECT_EQ(code_of(end.send(9, "")), Code::closed);
    EXPECT_EQ(code_of(end.socket->pause()), Code::closed);
    EXPECT_EQ(code_of(end.socket->resume()), Code::closed);
    EXPECT_EQ(code_of(end.socket->renegotiate()), Code::closed);
    EXPECT_EQ(code_of(end.socket->update_keys()), Code::closed);
    EXPECT_EQ(code_of(end.socket->half_close()), Code::closed);
  }
  void run_to_the_end(DoubleEnd& end) {
    doubles_.turn_until([&] { return end.events.closed; });
  }
  Doubles doubles_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(, tls_socket_close, testing::Bool(), fast_name);

TEST_P(tls_socket_close, every_verb_on_a_closing_or_closed_socket_answers_closed) {
  for (const CloseMode mode : {CloseMode::graceful, CloseMode::abort}) {
    DoubleEnd& end = clogged();
    end.socket->close(mode);
    expect_closed_verbs(end);
    end.wire->room = no_limit_bytes;
    run_to_the_end(end);
    expect_closed_verbs(end);
    end.socket->destroy();
    expect_closed_verbs(end);
    doubles_.turn();
    expect_closed_verbs(end);
    EXPECT_EQ(end.events.count("closed") + end.events.count("closed:aborted"), 1U);
  }
}

TEST_P(tls_socket_close, a_second_close_is_harmless) {
  DoubleEnd& end = clogged();
  end.socket->close(CloseMode::graceful);
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  end.socket->close(CloseMode::graceful);
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2", "closed"}));
  end.socket->close(CloseMode::graceful);
  end.socket->close(CloseMode::abort);
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "abcd!");
}

TEST_P(tls_socket_close, an_abort_may_follow_a_graceful_close_and_nothing_softens_an_abort) {
  DoubleEnd& end = clogged();
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  end.socket->close(CloseMode::abort);
  end.socket->close(CloseMode::graceful);
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1:aborted", "sent:2:aborted", "closed:aborted"}));
  EXPECT_EQ(end.wire->text(), "");
  EXPECT_TRUE(end.wire->reset);
}

TEST_P(tls_socket_close, a_graceful_close_flushes_says_goodbye_once_and_waits_for_the_peers_system) {
  DoubleEnd& end = clogged();
  end.wire->unsent = 5;
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  EXPECT_EQ(end.wire->fins, 0U);
  EXPECT_EQ(end.engine->notifies, 0U);
  for (int taken = 0; taken < 8; ++taken) {
    end.wire->room = 1;
    doubles_.turn();
  }
  EXPECT_EQ(end.wire->text(), "abcd!");
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2"}));
  EXPECT_EQ(end.wire->fins, 1U);
  EXPECT_EQ(doubles_.loop->counts().closing, 1U);
  end.wire->unsent = 0;
  run_to_the_end(end);
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2", "closed"}));
  EXPECT_EQ(end.engine->notifies, 1U);
  EXPECT_EQ(end.wire->fins, 1U);
  EXPECT_FALSE(end.wire->reset);
}

TEST_P(tls_socket_close, a_platform_that_cannot_tell_what_is_unsent_holds_nobody_up) {
  DoubleEnd& end = doubles_.open();
  end.wire->unsent = std::unexpected(Error(Code::unsupported));
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"closed"});
}

TEST_P(tls_socket_close, data_is_taken_off_the_wire_and_not_delivered_during_a_graceful_close) {
  DoubleEnd& end = clogged();
  EXPECT_TRUE(end.socket->pause());
  end.socket->close(CloseMode::graceful);
  end.wire->input = "late";
  doubles_.turn();
  doubles_.turn();
  EXPECT_TRUE(end.wire->input.empty());
  EXPECT_EQ(end.events.log, Log{});
}

TEST_P(tls_socket_close, a_reset_ends_a_graceful_close_at_once) {
  DoubleEnd& end = clogged();
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  end.wire->broken = Error(Code::reset);
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1:reset", "sent:2:reset", "closed:reset"}));
}

TEST_P(tls_socket_close, a_truncation_ends_a_graceful_close_at_once_if_ops_are_left) {
  DoubleEnd& end = clogged();
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  end.wire->fin = true;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1:truncated", "sent:2:truncated", "closed:truncated"}));
}

TEST_P(tls_socket_close, how_the_peer_ends_after_our_goodbye_is_no_failure) {
  DoubleEnd& end = lingering();
  end.wire->fin = true;  // no close_notify
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{});
  end.wire->unsent = 0;
  run_to_the_end(end);
  EXPECT_EQ(end.events.log, Log{"closed"});
}

TEST_P(tls_socket_close, a_clean_end_of_the_peer_does_not_stop_the_flush) {
  DoubleEnd& end = clogged();
  end.socket->close(CloseMode::graceful);
  end.wire->input = "!more that nobody asks for";
  end.wire->fin = true;
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{});
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2", "closed"}));
  EXPECT_EQ(end.wire->text(), "abcd!");
}

TEST_P(tls_socket_close, a_reset_while_lingering_ends_it_at_once) {
  DoubleEnd& end = lingering();
  end.wire->failure = std::unexpected(Error(Code::reset));
  run_to_the_end(end);
  EXPECT_EQ(end.events.log, Log{"closed:reset"});
}

TEST_P(tls_socket_close, a_stream_that_is_over_with_bytes_unsent_was_reset) {
  DoubleEnd& end = lingering();
  end.wire->failure = std::unexpected(Error(Code::closed));
  run_to_the_end(end);
  EXPECT_EQ(end.events.log, Log{"closed:reset"});
}

TEST_P(tls_socket_close, a_stream_that_is_over_because_all_was_taken_ended_well) {
  DoubleEnd& end = lingering();
  end.wire->failure = std::unexpected(Error(Code::closed));
  int calls = 0;
  end.wire->on_system_call = [&] {
    if (++calls == 2) {  // between the question what is unsent and the one whether the stream lives
      end.wire->unsent = 0;
    }
  };
  run_to_the_end(end);
  EXPECT_EQ(end.events.log, Log{"closed"});
}

TEST_P(tls_socket_close, a_peer_that_is_gone_when_our_fin_goes_out_was_reset_unless_it_had_ended) {
  for (const bool peer_ended : {false, true}) {
    DoubleEnd& end = doubles_.open();
    end.wire->input = peer_ended ? "!" : "";
    doubles_.turn();
    end.wire->shutdown = std::unexpected(Error(Code::reset));
    end.socket->close(CloseMode::graceful);
    doubles_.turn();
    EXPECT_EQ(end.events.log.back(), peer_ended ? "closed" : "closed:reset");
  }
}

TEST_P(tls_socket_close, at_its_deadline_a_graceful_close_reports_aborted_once) {
  for (const bool flushing : {true, false}) {
    const SocketConfig config{.close_timeout_us = 3'000};
    DoubleEnd& end = flushing ? clogged(config) : lingering(config);
    const std::int64_t began_us = Loop::now_us();
    end.socket->close(CloseMode::graceful);
    run_to_the_end(end);
    EXPECT_GE(Loop::now_us() - began_us, flushing ? 3'000 : 0);
    EXPECT_EQ(end.events.log,
              flushing ? (Log{"sent:1:aborted", "sent:2:aborted", "closed:aborted"}) : Log{"closed:aborted"});
    EXPECT_TRUE(end.wire->reset);
    doubles_.turn();
  }
}

TEST_P(tls_socket_close, an_abort_is_reported_in_the_same_turn_and_counted_until_it_is_destroyed) {
  DoubleEnd& end = clogged();
  end.events.at_data = [&] {
    end.socket->close(CloseMode::abort);
    EXPECT_FALSE(end.events.closed);
    EXPECT_EQ(doubles_.loop->counts().closing, 1U);
  };
  end.wire->input = "x";
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:1", "sent:1:aborted", "sent:2:aborted", "closed:aborted"}));
  EXPECT_TRUE(end.wire->reset);
  doubles_.turn();
  LoopCounts counts = doubles_.loop->counts();
  EXPECT_EQ(counts.undestroyed, 1U);
  EXPECT_EQ(counts.open + counts.closing + counts.registrations, 0U);
  end.socket->destroy();
  doubles_.turn();
  counts = doubles_.loop->counts();
  EXPECT_EQ(counts.undestroyed, 0U);
}

TEST_P(tls_socket_close, half_closed_by_us_first) {
  DoubleEnd& end = clogged();
  EXPECT_TRUE(end.socket->half_close());
  EXPECT_TRUE(end.socket->half_close());
  EXPECT_EQ(code_of(end.send(3, "x")), Code::closed);
  EXPECT_EQ(code_of(end.socket->renegotiate()), Code::closed);
  EXPECT_EQ(code_of(end.socket->update_keys()), Code::closed);
  EXPECT_TRUE(end.socket->pause());
  EXPECT_TRUE(end.socket->resume());
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "abcd!");
  EXPECT_EQ(end.wire->fins, 1U);
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2"}));
  EXPECT_EQ(doubles_.loop->counts().open, 1U);
  end.wire->input = "still";
  doubles_.turn();
  end.wire->input = "!";
  end.wire->fin = true;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2", "data:5", "ended", "closed"}));
  EXPECT_EQ(end.wire->text(), "abcd!");
  EXPECT_EQ(end.wire->fins, 1U);
}

TEST_P(tls_socket_close, half_closed_by_the_peer_first) {
  DoubleEnd& end = doubles_.open();
  end.wire->input = "last!";
  end.wire->fin = true;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:4", "ended"}));
  EXPECT_TRUE(end.send(1, "ab"));
  doubles_.turn();
  EXPECT_TRUE(end.socket->half_close());
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "ab!");
  EXPECT_EQ(end.wire->fins, 1U);
  EXPECT_EQ(end.events.log.back(), "closed");
}

TEST_P(tls_socket_close, a_half_close_can_become_a_graceful_one_or_an_abort) {
  for (const CloseMode mode : {CloseMode::graceful, CloseMode::abort}) {
    DoubleEnd& end = doubles_.open();
    EXPECT_TRUE(end.socket->half_close());
    doubles_.turn();
    EXPECT_EQ(end.events.log, Log{});
    end.socket->close(mode);
    doubles_.turn();
    EXPECT_EQ(end.events.log, Log{mode == CloseMode::graceful ? "closed" : "closed:aborted"});
    EXPECT_EQ(end.engine->notifies, 1U);
    EXPECT_EQ(end.wire->fins, 1U);
  }
}

TEST_P(tls_socket_close, a_goodbye_waits_for_the_renegotiation_under_way) {
  DoubleEnd& end = doubles_.open();
  EXPECT_TRUE(end.socket->renegotiate());
  EXPECT_TRUE(end.socket->half_close());
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "R");
  EXPECT_EQ(end.wire->fins, 0U);
  end.wire->input = "r";
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "R!");
  EXPECT_EQ(end.wire->fins, 1U);
}

TEST_P(tls_socket_close, an_engine_that_fails_to_say_goodbye_ends_the_socket) {
  DoubleEnd& end = doubles_.open();
  end.engine->notify_error = Error(Code::internal);
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"closed:internal"});
}

TEST_P(tls_socket_close, ops_refused_before_a_close_bring_no_writable_afterwards) {
  DoubleEnd& end = doubles_.open({.limits = {.ops_max = 1}});
  end.wire->room = 0;
  EXPECT_EQ(end.send(1, "a"), SendOutcome::pending);
  EXPECT_EQ(code_of(end.send(2, "b")), Code::would_block);
  end.socket->close(CloseMode::graceful);
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1", "closed"}));
}

// The sender's thread is inside the transport while the loop's ends the socket: the handle stays until it is back.
TEST(tls_socket_drainer, an_abort_waits_for_the_thread_inside_the_transport) {
  Doubles doubles(true);
  DoubleEnd& end = doubles.open();
  end.wire->on_send = [&] {
    end.wire->on_send = nullptr;
    end.socket->close(CloseMode::abort);
    doubles.turn();
    EXPECT_FALSE(end.wire->closed);
    EXPECT_EQ(end.events.log, Log{});
    EXPECT_EQ(doubles.loop->counts().closing, 1U);
  };
  EXPECT_EQ(end.send(1, "a"), SendOutcome::completed);
  EXPECT_FALSE(end.wire->closed);
  doubles.turn();
  EXPECT_TRUE(end.wire->closed);
  EXPECT_EQ(end.events.log, Log{"closed:aborted"});
}

TEST(tls_socket_drainer, a_failure_of_the_reader_waits_for_the_thread_inside_the_transport) {
  Doubles doubles(true);
  DoubleEnd& end = doubles.open();
  end.wire->on_send = [&] {
    end.wire->on_send = nullptr;
    end.wire->room = 0;
    end.wire->broken = Error(Code::reset);
    doubles.turn();
    EXPECT_FALSE(end.wire->closed);
  };
  EXPECT_EQ(end.send(1, "a"), SendOutcome::pending);
  doubles.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1:reset", "closed:reset"}));
}

TEST(tls_socket_drainer, a_graceful_close_goes_on_when_the_thread_inside_the_transport_is_back) {
  Doubles doubles(true);
  DoubleEnd& end = doubles.open();
  end.wire->on_send = [&] {
    end.wire->on_send = nullptr;
    end.socket->close(CloseMode::graceful);
    doubles.turn();
    EXPECT_EQ(end.wire->fins, 0U);
  };
  EXPECT_EQ(end.send(1, "a"), SendOutcome::completed);
  doubles.turn();
  EXPECT_EQ(end.events.log, Log{"closed"});
  EXPECT_EQ(end.wire->text(), "a!");
}

}  // namespace
}  // namespace rig
