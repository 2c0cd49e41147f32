// Connections: how they begin, carry and end.
#include "harness/lab/kernel/tests/conformance.h"

namespace rig::lab {

INSTANTIATE_TEST_SUITE_P(kernel, Conformance, testing::Values(World::loopback, World::lab),
                         [](const auto& one) { return one.param == World::lab ? "lab" : "loopback"; });

namespace {

constexpr short all_in = POLLIN | POLLRDHUP;

RIG_CONFORMANCE(a_connection_carries_bytes_both_ways) {
  Tcp tcp = connected();
  send_all(tcp.client, "ping");
  EXPECT_EQ(receive(tcp.server, 4), "ping");
  send_all(tcp.server, "pong!");
  EXPECT_EQ(receive(tcp.client, 5), "pong!");
}

RIG_CONFORMANCE(a_connection_over_ipv6_carries_bytes) {
  Tcp tcp = connected(AF_INET6);
  send_all(tcp.client, "six");
  EXPECT_EQ(receive(tcp.server, 3), "six");
  EXPECT_EQ(name_of(tcp.client).address.any.sa_family, AF_INET6);
}

RIG_CONFORMANCE(an_ipv4_client_reaches_a_dual_stack_listener) {
  Fd listener(::socket(AF_INET6, SOCK_STREAM, 0));
  set_int(listener, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  Target any = loopback(AF_INET6);
  any.address.v6.sin6_addr = IN6ADDR_ANY_INIT;
  ASSERT_EQ(::bind(listener, &any.address.any, any.bytes), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  const Fd client = connect_to(loopback(AF_INET, port_of(name_of(listener))));
  Target peer;
  const Fd server(::accept(listener, &peer.address.any, &peer.bytes));
  ASSERT_GE(server, 0);
  EXPECT_EQ(peer.address.any.sa_family, AF_INET6);
  EXPECT_TRUE(IN6_IS_ADDR_V4MAPPED(&peer.address.v6.sin6_addr));
}

RIG_CONFORMANCE(connect_to_a_port_without_listener_is_refused) {
  const Target target = name_of(listen_on(AF_INET));  // closed at once
  const Fd client(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
  EXPECT_EQ(error_of(client), 0);
}

RIG_CONFORMANCE(a_socket_that_was_refused_connects_again) {
  const Target target = name_of(listen_on(AF_INET));
  const Fd client(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), -1);
  const Fd listener = listen_on(AF_INET);
  const Target there = name_of(listener);
  EXPECT_EQ(::connect(client, &there.address.any, there.bytes), 0) << std::strerror(errno);
}

RIG_CONFORMANCE(a_nonblocking_connect_is_in_progress_and_then_writable) {
  const Fd listener = listen_on(AF_INET);
  const Target target = name_of(listener);
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), -1);
  EXPECT_EQ(errno, EINPROGRESS);
  EXPECT_EQ(wait_events(client, POLLOUT), POLLOUT);
  EXPECT_EQ(error_of(client), 0);
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), 0);
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), -1);
  EXPECT_EQ(errno, EISCONN);
}

RIG_CONFORMANCE(a_nonblocking_connect_that_is_refused_reports_it_by_poll_and_once) {
  const Target target = name_of(listen_on(AF_INET));
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), -1);
  EXPECT_EQ(errno, EINPROGRESS);
  EXPECT_EQ(wait_events(client, POLLOUT | POLLIN), POLLOUT | POLLIN | POLLERR | POLLHUP);
  EXPECT_EQ(error_of(client), ECONNREFUSED);
  EXPECT_EQ(error_of(client), 0);
  char byte = 0;
  EXPECT_EQ(::recv(client, &byte, 1, 0), 0);
}

RIG_CONFORMANCE(a_second_connect_answers_the_refusal) {
  const Target target = name_of(listen_on(AF_INET));
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), -1);
  wait_events(client, POLLOUT);
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
}

RIG_CONFORMANCE(a_full_backlog_leaves_connects_pending) {
  Fd listener = listen_on(AF_INET, 0);
  const Target target = name_of(listener);
  const Fd first = connect_to(target);
  const Fd second(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_EQ(::connect(second, &target.address.any, target.bytes), -1);
  EXPECT_EQ(errno, EINPROGRESS);
  pollfd one{.fd = second, .events = POLLOUT, .revents = 0};
  EXPECT_EQ(::poll(&one, 1, 50), 0);
  EXPECT_EQ(::connect(second, &target.address.any, target.bytes), -1);
  EXPECT_EQ(errno, EALREADY);
  char byte = 'x';
  EXPECT_EQ(::send(second, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(::recv(second, &byte, 1, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
  const Fd accepted(::accept(listener, nullptr, nullptr));
  EXPECT_EQ(wait_events(second, POLLOUT), POLLOUT);
  const Fd other(::accept(listener, nullptr, nullptr));
  EXPECT_GE(other, 0);
}

RIG_CONFORMANCE(accept_answers_in_the_order_of_connecting) {
  const Fd listener = listen_on(AF_INET);
  const Target target = name_of(listener);
  std::vector<Fd> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(connect_to(target));
  }
  for (const Fd& client : clients) {
    Target peer;
    const Fd server(::accept(listener, &peer.address.any, &peer.bytes));
    EXPECT_EQ(port_of(peer), port_of(name_of(client)));
    EXPECT_EQ(peer.bytes, sizeof(sockaddr_in));
  }
}

RIG_CONFORMANCE(a_nonblocking_accept_of_nothing_is_would_block) {
  const Fd listener = listen_on(AF_INET, 4, SOCK_NONBLOCK);
  EXPECT_EQ(look(listener, POLLIN | POLLOUT), 0);
  EXPECT_EQ(::accept(listener, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN);
  const Fd client = connect_to(name_of(listener));
  EXPECT_EQ(wait_events(listener, POLLIN | POLLOUT), POLLIN);
}

RIG_CONFORMANCE(accept4_sets_the_flags_that_it_is_given_and_inherits_none) {
  const Fd listener = listen_on(AF_INET, 4, SOCK_NONBLOCK);
  const Fd one = connect_to(name_of(listener));
  const Fd other = connect_to(name_of(listener));
  wait_events(listener, POLLIN);
  const Fd plain(::accept(listener, nullptr, nullptr));
  EXPECT_EQ(::fcntl(plain, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(::fcntl(plain, F_GETFD), 0);
  wait_events(listener, POLLIN);
  const Fd flagged(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  EXPECT_NE(::fcntl(flagged, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(::fcntl(flagged, F_GETFD), FD_CLOEXEC);
}

RIG_CONFORMANCE(accept_on_what_does_not_listen_is_invalid) {
  const Fd idle(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(::accept(idle, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EINVAL);
}

RIG_CONFORMANCE(a_shutdown_ends_the_accept_of_another_thread) {
  const Fd listener = listen_on(AF_INET);
  int answer = 0;
  int why = 0;
  std::thread accepting([&] {
    answer = ::accept(listener, nullptr, nullptr);
    why = errno;
  });
  EXPECT_EQ(::shutdown(listener, SHUT_RDWR), 0);
  accepting.join();
  EXPECT_EQ(answer, -1);
  EXPECT_EQ(why, EINVAL);
}

RIG_CONFORMANCE(closing_a_listener_resets_who_was_not_accepted) {
  Fd listener = listen_on(AF_INET);
  const Fd client = connect_to(name_of(listener));
  listener.close();
  char byte = 0;
  EXPECT_EQ(::recv(client, &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

RIG_CONFORMANCE(the_peers_close_is_readable_end_of_file) {
  Tcp tcp = connected();
  send_all(tcp.client, "last");
  tcp.client.close();
  EXPECT_EQ(receive(tcp.server, 4), "last");
  EXPECT_TRUE(await_all(tcp.server, all_in));
  EXPECT_EQ(look(tcp.server, all_in | POLLOUT), all_in | POLLOUT);
  char byte = 0;
  EXPECT_EQ(::recv(tcp.server, &byte, 1, 0), 0);
  EXPECT_EQ(::recv(tcp.server, &byte, 1, 0), 0);
}

RIG_CONFORMANCE(a_half_closed_connection_still_carries_the_other_way) {
  Tcp tcp = connected();
  EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
  EXPECT_TRUE(await_all(tcp.server, all_in));
  char byte = 0;
  EXPECT_EQ(::recv(tcp.server, &byte, 1, 0), 0);
  send_all(tcp.server, "still");
  EXPECT_EQ(receive(tcp.client, 5), "still");
}

RIG_CONFORMANCE(poll_reports_hup_and_in_after_both_sides_have_shut_down) {
  Tcp tcp = connected();
  EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
  EXPECT_EQ(::shutdown(tcp.server, SHUT_WR), 0);
  EXPECT_TRUE(await_all(tcp.client, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
  EXPECT_TRUE(await_all(tcp.server, POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
}

RIG_CONFORMANCE(getpeername_of_a_connection_that_is_over_is_not_connected) {
  Tcp tcp = connected();
  Target peer;
  EXPECT_EQ(::getpeername(tcp.client, &peer.address.any, &peer.bytes), 0);
  EXPECT_EQ(port_of(peer), port_of(name_of(tcp.server)));
  EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
  EXPECT_TRUE(await_all(tcp.server, all_in));
  EXPECT_EQ(::shutdown(tcp.server, SHUT_WR), 0);
  EXPECT_TRUE(await_all(tcp.client, POLLHUP));
  EXPECT_EQ(::getpeername(tcp.client, &peer.address.any, &peer.bytes), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

RIG_CONFORMANCE(close_with_unread_data_resets_the_peer) {
  Tcp tcp = connected();
  send_all(tcp.client, "unread");
  wait_events(tcp.server, POLLIN);
  tcp.server.close();
  EXPECT_TRUE(await_all(tcp.client, POLLIN | POLLERR | POLLHUP));
  EXPECT_EQ(look(tcp.client, POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
  char byte = 0;
  EXPECT_EQ(::recv(tcp.client, &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(::recv(tcp.client, &byte, 1, 0), 0);
}

RIG_CONFORMANCE(a_linger_of_zero_resets_the_peer) {
  Tcp tcp = connected();
  reset_on_close(tcp.server);
  tcp.server.close();
  EXPECT_TRUE(await_all(tcp.client, POLLERR | POLLHUP));
  EXPECT_EQ(error_of(tcp.client), ECONNRESET);
  EXPECT_EQ(look(tcp.client, POLLIN), POLLIN | POLLHUP);
}

RIG_CONFORMANCE(data_that_came_before_a_reset_can_be_read) {
  Tcp tcp = connected();
  send_all(tcp.server, "before");
  wait_events(tcp.client, POLLIN);
  reset_on_close(tcp.server);
  tcp.server.close();
  EXPECT_TRUE(await_all(tcp.client, POLLERR | POLLHUP));
  EXPECT_EQ(receive(tcp.client, 6), "before");
  char byte = 0;
  EXPECT_EQ(::recv(tcp.client, &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

RIG_CONFORMANCE(the_first_send_after_a_reset_is_reset_and_the_next_a_broken_pipe) {
  Tcp tcp = connected();
  reset_on_close(tcp.server);
  tcp.server.close();
  EXPECT_TRUE(await_all(tcp.client, POLLERR | POLLHUP));
  const char byte = 'x';
  EXPECT_EQ(::send(tcp.client, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(::send(tcp.client, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

RIG_CONFORMANCE(data_to_a_closed_peer_bring_a_reset_that_is_a_broken_pipe) {
  Tcp tcp = connected();
  tcp.server.close();
  EXPECT_TRUE(await_all(tcp.client, all_in));
  send_all(tcp.client, "too late");
  EXPECT_TRUE(await_all(tcp.client, POLLERR | POLLHUP));
  EXPECT_EQ(error_of(tcp.client), EPIPE);
  char byte = 0;
  EXPECT_EQ(::recv(tcp.client, &byte, 1, 0), 0);
}

RIG_CONFORMANCE(send_after_shutdown_is_epipe) {
  Tcp tcp = connected();
  EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
  EXPECT_EQ(look(tcp.client, POLLOUT), POLLOUT);
  const char byte = 'x';
  EXPECT_EQ(::send(tcp.client, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
  EXPECT_EQ(::send(tcp.client, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

volatile std::sig_atomic_t signals_seen = 0;

RIG_CONFORMANCE(a_broken_pipe_raises_the_signal_unless_it_is_told_not_to) {
  Tcp tcp = connected();
  EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
  signals_seen = 0;
  std::signal(SIGPIPE, [](int) { signals_seen = signals_seen + 1; });
  const char byte = 'x';
  EXPECT_EQ(::send(tcp.client, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(signals_seen, 0);
  EXPECT_EQ(::send(tcp.client, &byte, 1, 0), -1);
  EXPECT_EQ(signals_seen, 1);
  EXPECT_EQ(::write(tcp.client, &byte, 1), -1);
  EXPECT_EQ(signals_seen, 2);
  std::signal(SIGPIPE, SIG_IGN);
}

RIG_CONFORMANCE(shutdown_of_reading_is_end_of_file_at_once) {
  Tcp tcp = connected();
  EXPECT_EQ(::shutdown(tcp.client, SHUT_RD), 0);
  EXPECT_EQ(look(tcp.client, all_in), all_in);
  char byte = 0;
  EXPECT_EQ(::recv(tcp.client, &byte, 1, 0), 0);
}

RIG_CONFORMANCE(shutdown_of_what_is_not_connected_is_refused) {
  const Fd idle(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(::shutdown(idle, SHUT_WR), -1);
  EXPECT_EQ(errno, ENOTCONN);
  Tcp tcp = connected();
  EXPECT_EQ(::shutdown(tcp.client, 7), -1);
  EXPECT_EQ(errno, EINVAL);
}

RIG_CONFORMANCE(a_socket_that_was_never_connected_hangs_up_and_takes_nothing) {
  const Fd idle(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(look(idle, POLLIN | POLLOUT), POLLOUT | POLLHUP);
  char byte = 'x';
  EXPECT_EQ(::send(idle, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
  EXPECT_EQ(::recv(idle, &byte, 1, 0), -1);
  EXPECT_EQ(errno, ENOTCONN);
  Target peer;
  EXPECT_EQ(::getpeername(idle, &peer.address.any, &peer.bytes), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

RIG_CONFORMANCE(a_close_sends_what_the_reader_has_no_room_for_yet) {
  Tcp tcp = connected(AF_INET, true, 8192);
  const std::size_t sent = fill(tcp.client);
  tcp.client.close();
  EXPECT_EQ(drain(tcp.server, sent + 1), sent);
}

RIG_CONFORMANCE(shutdown_of_both_ways_answers_data_with_a_reset) {
  Tcp tcp = connected();
  EXPECT_EQ(::shutdown(tcp.server, SHUT_RDWR), 0);
  EXPECT_EQ(look(tcp.server, POLLIN), POLLIN | POLLHUP);
  EXPECT_TRUE(await_all(tcp.client, all_in));
  send_all(tcp.client, "nobody reads this");
  EXPECT_TRUE(await_all(tcp.client, POLLERR | POLLHUP));
  EXPECT_EQ(error_of(tcp.client), EPIPE);
}

RIG_CONFORMANCE(a_blocking_linger_waits_until_the_peer_has_it_all) {
  Tcp tcp = connected(AF_INET, false);
  const linger patience{.l_onoff = 1, .l_linger = 10};
  EXPECT_EQ(::setsockopt(tcp.client, SOL_SOCKET, SO_LINGER, &patience, sizeof patience), 0);
  send_all(tcp.client, "all of it");
  tcp.client.close();
  EXPECT_EQ(look(tcp.server, all_in), all_in);
}

}  // namespace
}  // namespace rig::lab
