// The layer on the loopback, with each poller, with fast track and without: what only a kernel can show.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tuple>

#include "harness/socket/tests/layer_kernel.h"

namespace rig {
namespace {

using namespace test;

class layer_tcp : public testing::TestWithParam<std::tuple<PollerKind, bool>> {
 protected:
  static Wiring wiring() { return {.poller = std::get<0>(GetParam()), .fast_track = std::get<1>(GetParam())}; }
};

INSTANTIATE_TEST_SUITE_P(, layer_tcp,
                         testing::Combine(testing::Values(PollerKind::epoll, PollerKind::poll, PollerKind::select),
                                          testing::Bool()),
                         [](const auto& at) {
                           return std::string(poller_kind_name(std::get<0>(at.param))) +
                                  (std::get<1>(at.param) ? "_fast_on" : "_fast_off");
                         });

// small makes a connection clog after some kilobytes.
const SocketConfig small{.kernel_send_bytes = 8 * 1024, .kernel_recv_bytes = 8 * 1024};

// clog sends until an op stays pending, and a few more; returns how many it sent.
Token clog(Kernel& kernel, KernelEnd& end) {
  const std::string block(64 * 1024, 'c');
  Token token = 0;
  while (end.socket->info().ops_pending == 0 || token < 8) {
    EXPECT_TRUE(end.send(token++, block));
    kernel.turn_without_waiting(2);
  }
  EXPECT_TRUE(end.send(token++, ""));
  return token;
}

void exchange(Kernel& kernel) {
  auto [client, server] = kernel.establish();
  EXPECT_TRUE(client.send(1, "ping"));
  kernel.turn_until([&, &to = server] { return to.events.received == "ping"; });
  EXPECT_TRUE(server.send(1, "pong"));
  kernel.turn_until([&, &to = client] { return to.events.received == "pong"; });
  client.socket->close(CloseMode::graceful);
  kernel.turn_until([&, &to = server] { return to.events.has("ended"); });
  server.socket->close(CloseMode::graceful);
  kernel.turn_until([&, &a = client, &b = server] { return a.events.closed && b.events.closed; });
  EXPECT_EQ(client.events.log.back(), "closed");
  EXPECT_EQ(server.events.log.back(), "closed");
}

TEST_P(layer_tcp, speaks_over_v4_and_v6) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    Wiring over = wiring();
    over.host = host;
    Kernel kernel(over);
    EXPECT_EQ(kernel.where.host, host);
    exchange(kernel);
  }
}

TEST_P(layer_tcp, info_says_what_is_really_used) {
  Kernel kernel(wiring());
  KernelEnd& client = kernel.establish({.nodelay = false}).first;
  const SocketInfo info = client.socket->info();
  EXPECT_EQ(info.poller, std::get<0>(GetParam()));
  EXPECT_EQ(info.fast_track, std::get<1>(GetParam()));
  EXPECT_FALSE(info.nodelay);
  EXPECT_TRUE(kernel.servers[0]->socket->info().nodelay);
  EXPECT_EQ(info.ops_pending + info.queued_bytes, 0U);
}

TEST_P(layer_tcp, a_port_where_nobody_listens_is_refused_in_connected) {
  Kernel kernel(wiring());
  Endpoint nobody;
  {
    const auto closed_again = listen_tcp({"127.0.0.1", 0}, 1);
    ASSERT_TRUE(closed_again);
    nobody = *(*closed_again)->local_endpoint();
  }
  KernelEnd& client = kernel.connect({}, &nobody);
  EXPECT_EQ(client.send(1, "x"), SendOutcome::pending);
  kernel.turn_until([&] { return client.events.closed; });
  EXPECT_EQ(client.events.log, (Log{"sent:1:refused", "connected:refused", "closed:refused"}));
}

// connect(2) itself says so; the app hears it all the same in its callback.
TEST_P(layer_tcp, an_address_that_is_unreachable_at_once_is_reported_in_connected) {
  Kernel kernel(wiring());
  const Endpoint everybody{"255.255.255.255", 9};
  KernelEnd& client = kernel.connect({}, &everybody);
  EXPECT_EQ(client.events.log, Log{});
  kernel.turn_until([&] { return client.events.closed; });
  EXPECT_EQ(client.events.log, (Log{"connected:unreachable", "closed:unreachable"}));
}

TEST_P(layer_tcp, a_host_that_is_no_address_makes_no_socket) {
  Kernel kernel(wiring());
  Recorder nobody;
  const auto made = TlsSocket::connect(kernel.loop, *kernel.client_context, {}, {"localhost", 1}, {}, nobody);
  EXPECT_EQ(code_of(made), Code::invalid_argument);
  kernel.turn_without_waiting(2);
  EXPECT_EQ(nobody.log, Log{});
}

TEST_P(layer_tcp, a_paused_reader_holds_the_sender_and_nothing_is_lost) {
  Kernel kernel(wiring());
  auto [client, server] = kernel.establish(small);
  EXPECT_TRUE(server.socket->pause());
  kernel.turn_without_waiting();
  const Token count = clog(kernel, client);
  EXPECT_EQ(server.events.log, Log{});
  EXPECT_TRUE(server.socket->resume());
  const std::size_t bytes = (count - 1) * 64 * 1024;
  kernel.turn_until([&, &to = server] { return to.events.received.size() == bytes; });
  EXPECT_EQ(client.socket->info().ops_pending, 0U);
}

TEST_P(layer_tcp, a_reset_while_paused_fails_the_pending_ops) {
  Kernel kernel(wiring());
  auto [client, server] = kernel.establish(small);
  EXPECT_TRUE(server.socket->pause());
  EXPECT_TRUE(client.socket->pause());
  kernel.turn_without_waiting();
  clog(kernel, client);
  const std::size_t done = client.events.sent.size();
  server.socket->close(CloseMode::abort);
  kernel.turn_until([&, &to = client] { return to.events.closed; });
  EXPECT_EQ(client.events.log.back(), "closed:reset");
  ASSERT_GT(client.events.sent.size(), done);
  for (std::size_t i = done; i < client.events.sent.size(); ++i) {
    EXPECT_TRUE(client.events.sent[i].error.has_value()) << i;
    EXPECT_TRUE(i == 0 || client.events.sent[i].token == client.events.sent[i - 1].token + 1);
  }
}

TEST_P(layer_tcp, a_reset_during_a_graceful_close_ends_it_long_before_its_deadline) {
  Kernel kernel(wiring());
  SocketConfig patient = small;
  patient.close_timeout_us = std::int64_t{3'600'000'000};
  auto [client, server] = kernel.establish(patient);
  EXPECT_TRUE(server.socket->pause());
  kernel.turn_without_waiting();
  clog(kernel, client);
  client.socket->close(CloseMode::graceful);
  kernel.turn_without_waiting();
  EXPECT_FALSE(client.events.closed);
  server.socket->close(CloseMode::abort);
  kernel.turn_until([&, &to = client] { return to.events.closed; });
  EXPECT_EQ(client.events.log.back(), "closed:reset");
}

TEST_P(layer_tcp, a_graceful_close_arrives_whole_at_a_slow_reader) {
  Kernel kernel(wiring());
  auto [client, server] = kernel.establish(small);
  EXPECT_TRUE(server.socket->pause());
  kernel.turn_without_waiting();
  const Token count = clog(kernel, client);
  client.socket->close(CloseMode::graceful);
  kernel.turn_without_waiting();
  EXPECT_FALSE(client.events.closed);
  EXPECT_EQ(kernel.loop->counts().closing, 1U);
  EXPECT_TRUE(server.socket->resume());
  kernel.turn_until([&, &to = server] { return to.events.has("ended"); });
  EXPECT_EQ(server.events.received.size(), (count - 1) * 64 * 1024);
  kernel.turn_until([&, &to = client] { return to.events.closed; });
  EXPECT_EQ(client.events.log.back(), "closed");
}

TEST_P(layer_tcp, both_halves_close_in_either_order) {
  for (const bool client_first : {true, false}) {
    Kernel kernel(wiring());
    const auto ends = kernel.establish();
    KernelEnd& first = client_first ? ends.first : ends.second;
    KernelEnd& second = client_first ? ends.second : ends.first;
    EXPECT_TRUE(first.send(1, "last words"));
    EXPECT_TRUE(first.socket->half_close());
    kernel.turn_until([&] { return second.events.has("ended"); });
    EXPECT_EQ(second.events.received, "last words");
    EXPECT_TRUE(second.send(1, "still here"));
    EXPECT_TRUE(second.socket->half_close());
    kernel.turn_until([&] { return first.events.closed && second.events.closed; });
    EXPECT_EQ(first.events.received, "still here");
    EXPECT_EQ(first.events.log.back(), "closed");
    EXPECT_EQ(second.events.log.back(), "closed");
  }
}

// Both directions are over and nobody reads: the poller must not report it again and again.
TEST_P(layer_tcp, a_hang_up_without_a_reader_lets_the_loop_wait) {
  Kernel kernel(wiring());
  auto [client, server] = kernel.establish();
  EXPECT_TRUE(client.socket->pause());
  EXPECT_TRUE(client.socket->half_close());
  kernel.turn_until([&, &to = server] { return to.events.has("ended"); });
  EXPECT_TRUE(server.send(1, "unread"));
  EXPECT_TRUE(server.socket->half_close());
  kernel.turn_without_waiting(50);
  KernelEnd& bystander = kernel.connect();  // its timer bounds the wait of a loop that has nothing to do
  kernel.turn_until([&] { return bystander.events.has("connected") && kernel.servers.size() == 2; });
  kernel.turn_without_waiting();
  // A wait that came back at once would come back before its time.
  const std::int64_t began_us = Loop::now_us();
  EXPECT_TRUE(kernel.loop->turn(20'000));
  EXPECT_GE(Loop::now_us() - began_us, 20'000);
  EXPECT_FALSE(client.events.has("ended"));
  EXPECT_TRUE(client.socket->resume());
  kernel.turn_until([&, &to = client] { return to.events.closed; });
  EXPECT_EQ(client.events.received, "unread");
  EXPECT_EQ(client.events.log.back(), "closed");
}

// free_from leaves no descriptor below `lowest` free; false if the system does not allow as many.
bool free_from(int lowest) {
  const rlimit wanted{.rlim_cur = static_cast<rlim_t>(lowest) + 64, .rlim_max = static_cast<rlim_t>(lowest) + 64};
  rlimit now{};
  ::getrlimit(RLIMIT_NOFILE, &now);
  if (now.rlim_cur < wanted.rlim_cur && ::setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
    return false;
  }
  for (int taken = ::dup(1); taken < lowest - 1; taken = ::dup(1)) {
    if (taken < 0) {
      return false;
    }
  }
  return true;
}

TEST_P(layer_tcp, descriptor_zero_is_a_socket_like_any_other) {
  in_child([] {
    Kernel kernel(wiring());
    ::close(0);
    kernel.connect();
    EXPECT_GE(::fcntl(0, F_GETFD), 0);  // the client's
    kernel.turn_until([&] { return kernel.servers.size() == 1; });
    KernelEnd& server = *kernel.servers[0];
    EXPECT_TRUE(kernel.clients[0]->send(1, "zero"));
    kernel.turn_until([&] { return server.events.received == "zero"; });
    kernel.clients[0]->socket->destroy();
    kernel.turn_without_waiting();
    EXPECT_LT(::fcntl(0, F_GETFD), 0);  // and it was given back
    exchange(kernel);
    return 0;
  });
}

TEST_P(layer_tcp, descriptors_beyond_what_select_takes_work_or_are_refused_in_words) {
  for (const int lowest : {1024, 70'000}) {
    in_child([lowest] {
      Kernel kernel(wiring());
      if (!free_from(lowest)) {
        EXPECT_GT(lowest, 1024);  // the system allows no such descriptor: there is nothing to refuse
        return 0;
      }
      if (std::get<0>(GetParam()) != PollerKind::select) {
        exchange(kernel);
        return 0;
      }
      Recorder nobody;
      const auto refused = TlsSocket::connect(kernel.loop, *kernel.client_context, {}, kernel.where, {}, nobody);
      EXPECT_EQ(code_of(refused), Code::no_descriptors);
      EXPECT_NE(refused.error().detail().find("select"), std::string_view::npos) << refused.error().detail();
      const auto client = connect_tcp(kernel.where);
      kernel.turn_until([&] { return kernel.listener->counters().dropped > 0; });
      EXPECT_EQ(kernel.listener->places_taken(), 0U);
      EXPECT_EQ(code_of(Listener::open(kernel.loop, kernel.server_context, {"127.0.0.1", 0}, {}, kernel)),
                Code::no_descriptors);
      EXPECT_EQ(nobody.log, Log{});
      return 0;
    });
  }
}

}  // namespace
}  // namespace rig
