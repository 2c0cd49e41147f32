// Reading, over doubles: pause and resume, ends and failures of the peer, and a poller that is never asked in vain.
#include <gtest/gtest.h>

#include "harness/socket/tests/layer_fixture.h"

namespace rig {
namespace {

using namespace test;

class tls_socket_read : public testing::TestWithParam<bool> {
 protected:
  bool fast() const { return GetParam(); }
  const FakePoller::Entry* entry(const DoubleEnd& end) const { return doubles_.poller->entry(end.wire->handle); }
  // expect_quiet turns the loop and expects that the poller has nothing to report.
  void expect_quiet() {
    const std::size_t reports = doubles_.poller->reports;
    for (int turns = 0; turns < 10; ++turns) {
      doubles_.turn();
    }
    EXPECT_EQ(doubles_.poller->reports, reports);
  }
  Doubles doubles_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(, tls_socket_read, testing::Bool(), fast_name);

TEST_P(tls_socket_read, a_paused_socket_does_not_read_its_handle_at_all) {
  DoubleEnd& end = doubles_.open();
  EXPECT_TRUE(end.socket->pause());
  doubles_.turn();
  end.wire->input = "hello";
  const std::size_t recvs = end.wire->recvs;
  expect_quiet();
  EXPECT_EQ(end.wire->recvs, recvs);
  EXPECT_FALSE(entry(end)->interest.readable);
  EXPECT_TRUE(end.socket->resume());
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"data:5"});
}

TEST_P(tls_socket_read, a_pause_in_data_keeps_the_rest_and_resume_delivers_it_without_new_input) {
  DoubleEnd& end = doubles_.open();
  end.events.at_data = [&] { EXPECT_TRUE(end.socket->pause()); };
  end.wire->input = "aaarbbrc!";  // 'r' separates what the engine hands out at a time
  end.wire->fin = true;
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"data:3"});
  const std::size_t recvs = end.wire->recvs;
  expect_quiet();
  EXPECT_EQ(end.events.log, Log{"data:3"});
  EXPECT_TRUE(end.socket->resume());
  EXPECT_EQ(end.events.log, Log{"data:3"});  // not on the caller's stack
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:3", "data:2"}));
  EXPECT_TRUE(end.socket->resume());
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:3", "data:2", "data:1"}));
  expect_quiet();
  EXPECT_EQ(end.wire->recvs, recvs);
  EXPECT_TRUE(end.socket->resume());
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:3", "data:2", "data:1", "ended"}));
  EXPECT_EQ(end.events.received, "aaabbc");
}

TEST_P(tls_socket_read, a_pause_undone_in_the_same_callback_changes_nothing) {
  DoubleEnd& end = doubles_.open();
  end.events.at_data = [&] {
    EXPECT_TRUE(end.socket->pause());
    EXPECT_TRUE(end.socket->resume());
  };
  end.wire->input = "aaarbb";
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:3", "data:2"}));
}

TEST_P(tls_socket_read, one_socket_does_not_read_for_ever_while_another_waits) {
  DoubleEnd& first = doubles_.open();
  DoubleEnd& second = doubles_.open();
  constexpr std::size_t much = 1024 * 1024;
  first.wire->input = std::string(much, 'a');
  second.wire->input = "b";
  doubles_.turn();
  EXPECT_GT(first.events.received.size(), 0U);
  EXPECT_LT(first.events.received.size(), much);
  EXPECT_EQ(second.events.received, "b");
  while (first.events.received.size() < much) {
    doubles_.turn();
  }
}

TEST_P(tls_socket_read, a_failed_read_is_reported_after_what_came_before_it) {
  DoubleEnd& end = doubles_.open();
  end.wire->input = "last";
  end.wire->broken = Error(Code::reset);
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:4", "closed:reset"}));
}

TEST_P(tls_socket_read, a_stream_that_ends_without_goodbye_is_truncated) {
  DoubleEnd& end = doubles_.open();
  end.wire->input = "last";
  end.wire->fin = true;
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:4", "closed:truncated"}));
  EXPECT_EQ(end.wire->text(), "X");
}

TEST_P(tls_socket_read, the_last_words_go_out_however_little_is_taken_at_once) {
  DoubleEnd& end = doubles_.open();
  end.wire->room = 0;
  EXPECT_TRUE(end.socket->renegotiate());
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "");
  end.wire->room = no_limit_bytes;
  end.wire->take_max = 1;
  end.wire->fin = true;  // without a close_notify
  doubles_.turn();
  EXPECT_EQ(end.wire->text(), "RX");
}

TEST_P(tls_socket_read, an_alert_of_the_peer_ends_the_socket) {
  DoubleEnd& end = doubles_.open();
  end.wire->input = "X";
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"closed:peer_alert"});
}

TEST_P(tls_socket_read, input_that_the_engine_cannot_take_ends_the_socket) {
  DoubleEnd& end = doubles_.open();
  end.engine->feed_error = Error(Code::no_memory);
  end.wire->input = "x";
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"closed:no_memory"});
}

TEST_P(tls_socket_read, after_the_peers_end_the_socket_stays_and_nobody_spins) {
  DoubleEnd& end = doubles_.open();
  end.wire->input = "!bytes behind the end";
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"ended"});
  end.wire->input += "and more of them";
  doubles_.turn();
  EXPECT_TRUE(end.wire->input.empty());  // taken off the wire, given to nobody
  EXPECT_EQ(end.engine->feeds, 1U);
  end.wire->fin = true;
  doubles_.turn();
  expect_quiet();
  EXPECT_EQ(doubles_.loop->counts().open, 1U);
  EXPECT_EQ(end.events.log, Log{"ended"});
  end.wire->hung_up = true;
  end.wire->failure = std::unexpected(Error(Code::reset));
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"ended", "closed:reset"}));
}

TEST_P(tls_socket_read, a_reset_while_paused_fails_the_pending_ops) {
  for (const bool hides_failures : {false, true}) {  // select shows the failure as readiness to write
    DoubleEnd& end = doubles_.open();
    EXPECT_TRUE(end.socket->pause());
    end.wire->room = 0;
    EXPECT_EQ(end.send(1, "a"), SendOutcome::pending);
    EXPECT_EQ(end.send(2, ""), SendOutcome::pending);
    doubles_.turn();
    end.wire->input = "unread";
    end.wire->hung_up = true;
    doubles_.poller->hides_failures = hides_failures;
    end.wire->failure = std::unexpected(Error(Code::reset));
    end.wire->send_error = Error(Code::reset);
    doubles_.turn();
    EXPECT_EQ(end.events.log, (Log{"sent:1:reset", "sent:2:reset", "closed:reset"}));
    doubles_.poller->hides_failures = false;
  }
}

TEST_P(tls_socket_read, a_hang_up_that_nobody_reads_is_not_watched_until_somebody_does) {
  DoubleEnd& end = doubles_.open();
  EXPECT_TRUE(end.socket->pause());
  EXPECT_TRUE(end.socket->half_close());
  doubles_.turn();
  EXPECT_EQ(end.wire->fins, 1U);
  end.wire->input = "last!";
  end.wire->fin = true;
  end.wire->hung_up = true;  // both directions have ended
  doubles_.turn();
  EXPECT_EQ(entry(end), nullptr);
  expect_quiet();
  EXPECT_EQ(end.events.log, Log{});
  EXPECT_TRUE(end.socket->resume());
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(end.events.log, (Log{"data:4", "ended", "closed"}));
}

// Another thread's send was told of the reset, and has not said so yet.
TEST_P(tls_socket_read, a_stream_that_is_over_while_paused_and_open_was_reset) {
  DoubleEnd& end = doubles_.open();
  EXPECT_TRUE(end.socket->pause());
  doubles_.turn();
  end.wire->hung_up = true;
  end.wire->failure = std::unexpected(Error(Code::closed));
  doubles_.turn();
  EXPECT_EQ(entry(end), nullptr);
  expect_quiet();
  EXPECT_EQ(end.events.log, Log{});
  end.wire->fin = true;
  EXPECT_TRUE(end.socket->resume());
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"closed:reset"});
}

TEST_P(tls_socket_read, what_the_peer_said_before_its_reset_waits_for_whoever_has_paused) {
  const auto reset_over_unread = [&](DoubleEnd& end) {
    EXPECT_TRUE(end.socket->pause());
    doubles_.turn();
    end.wire->input = "last!";
    end.wire->fin = true;
    end.wire->hung_up = true;
    end.wire->failure = std::unexpected(Error(Code::reset));
    end.wire->send_error = Error(Code::reset);
    doubles_.turn();
    expect_quiet();
    EXPECT_EQ(end.events.log, Log{});
  };
  DoubleEnd& reader = doubles_.open();
  reset_over_unread(reader);
  EXPECT_TRUE(reader.socket->resume());
  doubles_.turn();
  EXPECT_EQ(reader.events.log, (Log{"data:4", "ended", "closed:reset"}));

  DoubleEnd& leaver = doubles_.open();
  reset_over_unread(leaver);
  leaver.socket->close(CloseMode::graceful);
  doubles_.turn();
  EXPECT_EQ(leaver.events.log, Log{"closed"}) << "whoever closes wants no more bytes, and the peer had ended";

  DoubleEnd& sender = doubles_.open();
  reset_over_unread(sender);
  EXPECT_EQ(sender.send(1, "a"), SendOutcome::pending);
  doubles_.turn();
  EXPECT_EQ(sender.events.log, (Log{"sent:1:reset", "closed:reset"}));
}

TEST_P(tls_socket_read, a_poller_that_refuses_to_watch_again_ends_the_socket) {
  DoubleEnd& end = doubles_.open();
  EXPECT_TRUE(end.socket->pause());
  EXPECT_TRUE(end.socket->half_close());
  doubles_.turn();
  end.wire->fin = true;
  end.wire->hung_up = true;
  doubles_.turn();
  doubles_.poller->refuse_add = Error(Code::no_memory);
  EXPECT_TRUE(end.socket->resume());
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"closed:no_memory"});
  doubles_.poller->refuse_add.reset();
}

TEST_P(tls_socket_read, a_poller_that_refuses_a_change_ends_the_socket) {
  DoubleEnd& end = doubles_.open();
  doubles_.poller->refuse_modify = Error(Code::refused_by_system);
  EXPECT_TRUE(end.socket->pause());
  doubles_.turn();
  EXPECT_EQ(end.events.log, Log{"closed:refused_by_system"});
  doubles_.poller->refuse_modify.reset();
}

TEST_P(tls_socket_read, a_verb_finds_the_mutex_open_inside_each_system_call) {
  DoubleEnd& end = doubles_.make();
  std::size_t calls = 0;
  const auto look = [&] {
    ++calls;
    static_cast<void>(end.socket->info());  // would wait for ever for a mutex that is held here
  };
  end.wire->on_send = end.wire->on_recv = end.wire->on_system_call = doubles_.poller->on_system_call = look;
  ASSERT_TRUE(end.socket->start(&end.events));
  doubles_.turn();
  end.wire->room = 0;
  EXPECT_TRUE(end.send(1, "a"));
  doubles_.turn();
  end.wire->input = "x";
  doubles_.turn();
  EXPECT_TRUE(end.socket->pause());
  doubles_.turn();
  end.wire->hung_up = true;
  doubles_.turn();
  end.wire->hung_up = false;
  EXPECT_TRUE(end.socket->resume());
  doubles_.turn();
  end.wire->room = no_limit_bytes;
  end.wire->unsent = 1;
  end.socket->close(CloseMode::graceful);
  doubles_.turn_until([&] { return end.wire->fins == 1; });
  end.wire->unsent = 0;
  doubles_.turn_until([&] { return end.events.closed; });
  EXPECT_EQ(end.events.log, (Log{"connected", "data:1", "sent:1", "closed"}));
  EXPECT_GT(calls, 15U);
  doubles_.poller->on_system_call = nullptr;
}

}  // namespace
}  // namespace rig
