// TCP when system calls fail that seldom do: each fault is planted, so each answer is certain.
#include <gtest/gtest.h>
#include <limits.h>
#include <sys/socket.h>

#include <vector>

#include "harness/socket/tests/allocations.h"
#include "harness/socket/tests/transport_faults.h"
#include "harness/socket/tests/transport_fixture.h"

namespace rig {
namespace {

using namespace test;

const Endpoint anywhere{.host = "127.0.0.1", .port = 1};

TEST(transport_faults, an_interrupted_send_or_recv_goes_on) {
  Loopback pair;
  fail_next(Call::sendmsg, EINTR, 3);
  EXPECT_EQ(send_text(*pair.client, "text"), 4U);
  EXPECT_EQ(failures_left(Call::sendmsg), 0);
  until_readable(*pair.server);
  std::array<std::uint8_t, 8> storage;
  fail_next(Call::recv, EINTR, 3);
  EXPECT_EQ(pair.server->recv(storage), 4U);
  EXPECT_EQ(failures_left(Call::recv), 0);
}

TEST(transport_faults, every_send_forbids_the_signal_and_only_more_holds_back) {
  Loopback pair;
  ASSERT_TRUE(send_text(*pair.client, "x", false));
  EXPECT_EQ(last_sent().flags, MSG_NOSIGNAL | MSG_DONTWAIT);
  ASSERT_TRUE(send_text(*pair.client, "x", true));
  EXPECT_EQ(last_sent().flags, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
}

TEST(transport_faults, more_pieces_than_one_call_takes_are_sent_in_part) {
  Loopback pair;
  const std::vector<ByteView> pieces(IOV_MAX + 10, as_bytes("ab"));
  EXPECT_EQ(pair.client->send(pieces, false), 2U * IOV_MAX);
  EXPECT_EQ(last_sent().pieces, static_cast<std::size_t>(IOV_MAX));
}

TEST(transport_faults, errors_of_a_stream_have_the_class_of_the_table_and_the_name_of_the_call) {
  Loopback pair;
  std::array<std::uint8_t, 8> storage;
  fail_next(Call::sendmsg, ENOBUFS);
  const auto sent = send_text(*pair.client, "x");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code(), Code::no_memory);
  EXPECT_EQ(sent.error().detail(), "sendmsg: No buffer space available");
  EXPECT_EQ(sent.error().number(), ENOBUFS);
  fail_next(Call::recv, ETIMEDOUT);
  EXPECT_EQ(code_of(pair.client->recv(storage)), Code::timeout);
  fail_next(Call::ioctl, EINVAL);
  EXPECT_EQ(code_of(pair.client->unsent_bytes()), Code::invalid_argument);
  fail_next(Call::shutdown, ENOTCONN);
  EXPECT_EQ(code_of(pair.client->shutdown_send()), Code::reset);
}

TEST(transport_faults, a_refused_option_is_said_and_ends_nothing) {
  Loopback pair;
  fail_next(Call::setsockopt, EPERM);
  EXPECT_EQ(code_of(pair.client->set_nodelay(true)), Code::refused_by_system);
  fail_next(Call::setsockopt, ENOMEM);
  EXPECT_EQ(code_of(pair.client->set_buffers(10'000, 10'000)), Code::no_memory);
  fail_next(Call::setsockopt, ENOMEM, 2);
  EXPECT_EQ(code_of(pair.client->set_buffers(10'000, 10'000)), Code::no_memory);
  EXPECT_EQ(failures_left(Call::setsockopt), 0) << "the second buffer was not asked for";
  EXPECT_EQ(send_text(*pair.client, "on"), 2U);
}

// The system makes such a stream writable, like one whose connect failed later.
TEST(transport_faults, a_connect_that_fails_at_once_is_told_by_finish_connect) {
  for (const auto& [errno_value, code] :
       {std::pair{ENETUNREACH, Code::unreachable}, {ECONNREFUSED, Code::refused}, {EAGAIN, Code::refused_by_system}}) {
    fail_next(Call::connect, errno_value);
    const auto refused = connect_tcp(anywhere);
    ASSERT_TRUE(refused);
    until_writable(**refused);
    EXPECT_EQ(code_of((*refused)->finish_connect()), code);
    EXPECT_EQ(code_of((*refused)->finish_connect()), code);
  }
}

TEST(transport_faults, a_connection_that_gets_no_descriptor_is_refused_at_once) {
  fail_next(Call::socket, EMFILE);
  EXPECT_EQ(code_of(connect_tcp(anywhere)), Code::no_descriptors);
  fail_next(Call::socket, EAFNOSUPPORT);
  EXPECT_EQ(code_of(connect_tcp({.host = "::1", .port = 1})), Code::unsupported);
}

TEST(transport_faults, an_interrupted_connect_is_in_progress) {
  fail_next(Call::connect, EINTR);
  const auto connecting = connect_tcp(anywhere);
  ASSERT_TRUE(connecting);
  EXPECT_EQ(code_of((*connecting)->finish_connect()), Code::would_block);
}

TEST(transport_faults, finish_connect_says_what_it_could_not_ask) {
  fail_next(Call::connect, EINPROGRESS);
  const auto connecting = connect_tcp(anywhere);
  ASSERT_TRUE(connecting);
  fail_next(Call::getsockopt, ENOMEM);
  EXPECT_EQ(code_of((*connecting)->finish_connect()), Code::no_memory);
  fail_next(Call::getpeername, ENOBUFS);
  EXPECT_EQ(code_of((*connecting)->finish_connect()), Code::no_memory);
}

TEST(transport_faults, connections_that_died_in_the_backlog_are_skipped) {
  for (const int died :
       {ECONNABORTED, EINTR, EPROTO, ENOPROTOOPT, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH, ENONET, EOPNOTSUPP}) {
    Loopback pair;
    const auto client = connect_tcp(*pair.acceptor->local_endpoint());
    ASSERT_TRUE(client);
    until(pair.acceptor->handle(), POLLIN);
    fail_next(Call::accept4, died, 5);
    EXPECT_TRUE(pair.acceptor->accept()) << died;
    EXPECT_EQ(failures_left(Call::accept4), 0);
  }
}

TEST(transport_faults, accept_gives_up_skipping_some_time_and_takes_the_next_one_later) {
  Loopback pair;
  fail_next(Call::accept4, ECONNABORTED, 1'000'000);
  EXPECT_EQ(code_of(pair.acceptor->accept()), Code::would_block);
  EXPECT_GT(failures_left(Call::accept4), 0);
  fail_next(Call::accept4, 0, 0);
  pair.connect();
}

TEST(transport_faults, accept_says_what_ran_out) {
  Loopback pair;
  fail_next(Call::accept4, ENFILE);
  EXPECT_EQ(code_of(pair.acceptor->accept()), Code::no_descriptors);
  fail_next(Call::accept4, ENOMEM);
  EXPECT_EQ(code_of(pair.acceptor->accept()), Code::no_memory);
}

TEST(transport_faults, listen_says_what_was_refused) {
  fail_next(Call::socket, EACCES);
  EXPECT_EQ(code_of(listen_tcp(anywhere, 1)), Code::refused_by_system);
  fail_next(Call::setsockopt, ENOPROTOOPT);
  EXPECT_TRUE(listen_tcp({.host = "127.0.0.1", .port = 0}, 1).has_value()) << "an option is a wish";
  EXPECT_EQ(failures_left(Call::setsockopt), 0);
  fail_next(Call::listen, EADDRINUSE);
  EXPECT_EQ(code_of(listen_tcp({.host = "127.0.0.1", .port = 0}, 1)), Code::address_in_use);
}

TEST(transport_faults, without_memory_nothing_is_taken_and_nothing_is_lost) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  Loopback pair;
  const Endpoint address = *pair.acceptor->local_endpoint();
  auto client = connect_tcp(address);
  ASSERT_TRUE(client);
  until(pair.acceptor->handle(), POLLIN);
  Code accepted = Code::internal;
  Code connected = Code::internal;
  Code listening = Code::internal;
  {
    const FailingAllocations failing;
    accepted = code_of(pair.acceptor->accept());
    connected = code_of(connect_tcp(address));
    listening = code_of(listen_tcp(address, 1));
  }
  EXPECT_EQ(accepted, Code::no_memory);
  EXPECT_EQ(connected, Code::no_memory);
  EXPECT_EQ(listening, Code::no_memory);
  EXPECT_TRUE(pair.acceptor->accept());
}

TEST(transport_faults, an_address_without_memory_for_its_text_is_refused) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  Loopback pair;
  // A long host, so that its text is not stored within the string itself.
  auto client = connect_tcp({.host = "::ffff:127.0.0.1", .port = pair.acceptor->local_endpoint()->port});
  ASSERT_TRUE(client);
  until_writable(**client);
  EXPECT_EQ((*client)->peer_endpoint()->host, "::ffff:127.0.0.1");
  Code code = Code::internal;
  {
    const FailingAllocations failing;
    code = code_of((*client)->peer_endpoint());
  }
  EXPECT_EQ(code, Code::no_memory);
}

TEST(transport_faults, no_verb_touches_errno) {
  Loopback pair;
  std::array<std::uint8_t, 8> storage;
  errno = EXDEV;
  static_cast<void>(pair.acceptor->accept());
  static_cast<void>(pair.client->recv(storage));
  static_cast<void>(pair.client->peer_endpoint());
  static_cast<void>(connect_tcp(anywhere));
  static_cast<void>(listen_tcp({.host = "192.0.2.1", .port = 0}, 1));
  pair.server->close(true);
  static_cast<void>(pair.client->finish_connect());
  static_cast<void>(send_text(*pair.client, "x"));
  static_cast<void>(pair.client->unsent_bytes());
  static_cast<void>(pair.client->shutdown_send());
  static_cast<void>(pair.client->set_nodelay(true));
  static_cast<void>(pair.client->set_buffers(1, 1));
  pair.client->close(true);
  pair.acceptor->close();
  EXPECT_EQ(errno, EXDEV);
}

}  // namespace
}  // namespace rig
