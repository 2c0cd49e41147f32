#include "harness/lab/kernel/tests/conformance.h"

namespace rig::lab {

Target loopback(int family, std::uint16_t port) {
  Target target;
  if (family == AF_INET) {
    target.address.v4.sin_family = AF_INET;
    target.address.v4.sin_port = htons(port);
    target.address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.bytes = sizeof(sockaddr_in);
  } else {
    target.address.v6.sin6_family = AF_INET6;
    target.address.v6.sin6_port = htons(port);
    target.address.v6.sin6_addr = IN6ADDR_LOOPBACK_INIT;
    target.bytes = sizeof(sockaddr_in6);
  }
  return target;
}

Target name_of(int descriptor) {
  Target target;
  EXPECT_EQ(::getsockname(descriptor, &target.address.any, &target.bytes), 0);
  return target;
}

std::uint16_t port_of(const Target& target) {
  return ntohs(target.address.v4.sin_port);
}

Fd listen_on(int family, int backlog, int flags) {
  Fd listener(::socket(family, SOCK_STREAM | flags, 0));
  const Target target = loopback(family);
  EXPECT_EQ(::bind(listener, &target.address.any, target.bytes), 0);
  EXPECT_EQ(::listen(listener, backlog), 0);
  return listener;
}

Fd connect_to(const Target& target) {
  Fd client(::socket(target.address.any.sa_family, SOCK_STREAM, 0));
  EXPECT_EQ(::connect(client, &target.address.any, target.bytes), 0) << std::strerror(errno);
  return client;
}

Tcp connected(int family, bool nonblocking, int buffer) {
  Tcp tcp;
  tcp.listener = Fd(::socket(family, SOCK_STREAM, 0));
  if (buffer != 0) {
    set_int(tcp.listener, SOL_SOCKET, SO_SNDBUF, buffer);
    set_int(tcp.listener, SOL_SOCKET, SO_RCVBUF, buffer);
  }
  Target target = loopback(family);
  EXPECT_EQ(::bind(tcp.listener, &target.address.any, target.bytes), 0);
  EXPECT_EQ(::listen(tcp.listener, 4), 0);
  target = name_of(tcp.listener);
  tcp.client = Fd(::socket(family, SOCK_STREAM, 0));
  if (buffer != 0) {
    set_int(tcp.client, SOL_SOCKET, SO_SNDBUF, buffer);
    set_int(tcp.client, SOL_SOCKET, SO_RCVBUF, buffer);
  }
  EXPECT_EQ(::connect(tcp.client, &target.address.any, target.bytes), 0);
  tcp.server = Fd(::accept(tcp.listener, nullptr, nullptr));
  EXPECT_GE(tcp.server, 0);
  for (const int end : {static_cast<int>(tcp.client), static_cast<int>(tcp.server)}) {
    EXPECT_EQ(::fcntl(end, F_SETFL, nonblocking ? O_NONBLOCK : 0), 0);
  }
  return tcp;
}

std::pair<Fd, Fd> local_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

std::pair<Fd, Fd> pipe_pair(int flags) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::pipe2(ends, flags), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

short wait_events(int descriptor, short events) {
  pollfd one{.fd = descriptor, .events = events, .revents = 0};
  EXPECT_EQ(::poll(&one, 1, patience_ms), 1);
  return one.revents;
}

short look(int descriptor, short events) {
  pollfd one{.fd = descriptor, .events = events, .revents = 0};
  EXPECT_GE(::poll(&one, 1, 0), 0);
  return one.revents;
}

bool await_all(int descriptor, short all) {
  // Events come one after the other: each wait is for the next that is missing. POLLERR and POLLHUP cannot be asked
  // for, so that they are looked for again and again, behind a wait for a moment that nothing ends.
  for (int i = 0; i < 2000; ++i) {
    if ((look(descriptor, all) & all) == all) {
      return true;
    }
    ::poll(nullptr, 0, 1);
  }
  return false;
}

void send_all(int descriptor, std::string_view text) {
  EXPECT_EQ(::send(descriptor, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

std::string receive(int descriptor, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::size_t done = 0;
  while (done < bytes) {
    wait_events(descriptor, POLLIN);
    const ssize_t count = ::recv(descriptor, text.data() + done, bytes - done, 0);
    if (count <= 0) {
      ADD_FAILURE() << "receive: " << count << " " << std::strerror(errno);
      break;
    }
    done += static_cast<std::size_t>(count);
  }
  text.resize(done);
  return text;
}

std::size_t fill(int descriptor) {
  const std::string block(4096, 'x');
  std::size_t sent = 0;
  while (true) {
    const ssize_t count = ::send(descriptor, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
      continue;
    }
    EXPECT_EQ(errno, EAGAIN);
    // What is under way makes room when it arrives.
    pollfd one{.fd = descriptor, .events = POLLOUT, .revents = 0};
    if (::poll(&one, 1, 100) == 0) {
      return sent;
    }
  }
}

std::size_t drain(int descriptor, std::size_t bytes) {
  std::vector<char> block(65536);
  std::size_t taken = 0;
  while (taken < bytes) {
    wait_events(descriptor, POLLIN);
    const ssize_t count = ::recv(descriptor, block.data(), std::min(block.size(), bytes - taken), MSG_DONTWAIT);
    if (count == 0) {
      break;
    }
    EXPECT_GT(count, 0);
    taken += static_cast<std::size_t>(count);
  }
  return taken;
}

int error_of(int descriptor) {
  return option_of(descriptor, SOL_SOCKET, SO_ERROR);
}

int option_of(int descriptor, int level, int name) {
  int value = -1;
  socklen_t bytes = sizeof value;
  EXPECT_EQ(::getsockopt(descriptor, level, name, &value, &bytes), 0) << std::strerror(errno);
  EXPECT_EQ(bytes, sizeof value);
  return value;
}

void set_int(int descriptor, int level, int name, int value) {
  EXPECT_EQ(::setsockopt(descriptor, level, name, &value, sizeof value), 0) << std::strerror(errno);
}

void reset_on_close(int descriptor) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  EXPECT_EQ(::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
}

Fd epoll_of(int descriptor, std::uint32_t events, std::uint64_t data) {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{.events = events, .data = {.u64 = data}};
  EXPECT_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event), 0);
  return epoll;
}

std::vector<epoll_event> epoll_now(int epoll, int timeout_ms, int most) {
  std::vector<epoll_event> events(static_cast<std::size_t>(most));
  const int count = ::epoll_wait(epoll, events.data(), most, timeout_ms);
  EXPECT_GE(count, 0);
  events.resize(static_cast<std::size_t>(std::max(count, 0)));
  return events;
}

}  // namespace rig::lab
