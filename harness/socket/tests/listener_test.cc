// Listeners on the loopback: places and their cap, running out of descriptors, and ends of all kinds.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/socket/tests/layer_kernel.h"

namespace rig {
namespace {

using namespace test;

Wiring with_cap(std::size_t connections_max) {
  return {.listener = {.connections_max = connections_max}};
}

TEST(listener, hands_over_a_socket_before_its_handshake_and_counts_it) {
  Kernel kernel;
  EXPECT_EQ(kernel.loop->counts().listeners, 1U);
  EXPECT_EQ(kernel.where.host, "127.0.0.1");
  EXPECT_NE(kernel.where.port, 0);
  bool reached = false;
  kernel.at_accepted = [&] {
    reached = true;
    EXPECT_EQ(kernel.servers.back()->events.log, Log{});
    EXPECT_TRUE(kernel.servers.back()->socket->adopted());
    EXPECT_EQ(kernel.loop->counts().handshaking, 1U);
  };
  kernel.establish();
  EXPECT_TRUE(reached);
  EXPECT_EQ(kernel.listener->counters().accepted, 1U);
  EXPECT_EQ(kernel.listener->places_taken(), 1U);
}

TEST(listener, pauses_at_its_cap_and_resumes_once_for_each_place_that_is_really_free) {
  Kernel kernel(with_cap(2));
  const auto accepted = [&](std::size_t count) { return [&kernel, count] { return kernel.servers.size() == count; }; };
  for (int i = 0; i < 4; ++i) {
    kernel.connect();
  }
  kernel.turn_until(accepted(2));
  kernel.turn_without_waiting();
  EXPECT_EQ(kernel.servers.size(), 2U);
  EXPECT_EQ(kernel.listener->counters().pauses_at_cap, 1U);

  // Closed but not destroyed: the place is still taken.
  kernel.servers[0]->socket->close(CloseMode::abort);
  kernel.turn_until([&] { return kernel.servers[0]->events.closed; });
  kernel.turn_without_waiting();
  EXPECT_EQ(kernel.listener->places_taken(), 2U);
  EXPECT_EQ(kernel.listener->counters().resumes, 0U);
  EXPECT_GE(kernel.loop->counts().undestroyed, 1U);  // its client is another, once the reset has arrived
  EXPECT_EQ(kernel.servers.size(), 2U);

  kernel.servers[0]->socket->destroy();
  kernel.turn_until(accepted(3));
  kernel.turn_without_waiting();
  EXPECT_EQ(kernel.listener->counters().resumes, 1U);
  EXPECT_EQ(kernel.listener->counters().pauses_at_cap, 2U);

  // Destroyed and not closed yet: destroy() closes, and then the place is free.
  kernel.servers[1]->socket->destroy();
  kernel.turn_until(accepted(4));
  kernel.turn_without_waiting();
  EXPECT_EQ(kernel.listener->counters().resumes, 2U);
  EXPECT_EQ(kernel.listener->counters().accepted, 4U);
  EXPECT_EQ(kernel.listener->places_taken(), 2U);
}

TEST(listener, a_place_that_becomes_free_below_the_cap_resumes_nothing) {
  Kernel kernel(with_cap(3));
  kernel.establish();
  kernel.establish();
  kernel.servers[0]->socket->destroy();
  kernel.turn_without_waiting();
  EXPECT_EQ(kernel.listener->places_taken(), 1U);
  EXPECT_EQ(kernel.listener->counters().resumes, 0U);
  EXPECT_EQ(kernel.listener->counters().pauses_at_cap, 0U);
}

TEST(listener, a_place_that_becomes_free_after_the_end_of_the_listener_wakes_nobody) {
  Kernel kernel(with_cap(1));
  auto [client, server] = kernel.establish();
  kernel.turn_without_waiting();
  kernel.listener->close();
  server.socket->destroy();
  kernel.turn_without_waiting();
  EXPECT_EQ(kernel.listener->counters().resumes, 0U);
  EXPECT_EQ(kernel.listener->places_taken(), 0U);
}

// Without a descriptor the connection stays in the backlog; the listener comes back for it by itself.
TEST(listener, pauses_when_descriptors_run_out_and_resumes_when_one_is_given_back) {
  in_child([] {
    Kernel kernel;
    const int spare = ::dup(1);
    const int lowest_free = ::dup(1);
    ::close(lowest_free);
    const rlimit limit{.rlim_cur = static_cast<rlim_t>(lowest_free) + 1, .rlim_max = 4096};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    KernelEnd& client = kernel.connect();  // takes the last one
    kernel.turn_until([&] { return kernel.listener->counters().pauses_without_resources == 1; });
    kernel.turn_without_waiting();
    EXPECT_EQ(kernel.servers.size(), 0U);
    kernel.turn_until([&] { return kernel.listener->counters().pauses_without_resources == 2; });  // nothing yet
    EXPECT_EQ(kernel.listener->counters().resumes, 1U);
    ::close(spare);
    kernel.turn_until([&] { return kernel.servers.size() == 1; });
    EXPECT_EQ(kernel.listener->counters().resumes, 2U);
    EXPECT_EQ(kernel.listener->counters().dropped, 0U);
    EXPECT_TRUE(client.send(1, "hello"));
    kernel.turn_until([&] { return kernel.servers[0]->events.received == "hello"; });
    return 0;
  });
}

TEST(listener, may_be_closed_while_it_waits_for_descriptors) {
  in_child([] {
    Kernel kernel;
    const int lowest_free = ::dup(1);
    ::close(lowest_free);
    const rlimit limit{.rlim_cur = static_cast<rlim_t>(lowest_free) + 1, .rlim_max = 4096};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    KernelEnd& client = kernel.connect();
    kernel.turn_until([&] { return kernel.listener->counters().pauses_without_resources == 1; });
    kernel.listener->close();
    kernel.turn_until([&] { return client.events.closed; });
    EXPECT_EQ(kernel.listener->counters().resumes, 0U);
    return 0;
  });
}

TEST(listener, may_be_destroyed_inside_its_accept_callback_while_the_socket_lives_on_and_closes_later) {
  Kernel kernel;
  const std::weak_ptr<Listener> watch = kernel.listener;
  kernel.at_accepted = [&] {
    kernel.listener->close();
    kernel.listener.reset();
  };
  kernel.connect();
  KernelEnd& client = *kernel.clients.back();
  kernel.turn_until([&] { return client.events.has("connected") && !kernel.servers.empty(); });
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(kernel.loop->counts().listeners, 0U);
  KernelEnd& server = *kernel.servers.back();
  EXPECT_TRUE(client.send(1, "hello"));
  kernel.turn_until([&] { return server.events.received == "hello"; });
  server.socket->close(CloseMode::graceful);
  kernel.turn_until([&] { return server.events.closed && client.events.has("ended"); });
  EXPECT_EQ(server.events.log.back(), "closed");
}

TEST(listener, a_socket_that_nobody_adopts_is_destroyed) {
  Kernel kernel(with_cap(1));
  kernel.adopts = false;
  KernelEnd& first = kernel.connect();
  kernel.turn_until([&] { return first.events.closed; });
  KernelEnd& second = kernel.connect();  // the place of the first is free again
  kernel.turn_until([&] { return second.events.closed; });
  EXPECT_EQ(kernel.listener->counters().accepted, 2U);
  EXPECT_EQ(kernel.listener->places_taken(), 0U);
  EXPECT_EQ(kernel.loop->counts().handshaking + kernel.loop->counts().undestroyed - 2, 0U);  // the clients
}

TEST(listener, a_socket_that_was_never_accepted_has_no_listener_to_tell) {
  Kernel kernel(with_cap(1));
  kernel.establish();
  KernelEnd& waiting = kernel.connect();
  kernel.turn_until([&] { return waiting.events.has("connected"); });
  kernel.turn_without_waiting();
  for (const auto& client : kernel.clients) {
    client->socket->destroy();
  }
  kernel.turn_without_waiting();
  EXPECT_TRUE(waiting.events.closed);
  EXPECT_EQ(kernel.listener->places_taken(), 1U);
  EXPECT_EQ(kernel.listener->counters().resumes, 0U);
}

TEST(listener, a_server_that_is_aborted_before_its_handshake_says_so) {
  Kernel kernel;
  kernel.at_accepted = [&] { kernel.servers.back()->socket->close(CloseMode::abort); };
  kernel.connect();
  kernel.turn_until([&] { return !kernel.servers.empty() && kernel.servers[0]->events.closed; });
  EXPECT_EQ(kernel.servers[0]->events.log, (Log{"connected:aborted", "closed:aborted"}));
}

TEST(listener, a_second_close_is_harmless_and_the_backlog_is_reset) {
  Kernel kernel(with_cap(1));
  kernel.establish();
  KernelEnd& waiting = kernel.connect();
  kernel.turn_until([&] { return waiting.events.has("connected"); });
  kernel.listener->close();
  kernel.listener->close();
  kernel.turn_until([&] { return waiting.events.closed; });
  EXPECT_EQ(waiting.events.log.back(), "closed:reset");
  const Endpoint gone = kernel.where;
  KernelEnd& late = kernel.connect({}, &gone);
  kernel.turn_until([&] { return late.events.closed; });
  EXPECT_EQ(late.events.log, (Log{"connected:refused", "closed:refused"}));
}

TEST(listener, says_why_it_cannot_listen) {
  Kernel kernel;
  const auto open = [&](const Endpoint& where) {
    return code_of(Listener::open(kernel.loop, kernel.server_context, where, {}, kernel));
  };
  EXPECT_EQ(open(kernel.where), Code::address_in_use);
  EXPECT_EQ(open({"localhost", 0}), Code::invalid_argument);
  EXPECT_EQ(open({"192.0.2.1", 0}), Code::invalid_argument);
  EXPECT_EQ(kernel.loop->counts().listeners, 1U);
}

// BarrenContext makes no engine.
class BarrenContext final : public Context {
 public:
  std::expected<std::unique_ptr<TlsEngine>, Error> make_engine(const EngineConfig&) const override {
    return std::unexpected(Error(Code::no_memory, "no memory for an engine"));
  }
};

TEST(listener, a_connection_that_gets_no_engine_is_dropped_and_counted) {
  Kernel kernel;
  auto barren = Listener::open(kernel.loop, std::make_shared<BarrenContext>(), {"127.0.0.1", 0}, {}, kernel);
  ASSERT_TRUE(barren);
  KernelEnd& client = kernel.connect({}, &(*barren)->local());
  kernel.turn_until([&] { return client.events.has("ended") || client.events.closed; });
  EXPECT_EQ((*barren)->counters().dropped, 1U);
  EXPECT_EQ((*barren)->counters().accepted, 0U);
  EXPECT_EQ((*barren)->places_taken(), 0U);
  (*barren)->close();
}

TEST(listener, takes_more_connections_than_one_turn_accepts) {
  Kernel kernel;
  for (int i = 0; i < 150; ++i) {
    kernel.connect();
  }
  kernel.turn_until([&] { return kernel.servers.size() == 150; });
  EXPECT_EQ(kernel.listener->counters().accepted, 150U);
}

}  // namespace
}  // namespace rig
