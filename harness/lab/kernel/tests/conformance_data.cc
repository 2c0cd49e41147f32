// Bytes: buffers, flags, options, descriptors.
#include <linux/sockios.h>

#include "harness/lab/kernel/tests/conformance.h"

namespace rig::lab {
namespace {

RIG_CONFORMANCE(a_full_buffer_takes_a_part_and_then_would_block) {
  Tcp tcp = connected(AF_INET, true, 8192);
  const std::string much(4 << 20, 'm');
  const ssize_t part = ::send(tcp.client, much.data(), much.size(), MSG_NOSIGNAL);
  EXPECT_GT(part, 0);
  EXPECT_LT(part, static_cast<ssize_t>(much.size()));
  fill(tcp.client);
  EXPECT_EQ(look(tcp.client, POLLOUT), 0);
  EXPECT_EQ(::send(tcp.client, much.data(), 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EAGAIN);
}

RIG_CONFORMANCE(write_space_returns_after_the_reader_drained) {
  Tcp tcp = connected(AF_INET, true, 8192);
  const std::size_t sent = fill(tcp.client);
  EXPECT_EQ(look(tcp.client, POLLOUT), 0);
  EXPECT_EQ(drain(tcp.server, sent), sent);
  EXPECT_EQ(wait_events(tcp.client, POLLOUT), POLLOUT);
  const char byte = 'x';
  EXPECT_EQ(::send(tcp.client, &byte, 1, MSG_NOSIGNAL), 1);
}

RIG_CONFORMANCE(a_blocking_send_waits_for_the_reader) {
  Tcp tcp = connected(AF_INET, false, 8192);
  const std::string much(1 << 20, 'm');
  std::thread reading([&] { EXPECT_EQ(drain(tcp.server, much.size()), much.size()); });
  EXPECT_EQ(::send(tcp.client, much.data(), much.size(), MSG_NOSIGNAL), static_cast<ssize_t>(much.size()));
  reading.join();
}

RIG_CONFORMANCE(a_blocking_receive_waits_for_the_sender) {
  Tcp tcp = connected(AF_INET, false);
  std::thread sending([&] { send_all(tcp.client, "here"); });
  char bytes[8] = "";
  EXPECT_GE(::recv(tcp.server, bytes, sizeof bytes, 0), 1);
  sending.join();
}

RIG_CONFORMANCE(a_reset_ends_a_blocked_send) {
  Tcp tcp = connected(AF_INET, false, 8192);
  const std::string much(8 << 20, 'm');
  ssize_t first = 0;
  int why = 0;
  std::thread sending([&] {
    first = ::send(tcp.client, much.data(), much.size(), MSG_NOSIGNAL);
    const ssize_t second = first < 0 ? first : ::send(tcp.client, much.data(), much.size(), MSG_NOSIGNAL);
    why = second < 0 ? errno : 0;
  });
  EXPECT_EQ(drain(tcp.server, 100), 100U);
  reset_on_close(tcp.server);
  tcp.server.close();
  sending.join();
  EXPECT_LT(first, static_cast<ssize_t>(much.size()));
  EXPECT_EQ(why, ECONNRESET);
}

RIG_CONFORMANCE(a_peek_takes_nothing) {
  Tcp tcp = connected();
  send_all(tcp.client, "seen");
  wait_events(tcp.server, POLLIN);
  char bytes[8] = "";
  const ssize_t peeked = ::recv(tcp.server, bytes, 2, MSG_PEEK);
  EXPECT_EQ(std::string_view(bytes, static_cast<std::size_t>(peeked)), "se");
  EXPECT_EQ(receive(tcp.server, 4), "seen");
}

RIG_CONFORMANCE(waitall_waits_for_all_or_for_the_end) {
  Tcp tcp = connected(AF_INET, false);
  std::thread sending([&] {
    send_all(tcp.client, "ab");
    send_all(tcp.client, "cd");
    send_all(tcp.client, "e");
    EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
  });
  char bytes[8] = "";
  EXPECT_EQ(::recv(tcp.server, bytes, 4, MSG_WAITALL), 4);
  EXPECT_EQ(std::string_view(bytes, 4), "abcd");
  EXPECT_EQ(::recv(tcp.server, bytes, 4, MSG_WAITALL), 1);
  sending.join();
}

RIG_CONFORMANCE(dontwait_does_not_wait_on_a_blocking_socket) {
  Tcp tcp = connected(AF_INET, false);
  char byte = 0;
  EXPECT_EQ(::recv(tcp.client, &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
}

RIG_CONFORMANCE(what_waits_for_more_arrives_with_it) {
  Tcp tcp = connected();
  EXPECT_EQ(::send(tcp.client, "a", 1, MSG_MORE | MSG_NOSIGNAL), 1);
  EXPECT_EQ(::send(tcp.client, "b", 1, MSG_NOSIGNAL), 1);
  EXPECT_EQ(receive(tcp.server, 2), "ab");
}

RIG_CONFORMANCE(what_waits_for_more_arrives_without_it) {
  Tcp tcp = connected();
  EXPECT_EQ(::send(tcp.client, "a", 1, MSG_MORE | MSG_NOSIGNAL), 1);
  EXPECT_EQ(receive(tcp.server, 1), "a");
}

RIG_CONFORMANCE(an_uncorked_socket_sends_what_it_held) {
  Tcp tcp = connected();
  set_int(tcp.client, IPPROTO_TCP, TCP_CORK, 1);
  send_all(tcp.client, "held");
  set_int(tcp.client, IPPROTO_TCP, TCP_CORK, 0);
  EXPECT_EQ(receive(tcp.server, 4), "held");
}

RIG_CONFORMANCE(pieces_are_gathered_and_scattered) {
  Tcp tcp = connected();
  char one[] = "one";
  char two[] = "two";
  iovec out[2] = {{.iov_base = one, .iov_len = 3}, {.iov_base = two, .iov_len = 3}};
  EXPECT_EQ(::writev(tcp.client, out, 2), 6);
  msghdr message{};
  message.msg_iov = out;
  message.msg_iovlen = 2;
  EXPECT_EQ(::sendmsg(tcp.client, &message, MSG_NOSIGNAL), 6);
  while (true) {
    int count = 0;
    wait_events(tcp.server, POLLIN);
    EXPECT_EQ(::ioctl(tcp.server, FIONREAD, &count), 0);
    if (count == 12) {
      break;
    }
    ::poll(nullptr, 0, 1);
  }
  char a[4] = "";
  char b[8] = "";
  iovec in[2] = {{.iov_base = a, .iov_len = 4}, {.iov_base = b, .iov_len = 4}};
  EXPECT_EQ(::readv(tcp.server, in, 2), 8);
  EXPECT_EQ(std::string_view(a, 4), "onet");
  EXPECT_EQ(std::string_view(b, 4), "woon");
  message.msg_iov = in;
  EXPECT_EQ(::recvmsg(tcp.server, &message, 0), 4);
  EXPECT_EQ(message.msg_namelen, 0U);
}

RIG_CONFORMANCE(a_read_of_nothing_answers_at_once_and_a_receive_of_nothing_does_not) {
  Tcp tcp = connected();
  char byte = 0;
  EXPECT_EQ(::read(tcp.client, &byte, 0), 0);
  EXPECT_EQ(::recv(tcp.client, &byte, 0, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(::send(tcp.client, &byte, 0, MSG_NOSIGNAL), 0);
}

RIG_CONFORMANCE(recvfrom_names_nobody_on_a_stream) {
  Tcp tcp = connected();
  send_all(tcp.client, "x");
  wait_events(tcp.server, POLLIN);
  Target from;
  char byte = 0;
  EXPECT_EQ(::recvfrom(tcp.server, &byte, 1, 0, &from.address.any, &from.bytes), 1);
  EXPECT_EQ(from.bytes, 0U);
}

RIG_CONFORMANCE(a_receive_timeout_is_would_block) {
  Tcp tcp = connected(AF_INET, false);
  const timeval limit{.tv_sec = 0, .tv_usec = 20'000};
  EXPECT_EQ(::setsockopt(tcp.client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  char byte = 0;
  EXPECT_EQ(::recv(tcp.client, &byte, 1, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
}

RIG_CONFORMANCE(the_queues_are_counted) {
  Tcp tcp = connected();
  int count = -1;
  EXPECT_EQ(::ioctl(tcp.server, FIONREAD, &count), 0);
  EXPECT_EQ(count, 0);
  send_all(tcp.client, "12345");
  EXPECT_EQ(receive(tcp.server, 2), "12");
  do {
    ::poll(nullptr, 0, 1);
    EXPECT_EQ(::ioctl(tcp.client, SIOCOUTQ, &count), 0);
  } while (count > 0);
  EXPECT_EQ(::ioctl(tcp.server, FIONREAD, &count), 0);
  EXPECT_EQ(count, 3);
  EXPECT_EQ(::ioctl(tcp.listener, FIONREAD, &count), -1);
  EXPECT_EQ(errno, EINVAL);
}

RIG_CONFORMANCE(what_a_reset_has_lost_is_counted_as_unsent_for_ever) {
  Tcp tcp = connected(AF_INET, true, 8192);
  fill(tcp.client);
  reset_on_close(tcp.server);
  tcp.server.close();
  EXPECT_TRUE(await_all(tcp.client, POLLERR | POLLHUP));
  int count = 0;
  EXPECT_EQ(::ioctl(tcp.client, SIOCOUTQ, &count), 0);
  EXPECT_GT(count, 0);
  char byte = 0;
  EXPECT_EQ(::recv(tcp.client, &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(::ioctl(tcp.client, SIOCOUTQ, &count), 0);
  EXPECT_GT(count, 0);
}

RIG_CONFORMANCE(options_say_what_the_socket_is) {
  Tcp tcp = connected(AF_INET6);
  EXPECT_EQ(option_of(tcp.client, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
  EXPECT_EQ(option_of(tcp.client, SOL_SOCKET, SO_DOMAIN), AF_INET6);
  EXPECT_EQ(option_of(tcp.client, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
  EXPECT_EQ(option_of(tcp.client, SOL_SOCKET, SO_ACCEPTCONN), 0);
  EXPECT_EQ(option_of(tcp.listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
}

RIG_CONFORMANCE(buffer_sizes_are_doubled_and_have_minima) {
  const Fd idle(::socket(AF_INET, SOCK_STREAM, 0));
  set_int(idle, SOL_SOCKET, SO_SNDBUF, 10'000);
  EXPECT_EQ(option_of(idle, SOL_SOCKET, SO_SNDBUF), 20'000);
  set_int(idle, SOL_SOCKET, SO_RCVBUF, 10'000);
  EXPECT_EQ(option_of(idle, SOL_SOCKET, SO_RCVBUF), 20'000);
  set_int(idle, SOL_SOCKET, SO_SNDBUF, 1);
  EXPECT_EQ(option_of(idle, SOL_SOCKET, SO_SNDBUF), 4608);
  set_int(idle, SOL_SOCKET, SO_RCVBUF, 1);
  EXPECT_EQ(option_of(idle, SOL_SOCKET, SO_RCVBUF), 2304);
}

RIG_CONFORMANCE(options_are_kept) {
  const Fd idle(::socket(AF_INET, SOCK_STREAM, 0));
  for (const auto& [level, name] :
       {std::pair<int, int>{SOL_SOCKET, SO_REUSEADDR}, std::pair<int, int>{SOL_SOCKET, SO_KEEPALIVE},
        std::pair<int, int>{IPPROTO_TCP, TCP_NODELAY}, std::pair<int, int>{IPPROTO_TCP, TCP_CORK}}) {
    EXPECT_EQ(option_of(idle, level, name), 0);
    set_int(idle, level, name, 1);
    EXPECT_EQ(option_of(idle, level, name), 1);
  }
  const linger both{.l_onoff = 1, .l_linger = 3};
  EXPECT_EQ(::setsockopt(idle, SOL_SOCKET, SO_LINGER, &both, sizeof both), 0);
  linger got{};
  socklen_t bytes = sizeof got;
  EXPECT_EQ(::getsockopt(idle, SOL_SOCKET, SO_LINGER, &got, &bytes), 0);
  EXPECT_EQ(got.l_linger, 3);
  int value = 0;
  EXPECT_EQ(::setsockopt(idle, SOL_SOCKET, SO_SNDBUF, &value, 1), -1);
  EXPECT_EQ(errno, EINVAL);
}

RIG_CONFORMANCE(an_accepted_socket_has_the_options_of_its_listener) {
  Fd listener(::socket(AF_INET, SOCK_STREAM, 0));
  set_int(listener, IPPROTO_TCP, TCP_NODELAY, 1);
  set_int(listener, SOL_SOCKET, SO_SNDBUF, 10'000);
  ASSERT_EQ(::listen(listener, 4), 0);
  const Fd client = connect_to(loopback(AF_INET, port_of(name_of(listener))));
  const Fd server(::accept(listener, nullptr, nullptr));
  EXPECT_EQ(option_of(server, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option_of(server, SOL_SOCKET, SO_SNDBUF), 20'000);
}

RIG_CONFORMANCE(a_port_that_somebody_listens_on_is_in_use) {
  const Fd listener = listen_on(AF_INET);
  const Target taken = name_of(listener);
  const Fd other(::socket(AF_INET, SOCK_STREAM, 0));
  set_int(other, SOL_SOCKET, SO_REUSEADDR, 1);
  EXPECT_EQ(::bind(other, &taken.address.any, taken.bytes), -1);
  EXPECT_EQ(errno, EADDRINUSE);
  EXPECT_EQ(::bind(listener, &taken.address.any, taken.bytes), -1);
  EXPECT_EQ(errno, EINVAL);
}

RIG_CONFORMANCE(two_may_bind_with_reuse_and_one_may_listen) {
  const Fd one(::socket(AF_INET, SOCK_STREAM, 0));
  const Fd other(::socket(AF_INET, SOCK_STREAM, 0));
  set_int(one, SOL_SOCKET, SO_REUSEADDR, 1);
  set_int(other, SOL_SOCKET, SO_REUSEADDR, 1);
  const Target any = loopback(AF_INET);
  EXPECT_EQ(::bind(one, &any.address.any, any.bytes), 0);
  const Target same = name_of(one);
  EXPECT_NE(port_of(same), 0);
  EXPECT_EQ(::bind(other, &same.address.any, same.bytes), 0);
  EXPECT_EQ(::listen(one, 1), 0);
  EXPECT_EQ(::listen(other, 1), -1);
  EXPECT_EQ(errno, EADDRINUSE);
}

RIG_CONFORMANCE(an_address_of_the_wrong_kind_is_refused) {
  const Fd idle(::socket(AF_INET, SOCK_STREAM, 0));
  const Target six = loopback(AF_INET6);
  EXPECT_EQ(::bind(idle, &six.address.any, six.bytes), -1);
  EXPECT_EQ(errno, EAFNOSUPPORT);
  const Target four = loopback(AF_INET);
  EXPECT_EQ(::bind(idle, &four.address.any, 4), -1);
  EXPECT_EQ(errno, EINVAL);
}

RIG_CONFORMANCE(a_duplicate_keeps_the_connection_open) {
  Tcp tcp = connected();
  const Fd twin(::dup(tcp.client));
  tcp.client.close();
  send_all(twin, "alive");
  EXPECT_EQ(receive(tcp.server, 5), "alive");
  EXPECT_EQ(look(tcp.server, POLLIN | POLLRDHUP), 0);
}

RIG_CONFORMANCE(dup2_and_dup3_take_a_number) {
  Tcp tcp = connected();
  auto [reader, writer] = pipe_pair(0);
  EXPECT_EQ(::dup2(tcp.client, writer), writer);
  EXPECT_EQ(::send(writer, "via", 3, MSG_NOSIGNAL), 3);
  EXPECT_EQ(receive(tcp.server, 3), "via");
  char byte = 0;
  EXPECT_EQ(::read(reader, &byte, 1), 0);
  EXPECT_EQ(::dup3(tcp.client, tcp.client, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::dup3(tcp.client, writer, O_CLOEXEC), writer);
  EXPECT_EQ(::fcntl(writer, F_GETFD), FD_CLOEXEC);
}

RIG_CONFORMANCE(descriptors_are_the_lowest_free_ones) {
  Fd one(::eventfd(0, 0));
  const Fd two(::eventfd(0, 0));
  const int lowest = one;
  one.close();
  const Fd again(::dup(two));
  EXPECT_EQ(again, lowest);
  const Fd above(::fcntl(two, F_DUPFD_CLOEXEC, lowest + 50));
  EXPECT_EQ(above, lowest + 50);
  EXPECT_EQ(::fcntl(above, F_GETFD), FD_CLOEXEC);
}

RIG_CONFORMANCE(flags_of_the_file_and_of_the_descriptor_are_apart) {
  Tcp tcp = connected(AF_INET, false);
  const Fd twin(::dup(tcp.client));
  EXPECT_EQ(::fcntl(twin, F_SETFL, O_NONBLOCK), 0);
  EXPECT_NE(::fcntl(tcp.client, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(::fcntl(twin, F_SETFD, FD_CLOEXEC), 0);
  EXPECT_EQ(::fcntl(tcp.client, F_GETFD), 0);
  int off = 0;
  EXPECT_EQ(::ioctl(tcp.client, FIONBIO, &off), 0);
  EXPECT_EQ(::fcntl(twin, F_GETFL), O_RDWR);
}

RIG_CONFORMANCE(a_closed_descriptor_is_bad_everywhere) {
  Tcp tcp = connected();
  const int gone = tcp.client;
  tcp.client.close();
  char byte = 0;
  EXPECT_EQ(::send(gone, &byte, 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(::recv(gone, &byte, 1, 0), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(::close(gone), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(look(gone, POLLIN), POLLNVAL);
}

RIG_CONFORMANCE(what_is_no_socket_answers_no_socket_call) {
  const Fd bell(::eventfd(0, EFD_NONBLOCK));
  char byte = 0;
  EXPECT_EQ(::send(bell, &byte, 1, 0), -1);
  EXPECT_EQ(errno, ENOTSOCK);
  EXPECT_EQ(::listen(bell, 1), -1);
  EXPECT_EQ(errno, ENOTSOCK);
}

}  // namespace
}  // namespace rig::lab
