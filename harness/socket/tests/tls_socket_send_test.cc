// Sending, over doubles: what an op is, when it leaves, and when and how it completes.
#include <gtest/gtest.h>

#include "harness/socket/tests/layer_fixture.h"

namespace rig {
namespace {

using namespace test;

// Each test runs with fast track and without.
class tls_socket_send : public testing::TestWithParam<bool> {
 protected:
  bool fast() const { return GetParam(); }
  Doubles doubles_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(, tls_socket_send, testing::Bool(), fast_name);

TEST_P(tls_socket_send, an_op_alone_completes_at_once_only_with_fast_track) {
  DoubleEnd& end = doubles_.open();
  const auto outcome = end.send(7, "hello");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(*outcome, fast() ? SendOutcome::completed : SendOutcome::pending);
  EXPECT_EQ(end.wire->text(), fast() ? "hello" : "");
  EXPECT_EQ(end.events.log, Log{});
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "hello");
  EXPECT_EQ(end.events.log, fast() ? Log{} : Log{"sent:7"});
}

TEST_P(tls_socket_send, an_empty_op_alone_completes_once_and_sends_nothing) {
  DoubleEnd& end = doubles_.open();
  const auto outcome = end.send(7, "");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(*outcome, fast() ? SendOutcome::completed : SendOutcome::pending);
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, fast() ? Log{} : Log{"sent:7"});
  EXPECT_EQ(end.wire->sends, 0U);
}

TEST_P(tls_socket_send, an_empty_op_between_others_completes_once_and_in_its_place) {
  DoubleEnd& end = doubles_.open();
  end.wire->room = 0;
  EXPECT_EQ(end.send(1, "ab"), SendOutcome::pending);
  EXPECT_EQ(end.send(2, ""), SendOutcome::pending);
  EXPECT_EQ(end.send(3, "c"), SendOutcome::pending);
  EXPECT_EQ(end.send(4, ""), SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{});
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2", "sent:3", "sent:4"}));
  EXPECT_EQ(end.wire->text(), "abc");
  EXPECT_EQ(end.events.sent[1].bytes, 0U);
}

TEST_P(tls_socket_send, ops_sent_before_the_handshake_is_done_complete_after_connected) {
  DoubleEnd& end = doubles_.make(Role::client, {.limits = {.ops_max = 3}});
  end.engine->flights = 1;
  ASSERT_TRUE(end.socket->start(&end.events));
  EXPECT_EQ(end.send(1, ""), SendOutcome::pending);
  EXPECT_EQ(end.send(2, "ab"), SendOutcome::pending);
  EXPECT_EQ(end.send(3, ""), SendOutcome::pending);
  EXPECT_EQ(code_of(end.send(4, "x")), Code::would_block);
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), ".");
  EXPECT_EQ(end.events.log, Log{});
  end.wire->input = ".";
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"connected", "sent:1", "sent:2", "sent:3", "writable"}));
  EXPECT_EQ(end.wire->text(), ".ab");
}

TEST_P(tls_socket_send, a_token_that_is_still_pending_is_refused) {
  DoubleEnd& end = doubles_.open();
  end.wire->room = 0;
  EXPECT_EQ(end.send(1, "ab"), SendOutcome::pending);
  EXPECT_EQ(code_of(end.send(1, "cd")), Code::invalid_argument);
  doubles_.turn();
  EXPECT_EQ(code_of(end.send(1, "")), Code::invalid_argument);
  EXPECT_EQ(end.socket->info().ops_pending, 1U);
  end.wire->room = no_limit_bytes;
  end.events.at_sent = [&] {
    end.events.at_sent = nullptr;
    EXPECT_TRUE(end.send(1, "ef"));  // inside its own completion it is free again
  };
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "abef");
  EXPECT_EQ(end.events.log, fast() ? Log{"sent:1"} : (Log{"sent:1", "sent:1"}));
}

TEST_P(tls_socket_send, an_op_sent_in_a_callback_leaves_in_the_same_turn) {
  DoubleEnd& end = doubles_.make();
  std::vector<std::string> sent_in;
  const auto send_from = [&](const char* where, Token token) {
    sent_in.emplace_back(where);
    EXPECT_TRUE(end.send(token, where));
  };
  end.events.at_connected = [&] { send_from("connected,", 1); };
  end.events.at_data = [&] { send_from("data,", 2); };
  end.events.at_ended = [&] { send_from("ended,", 3); };
  ASSERT_TRUE(end.socket->start(&end.events));
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), ".connected,");
  end.wire->input = "x";
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), ".connected,data,");
  end.wire->input = "!";
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), ".connected,data,ended,");
  EXPECT_EQ(sent_in.size(), 3U);
}

// An answer to each completion: every one of them is sent inside `sent`, itself reached by the poller.
TEST_P(tls_socket_send, ops_sent_from_completion_to_completion_leave_in_the_same_turn) {
  DoubleEnd& end = doubles_.open();
  end.wire->room = 0;
  EXPECT_EQ(end.send(1, "1"), SendOutcome::pending);
  doubles_.turn();
  Token next = 2;
  end.events.at_sent = [&] {
    if (next <= 5) {
      const Token token = next++;
      EXPECT_TRUE(end.send(token, std::to_string(token)));
    }
  };
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  // With fast track the second op completes inside send(), and no callback sends a third.
  EXPECT_EQ(end.wire->text(), fast() ? "12" : "12345");
}

TEST_P(tls_socket_send, more_reaches_the_transport_and_never_covers_an_op_without_it) {
  DoubleEnd& end = doubles_.open();
  EXPECT_EQ(end.send(1, "a", true), SendOutcome::pending);
  EXPECT_EQ(end.send(2, "b", false), SendOutcome::pending);
  EXPECT_EQ(end.send(3, "c", true), SendOutcome::pending);
  EXPECT_EQ(end.send(4, "d", true), SendOutcome::pending);
  EXPECT_EQ(end.wire->sends, 0U);
  doubles_.turn();
  using Sent = FakeWire::Sent;
  EXPECT_EQ(end.wire->sent, (std::vector<Sent>{{"ab", false}, {"cd", true}}));
  EXPECT_EQ(end.send(5, "e", false), fast() ? SendOutcome::completed : SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.wire->sent.back(), (Sent{"e", false}));
}

TEST_P(tls_socket_send, an_empty_op_without_more_pushes_what_the_transport_holds_back) {
  DoubleEnd& end = doubles_.open();
  EXPECT_TRUE(end.send(1, "a", true));
  doubles_.turn();
  EXPECT_EQ(end.wire->sent, (std::vector<FakeWire::Sent>{{"a", true}}));
  EXPECT_EQ(end.wire->pushes, 0U);
  EXPECT_EQ(end.send(2, "", false), fast() ? SendOutcome::completed : SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.wire->pushes, 1U);
  EXPECT_TRUE(end.send(3, "", false));
  doubles_.turn();
  EXPECT_EQ(end.wire->pushes, 1U);
  EXPECT_EQ(end.wire->text(), "a");
}

TEST_P(tls_socket_send, an_op_with_more_is_not_held_back_by_a_close) {
  DoubleEnd& end = doubles_.open();
  EXPECT_TRUE(end.send(1, "a", true));
  end.socket->close(CloseMode::graceful);
  doubles_.turn();
  using Sent = FakeWire::Sent;
  EXPECT_EQ(end.wire->sent.front(), (Sent{"a", false}));
  EXPECT_EQ(end.wire->text(), "a!");
  EXPECT_EQ(end.events.log, (Log{"sent:1", "closed"}));
}

TEST_P(tls_socket_send, control_of_the_peer_is_answered_past_ops_with_more) {
  DoubleEnd& end = doubles_.open();
  end.wire->room = 0;
  EXPECT_TRUE(end.send(1, "a", true));
  EXPECT_TRUE(end.socket->update_keys());
  doubles_.turn();
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_FALSE(end.wire->sent.empty());
  for (const auto& one : end.wire->sent) {
    EXPECT_TRUE(!one.more || one.bytes.find('K') == std::string::npos) << one.bytes;
  }
  EXPECT_EQ(end.events.log, Log{"sent:1"});
}

TEST_P(tls_socket_send, short_writes_complete_each_op_once_and_in_order) {
  DoubleEnd& end = doubles_.open();
  end.wire->room = 0;
  for (Token token = 1; token <= 4; ++token) {
    EXPECT_EQ(end.send(token, std::string(3, static_cast<char>('a' + token))), SendOutcome::pending);
  }
  doubles_.turn();
  end.wire->take_max = 2;
  for (std::size_t taken = 0; taken < 12; ++taken) {
    EXPECT_EQ(end.events.sent.size(), taken / 3);
    end.wire->room = 1;
    doubles_.turn();
  }
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2", "sent:3", "sent:4"}));
  EXPECT_EQ(end.wire->text(), "bbbcccdddeee");
}

TEST_P(tls_socket_send, a_full_queue_says_would_block_and_then_writable_once_and_later) {
  DoubleEnd& end = doubles_.open({.limits = {.ops_max = 2}});
  end.wire->room = 0;
  EXPECT_EQ(end.send(1, "a"), SendOutcome::pending);
  EXPECT_EQ(end.send(2, "b"), SendOutcome::pending);
  EXPECT_EQ(code_of(end.send(3, "c")), Code::would_block);
  EXPECT_EQ(code_of(end.send(3, "c")), Code::would_block);
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{});
  end.events.at_writable = [&] { EXPECT_TRUE(end.send(3, "c")); };
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.count("writable"), 1U);
  EXPECT_EQ(Log(end.events.log.begin(), end.events.log.begin() + 3), (Log{"sent:1", "sent:2", "writable"}));
  EXPECT_EQ(end.wire->text(), "abc");
}

TEST_P(tls_socket_send, a_queue_that_was_never_full_never_says_writable) {
  DoubleEnd& end = doubles_.open({.limits = {.ops_max = 2}});
  EXPECT_TRUE(end.send(1, "a"));
  EXPECT_TRUE(end.send(2, "b"));
  doubles_.turn();
  EXPECT_FALSE(end.events.has("writable"));
}

// The op that made the queue full completes at once, on the sender's stack; nobody else would come by to look.
TEST_P(tls_socket_send, writable_comes_also_if_the_queue_was_full_during_another_threads_send) {
  DoubleEnd& end = doubles_.open({.limits = {.ops_max = 1}});
  end.wire->on_send = [&] {  // the mutex is open here: this is where another thread comes in
    end.wire->on_send = nullptr;
    EXPECT_EQ(code_of(end.send(2, "b")), Code::would_block);
  };
  EXPECT_EQ(end.send(1, "a"), fast() ? SendOutcome::completed : SendOutcome::pending);
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.count("writable"), 1U);
}

TEST_P(tls_socket_send, nothing_completes_inside_send_but_its_own_op_and_only_if_nothing_is_queued) {
  DoubleEnd& end = doubles_.open();
  end.wire->room = 1;
  bool sending = false;
  end.events.at_sent = [&] { EXPECT_FALSE(sending); };
  const auto send = [&](Token token) {
    sending = true;
    const auto outcome = end.send(token, "a");
    sending = false;
    return outcome.value_or(SendOutcome::completed);
  };
  EXPECT_EQ(send(1), fast() ? SendOutcome::completed : SendOutcome::pending);
  EXPECT_EQ(send(2), SendOutcome::pending);  // the wire is full
  end.wire->room = no_limit_bytes;
  EXPECT_EQ(send(3), SendOutcome::pending);  // op 2 comes first
  doubles_.turn();
  EXPECT_EQ(send(4), fast() ? SendOutcome::completed : SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.events.log, fast() ? (Log{"sent:2", "sent:3"}) : (Log{"sent:1", "sent:2", "sent:3", "sent:4"}));
}

TEST_P(tls_socket_send, ops_that_join_during_a_send_are_left_to_the_loop) {
  DoubleEnd& end = doubles_.open();
  end.wire->on_send = [&] {
    end.wire->on_send = nullptr;
    EXPECT_EQ(end.send(2, "b"), SendOutcome::pending);
  };
  EXPECT_EQ(end.send(1, "a"), fast() ? SendOutcome::completed : SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "ab");
  EXPECT_EQ(end.events.log, fast() ? Log{"sent:2"} : (Log{"sent:1", "sent:2"}));
}

// A sender that is as fast as the wire must not keep the loop from its other sockets for ever.
TEST_P(tls_socket_send, an_endless_sender_does_not_hold_the_loop) {
  DoubleEnd& end = doubles_.open();
  constexpr Token most = 2'000;
  const std::string block(16 * 1024, 'e');
  Token next = 1;
  end.wire->on_send = [&] {
    if (next < most) {
      EXPECT_EQ(end.send(next++, block), SendOutcome::pending);
    }
  };
  EXPECT_TRUE(end.send(0, block));
  doubles_.turn();
  EXPECT_LT(next, most);
  EXPECT_FALSE(end.events.sent.empty() && !fast());
  end.wire->on_send = nullptr;
  while (end.socket->info().ops_pending > 0) {
    doubles_.turn();
  }
  EXPECT_EQ(end.events.sent.size(), next - (fast() ? 1 : 0));
}

TEST_P(tls_socket_send, the_free_list_keeps_as_many_ops_as_its_cap_says) {
  for (const std::size_t cap : {std::size_t{0}, std::size_t{1}, SendLimits{}.free_ops_max}) {
    DoubleEnd& end = doubles_.open({.limits = {.free_ops_max = cap}});
    for (int round = 0; round < 2; ++round) {
      end.wire->room = 0;
      for (Token token = 1; token <= 4; ++token) {
        EXPECT_EQ(end.send(token, "x"), SendOutcome::pending);
      }
      doubles_.turn();
      end.wire->room = no_limit_bytes;
      doubles_.turn();
    }
    const SendQueue::Counters counters = end.socket->info().queue;
    const std::size_t kept = std::min<std::size_t>(cap, 4);
    EXPECT_EQ(counters.nodes_free, kept) << cap;
    EXPECT_EQ(counters.nodes_reused, kept) << cap;
    EXPECT_EQ(counters.nodes_allocated, 8 - kept) << cap;
    EXPECT_EQ(counters.nodes_released, 2 * (4 - kept)) << cap;
    EXPECT_EQ(end.events.sent.size(), 8U);
  }
}

TEST_P(tls_socket_send, a_send_that_fails_fails_every_op_in_order_and_then_closes) {
  DoubleEnd& end = doubles_.open();
  end.wire->send_error = Error(Code::reset, "gone");
  for (Token token = 1; token <= 3; ++token) {
    EXPECT_EQ(end.send(token, "x"), SendOutcome::pending);
  }
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1:reset", "sent:2:reset", "sent:3:reset", "closed:reset"}));
  EXPECT_TRUE(end.wire->closed);
}

TEST_P(tls_socket_send, what_the_peer_said_before_the_reset_is_delivered_first) {
  DoubleEnd& end = doubles_.open();
  end.wire->send_error = Error(Code::reset, "gone");
  end.wire->input = "last";
  end.wire->on_send = [&] { end.wire->fin = true; };  // what a reset looks like once send() has taken its error
  EXPECT_EQ(end.send(1, "x"), SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:4", "sent:1:reset", "closed:reset"}));
}

TEST_P(tls_socket_send, what_the_peer_said_before_the_reset_is_delivered_however_short_the_reads_are) {
  DoubleEnd& end = doubles_.open();
  end.wire->send_error = Error(Code::reset, "gone");
  end.wire->input = "end!";
  end.wire->give_max = 2;
  EXPECT_EQ(end.send(1, "x"), SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:2", "data:1", "ended", "sent:1:reset", "closed:reset"}));
}

TEST_P(tls_socket_send, an_engine_that_fails_to_write_sends_its_alert_and_fails_the_ops) {
  DoubleEnd& end = doubles_.open();
  end.engine->write_error = Error(Code::internal);
  EXPECT_EQ(end.send(1, "x"), SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1:internal", "closed:internal"}));
  EXPECT_EQ(end.wire->text(), "X");
  EXPECT_FALSE(end.wire->reset);  // a reset would overtake the alert
}

TEST_P(tls_socket_send, ops_wait_while_the_engine_must_read_first) {
  DoubleEnd& end = doubles_.open();
  EXPECT_TRUE(end.socket->renegotiate());
  EXPECT_EQ(end.send(1, "x"), SendOutcome::pending);
  EXPECT_EQ(end.send(2, ""), SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "R");
  EXPECT_EQ(end.events.log, Log{});
  const std::size_t waits = doubles_.poller->waits;
  doubles_.turn();
  EXPECT_EQ(doubles_.poller->waits, waits + 1);  // and nobody spins
  end.wire->input = "r";
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "Rx");
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2"}));
}

TEST_P(tls_socket_send, a_key_update_in_the_middle_of_an_op_waits_for_its_end) {
  DoubleEnd& end = doubles_.open({.limits = {.wire_bytes_max = 4}});
  end.engine->accept_max = 4;
  end.wire->room = 0;
  EXPECT_EQ(end.send(1, "abcdefghijklmnop"), SendOutcome::pending);
  EXPECT_EQ(end.send(2, "q"), SendOutcome::pending);
  doubles_.turn();
  end.wire->room = 2;
  doubles_.turn();
  EXPECT_TRUE(end.socket->update_keys());
  doubles_.turn();
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "abcdefghijklmnopKq");
  EXPECT_EQ(end.events.log, (Log{"sent:1", "sent:2"}));
}

TEST_P(tls_socket_send, a_late_key_update_that_fails_ends_the_socket) {
  DoubleEnd& end = doubles_.open({.limits = {.wire_bytes_max = 4}});
  end.engine->accept_max = 4;
  end.wire->room = 0;
  EXPECT_EQ(end.send(1, "abcdefghijklmnop"), SendOutcome::pending);
  doubles_.turn();
  end.wire->room = 2;
  doubles_.turn();
  EXPECT_TRUE(end.socket->update_keys());
  end.engine->control_error = Error(Code::internal);
  end.wire->room = no_limit_bytes;
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"sent:1", "closed:internal"}));
}

TEST_P(tls_socket_send, control_answers_say_what_was_not_possible) {
  DoubleEnd& early = doubles_.make();
  early.engine->flights = 1;
  ASSERT_TRUE(early.socket->start(&early.events));
  EXPECT_EQ(code_of(early.socket->renegotiate()), Code::invalid_state);
  doubles_.turn();
  EXPECT_EQ(code_of(early.socket->update_keys()), Code::invalid_state);

  DoubleEnd& end = doubles_.open();
  end.engine->control_error = Error(Code::unsupported);
  EXPECT_EQ(code_of(end.socket->renegotiate()), Code::unsupported);
  EXPECT_EQ(code_of(end.socket->update_keys()), Code::unsupported);
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{});  // nothing has happened to the connection
  end.engine->control_error = Error(Code::internal);
  EXPECT_EQ(code_of(end.socket->update_keys()), Code::internal);
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"closed:internal"});
}

}  // namespace
}  // namespace rig
