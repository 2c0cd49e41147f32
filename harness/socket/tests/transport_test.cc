// TCP on the loopback, as the system has it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <thread>
#include <vector>

#include "harness/socket/tests/transport_fixture.h"

namespace rig {
namespace {

using namespace test;

TEST(transport_endpoint, text_puts_brackets_around_ipv6) {
  EXPECT_EQ(endpoint_text({.host = "127.0.0.1", .port = 80}), "127.0.0.1:80");
  EXPECT_EQ(endpoint_text({.host = "::1", .port = 65535}), "[::1]:65535");
}

class transport_family : public testing::TestWithParam<const char*> {};

std::string family_name(const testing::TestParamInfo<const char*>& family) {
  return std::string(family.param) == "::1" ? "ipv6" : "ipv4";
}

INSTANTIATE_TEST_SUITE_P(all, transport_family, testing::Values("127.0.0.1", "::1"), family_name);

TEST_P(transport_family, connects_and_carries_bytes_both_ways) {
  Loopback pair(GetParam());
  EXPECT_EQ(send_text(*pair.client, "ping"), 4U);
  EXPECT_EQ(receive(*pair.server, 4), "ping");
  EXPECT_EQ(send_text(*pair.server, "pong"), 4U);
  EXPECT_EQ(receive(*pair.client, 4), "pong");
  EXPECT_TRUE(pair.server->finish_connect());
}

TEST_P(transport_family, knows_both_addresses) {
  Loopback pair(GetParam());
  EXPECT_EQ(pair.client->peer_endpoint()->host, GetParam());
  EXPECT_EQ(endpoint_text(*pair.client->peer_endpoint()), endpoint_text(*pair.acceptor->local_endpoint()));
  EXPECT_EQ(endpoint_text(*pair.client->local_endpoint()), endpoint_text(*pair.server->peer_endpoint()));
  EXPECT_EQ(endpoint_text(*pair.client->peer_endpoint()), endpoint_text(*pair.server->local_endpoint()));
}

TEST_P(transport_family, every_descriptor_closes_on_exec_and_never_blocks) {
  Loopback pair(GetParam());
  for (const NativeHandle handle : {pair.acceptor->handle(), pair.client->handle(), pair.server->handle()}) {
    const int descriptor = *posix_descriptor(handle);
    EXPECT_NE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(descriptor, F_GETFL) & O_NONBLOCK, 0);
  }
}

TEST_P(transport_family, a_refused_connection_says_so_each_time_it_is_asked) {
  auto acceptor = listen_tcp({.host = GetParam(), .port = 0}, 1);
  ASSERT_TRUE(acceptor);
  const Endpoint nobody = *(*acceptor)->local_endpoint();
  (*acceptor)->close();
  auto connecting = connect_tcp(nobody);
  if (!connecting) {
    EXPECT_EQ(connecting.error().code(), Code::refused);
    return;
  }
  until_writable(**connecting);
  for (int i = 0; i < 2; ++i) {
    const Status finished = (*connecting)->finish_connect();
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().code(), Code::refused);
    EXPECT_EQ(finished.error().number(), ECONNREFUSED);
    EXPECT_EQ(finished.error().detail(), "connect: Connection refused");
  }
}

TEST(transport_hosts, only_numeric_hosts_are_addresses) {
  using namespace std::string_literals;
  for (const std::string& host : {""s, "localhost"s, "127.0.0"s, "127.0.0.1.2"s, "256.0.0.1"s, "[::1]"s, ":::"s,
                                  "::1%lo"s, " 127.0.0.1"s, "127.0.0.1\0"s, "::1\0.example"s, std::string(5000, '1')}) {
    EXPECT_EQ(code_of(connect_tcp({.host = host, .port = 1})), Code::invalid_argument) << host;
    EXPECT_EQ(code_of(listen_tcp({.host = host, .port = 0}, 1)), Code::invalid_argument) << host;
  }
}

TEST(transport_connect, is_in_progress_while_the_peers_backlog_is_full) {
  auto acceptor = listen_tcp({.host = "127.0.0.1", .port = 0}, 0);
  ASSERT_TRUE(acceptor);
  auto first = connect_tcp(*(*acceptor)->local_endpoint());  // takes the only place
  ASSERT_TRUE(first);
  until_writable(**first);
  auto second = connect_tcp(*(*acceptor)->local_endpoint());
  ASSERT_TRUE(second);
  EXPECT_EQ(code_of((*second)->finish_connect()), Code::would_block);
  EXPECT_EQ(code_of((*second)->finish_connect()), Code::would_block);
  EXPECT_TRUE((*first)->finish_connect());
}

TEST(transport_connect, once_done_leaves_later_errors_to_send_and_recv) {
  Loopback pair;
  pair.server->close(true);
  until_readable(*pair.client);
  EXPECT_TRUE(pair.client->finish_connect());
  std::array<std::uint8_t, 8> storage;
  EXPECT_EQ(code_of(pair.client->recv(storage)), Code::reset);
}

TEST(transport_stream, recv_would_block_when_nothing_is_there) {
  Loopback pair;
  std::array<std::uint8_t, 8> storage;
  EXPECT_EQ(code_of(pair.client->recv(storage)), Code::would_block);
}

TEST(transport_stream, pieces_are_joined_and_empty_ones_add_nothing) {
  Loopback pair;
  const std::array<ByteView, 4> pieces{as_bytes("one "), as_bytes(""), as_bytes("two "), as_bytes("three")};
  EXPECT_EQ(pair.client->send(pieces, false), 13U);
  EXPECT_EQ(receive(*pair.server, 13), "one two three");
}

TEST(transport_stream, a_full_buffer_takes_a_prefix_and_then_would_block) {
  Loopback pair;
  ASSERT_TRUE(pair.client->set_buffers(20'000, 0));
  ASSERT_TRUE(pair.server->set_buffers(0, 20'000));
  std::string text(8'000'000, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) {
    text[i] = static_cast<char>(i * 7 + i / 251);
  }
  const auto taken = send_text(*pair.client, text);
  ASSERT_TRUE(taken);
  EXPECT_GT(*taken, 0U);
  EXPECT_LT(*taken, text.size());
  std::size_t sent = *taken;
  std::string received;
  bool blocked = false;
  while (received.size() < text.size()) {
    const auto next = sent < text.size() ? send_text(*pair.client, std::string_view(text).substr(sent)) : 0;
    if (next) {
      sent += *next;
    } else {
      ASSERT_EQ(next.error().code(), Code::would_block);
      blocked = true;
    }
    received += receive(*pair.server, std::min<std::size_t>(sent - received.size(), 30'000));
  }
  EXPECT_TRUE(blocked);
  EXPECT_TRUE(received == text);
}

TEST(transport_stream, the_end_of_one_direction_leaves_the_other_open) {
  Loopback pair;
  ASSERT_EQ(send_text(*pair.client, "last"), 4U);
  ASSERT_TRUE(pair.client->shutdown_send());
  EXPECT_EQ(receive(*pair.server, 4), "last");
  std::array<std::uint8_t, 8> storage;
  until_readable(*pair.server);
  EXPECT_EQ(pair.server->recv(storage), 0U);
  EXPECT_EQ(pair.server->recv(storage), 0U);
  EXPECT_EQ(send_text(*pair.server, "answer"), 6U);
  EXPECT_EQ(receive(*pair.client, 6), "answer");
  EXPECT_EQ(code_of(send_text(*pair.client, "too late")), Code::reset);
}

TEST(transport_stream, unsent_bytes_fall_to_nothing_once_the_peer_has_all_and_the_fin) {
  Loopback pair;
  EXPECT_EQ(pair.client->unsent_bytes(), 0U);
  ASSERT_TRUE(pair.client->set_buffers(20'000, 0));
  ASSERT_TRUE(pair.server->set_buffers(0, 20'000));
  const std::size_t total = fill(*pair.client);
  const auto unsent = pair.client->unsent_bytes();
  ASSERT_TRUE(unsent);
  EXPECT_GT(*unsent, 0U);
  ASSERT_TRUE(pair.client->shutdown_send());
  EXPECT_EQ(receive(*pair.server, total).size(), total);
  std::array<std::uint8_t, 8> storage;
  until_readable(*pair.server);
  EXPECT_EQ(pair.server->recv(storage), 0U);
  // The peer's FIN in answer carries the acknowledgement of all of ours.
  ASSERT_TRUE(pair.server->shutdown_send());
  until_readable(*pair.client);
  EXPECT_EQ(pair.client->recv(storage), 0U);
  EXPECT_EQ(pair.client->unsent_bytes(), 0U);
}

TEST(transport_stream, send_and_recv_may_run_on_two_threads) {
  Loopback pair;
  constexpr std::size_t total = 2'000'000;
  std::thread sender([&] {
    const std::string block(50'000, 's');
    for (std::size_t sent = 0; sent < total;) {
      until_writable(*pair.client);
      sent += send_text(*pair.client, std::string_view(block).substr(0, total - sent)).value_or(0);
    }
  });
  std::thread echo([&] {
    for (std::size_t echoed = 0; echoed < total;) {
      const std::string text = receive(*pair.server, std::min<std::size_t>(total - echoed, 30'000));
      for (std::size_t sent = 0; sent < text.size();) {
        until_writable(*pair.server);
        sent += send_text(*pair.server, std::string_view(text).substr(sent)).value_or(0);
      }
      echoed += text.size();
    }
  });
  EXPECT_EQ(receive(*pair.client, total).size(), total);
  sender.join();
  echo.join();
}

TEST(transport_close, gives_the_descriptor_back_once) {
  Loopback pair;
  const int descriptor = descriptor_of(*pair.client);
  pair.client->close(false);
  EXPECT_EQ(::fcntl(descriptor, F_GETFD), -1);
  // Whoever has the number next keeps it, whatever is asked of the closed transport.
  ASSERT_EQ(::dup2(2, descriptor), descriptor);
  pair.client->close(false);
  pair.client->close(true);
  pair.client.reset();
  EXPECT_NE(::fcntl(descriptor, F_GETFD), -1);
  ::close(descriptor);
  std::array<std::uint8_t, 8> storage;
  until_readable(*pair.server);
  EXPECT_EQ(pair.server->recv(storage), 0U);
}

TEST(transport_close, every_verb_on_a_closed_transport_says_closed) {
  Loopback pair;
  Transport& closed = *pair.client;
  closed.close(false);
  std::array<std::uint8_t, 8> storage;
  EXPECT_FALSE(closed.handle().valid());
  EXPECT_EQ(code_of(closed.finish_connect()), Code::closed);
  EXPECT_EQ(code_of(send_text(closed, "x")), Code::closed);
  EXPECT_EQ(code_of(closed.push()), Code::closed);
  EXPECT_EQ(code_of(closed.recv(storage)), Code::closed);
  EXPECT_EQ(code_of(closed.shutdown_send()), Code::closed);
  EXPECT_EQ(code_of(closed.unsent_bytes()), Code::closed);
  EXPECT_EQ(code_of(closed.set_nodelay(true)), Code::closed);
  EXPECT_EQ(code_of(closed.set_buffers(1, 1)), Code::closed);
  EXPECT_EQ(code_of(closed.local_endpoint()), Code::closed);
  EXPECT_EQ(code_of(closed.peer_endpoint()), Code::closed);
  pair.acceptor->close();
  pair.acceptor->close();
  EXPECT_FALSE(pair.acceptor->handle().valid());
  EXPECT_EQ(code_of(pair.acceptor->accept()), Code::closed);
  EXPECT_EQ(code_of(pair.acceptor->local_endpoint()), Code::closed);
}

TEST(transport_close, with_reset_drops_what_is_unsent_and_the_peer_learns_of_it) {
  Loopback pair;
  fill(*pair.client);
  pair.client->close(true);
  std::array<std::uint8_t, 65536> storage;
  until(pair.server->handle(), POLLHUP);
  Code code = Code::internal;
  while (code == Code::internal) {  // what had arrived may be read first
    code = code_of(pair.server->recv(storage));
  }
  EXPECT_EQ(code, Code::reset);
}

TEST(transport_close, sending_to_a_dead_peer_raises_no_signal) {
  in_child([] {
    std::signal(SIGPIPE, SIG_DFL);
    Loopback pair;
    pair.server->close(true);
    until(pair.client->handle(), POLLHUP);
    const bool first = code_of(send_text(*pair.client, "x")) == Code::reset;
    const bool again = code_of(send_text(*pair.client, "x")) == Code::reset;  // EPIPE, which would raise SIGPIPE
    return first && again ? 0 : 1;
  });
}

TEST(transport_close, the_peer_of_a_reset_stream_can_still_be_asked) {
  Loopback pair;
  pair.server->close(true);
  until(pair.client->handle(), POLLHUP);
  EXPECT_TRUE(pair.client->unsent_bytes());
  EXPECT_EQ(code_of(pair.client->peer_endpoint()), Code::reset);
  EXPECT_EQ(code_of(pair.client->shutdown_send()), Code::reset);
}

TEST(transport_send, what_was_sent_with_more_waits_for_a_push) {
  Loopback pair;
  const auto not_sent = [&] {
    int bytes = -1;
    EXPECT_EQ(::ioctl(descriptor_of(*pair.client), SIOCOUTQNSD, &bytes), 0);
    return bytes;
  };
  ASSERT_TRUE(send_text(*pair.client, "ping", true));
  EXPECT_EQ(not_sent(), 4);
  ASSERT_TRUE(pair.client->push());
  EXPECT_EQ(not_sent(), 0);
  EXPECT_EQ(receive(*pair.server, 4), "ping");
}

TEST(transport_options, are_set) {
  Loopback pair;
  const auto option = [&](int level, int name) {
    int value = -1;
    socklen_t bytes = sizeof value;
    EXPECT_EQ(::getsockopt(descriptor_of(*pair.client), level, name, &value, &bytes), 0);
    return value;
  };
  ASSERT_TRUE(pair.client->set_nodelay(true));
  EXPECT_NE(option(IPPROTO_TCP, TCP_NODELAY), 0);
  ASSERT_TRUE(pair.client->set_nodelay(false));
  EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 0);
  const int before = option(SOL_SOCKET, SO_RCVBUF);
  ASSERT_TRUE(pair.client->set_buffers(30'000, 0));
  EXPECT_EQ(option(SOL_SOCKET, SO_SNDBUF), 60'000);  // socket(7): the system doubles it
  EXPECT_EQ(option(SOL_SOCKET, SO_RCVBUF), before);
  ASSERT_TRUE(pair.client->set_buffers(0, 30'000));
  EXPECT_EQ(option(SOL_SOCKET, SO_RCVBUF), 60'000);
  EXPECT_TRUE(pair.client->set_buffers(static_cast<std::size_t>(-1), 0));
}

TEST(transport_descriptors, zero_is_a_descriptor_like_any_other) {
  in_child([] {
    Loopback pair;
    ::close(0);
    pair.connect();
    const bool zero = pair.client->handle() == NativeHandle(0) && pair.client->handle().valid();
    const bool sent = send_text(*pair.client, "zero") == 4U && receive(*pair.server, 4) == "zero";
    pair.client->close(true);
    return zero && sent && ::fcntl(0, F_GETFD) == -1 ? 0 : 1;
  });
}

TEST(transport_accept, would_block_when_nobody_is_waiting) {
  Loopback pair;
  EXPECT_EQ(code_of(pair.acceptor->accept()), Code::would_block);
}

TEST(transport_accept, a_connection_waits_in_the_backlog_while_no_descriptor_is_free) {
  in_child([] {
    Loopback pair;
    auto waiting = connect_tcp(*pair.acceptor->local_endpoint());
    until(pair.acceptor->handle(), POLLIN);
    const int next = ::dup(2);
    ::close(next);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit full{.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &full);
    const bool refused = code_of(pair.acceptor->accept()) == Code::no_descriptors &&
                         code_of(pair.acceptor->accept()) == Code::no_descriptors &&
                         code_of(connect_tcp({.host = "127.0.0.1", .port = 1})) == Code::no_descriptors &&
                         code_of(listen_tcp({.host = "127.0.0.1", .port = 0}, 1)) == Code::no_descriptors;
    ::setrlimit(RLIMIT_NOFILE, &before);
    return refused && pair.acceptor->accept().has_value() ? 0 : 1;
  });
}

TEST(transport_listen, says_what_is_wrong_with_an_address) {
  auto acceptor = listen_tcp({.host = "127.0.0.1", .port = 0}, 1);
  ASSERT_TRUE(acceptor);
  EXPECT_EQ(code_of(listen_tcp(*(*acceptor)->local_endpoint(), 1)), Code::address_in_use);
  // 192.0.2.0/24 is reserved for documentation (RFC 5737): no machine has it.
  const auto foreign = listen_tcp({.host = "192.0.2.1", .port = 0}, 1);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code(), Code::invalid_argument);
  EXPECT_EQ(foreign.error().detail(), "bind: the address is not one of this machine's");
}

TEST(transport_listen, a_port_whose_last_connection_has_just_ended_can_be_taken_again) {
  Loopback pair;
  const Endpoint address = *pair.acceptor->local_endpoint();
  pair.server->close(false);  // the side that closes first is the one that waits in TIME_WAIT
  until_readable(*pair.client);
  pair.client->close(false);
  pair.acceptor->close();
  EXPECT_TRUE(listen_tcp(address, 1));
}

TEST(transport_listen, an_ipv6_listener_leaves_the_ipv4_port_free) {
  auto wide = listen_tcp({.host = "::", .port = 0}, 1);
  ASSERT_TRUE(wide);
  EXPECT_TRUE(listen_tcp({.host = "0.0.0.0", .port = (*wide)->local_endpoint()->port}, 1));
}

TEST(transport_death, recv_into_nothing_is_a_bug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Loopback pair;
  EXPECT_DEATH(static_cast<void>(pair.client->recv({})), "check failed");
}

}  // namespace
}  // namespace rig
