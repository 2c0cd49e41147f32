#include "harness/scenario/wire_peers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

namespace rig {
namespace {

constexpr int no_descriptor = -1;
constexpr std::size_t relay_bytes_max = 64 * 1024;

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

Address loopback(bool ipv6, std::uint16_t port) {
  Address address;
  if (ipv6) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_addr = in6addr_loopback;
    in6.sin6_port = htons(port);
    address.bytes = sizeof(in6);
  } else {
    auto& in = reinterpret_cast<sockaddr_in&>(address.storage);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in.sin_port = htons(port);
    address.bytes = sizeof(in);
  }
  return address;
}

std::expected<int, Error> bind_to_loopback(bool ipv6, int flags) {
  const int bound = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (bound < 0) {
    return std::unexpected(system_error("socket", errno));
  }
  const Address address = loopback(ipv6, 0);
  if (::bind(bound, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) != 0) {
    const Error error = system_error("bind", errno);
    ::close(bound);
    return std::unexpected(error);
  }
  return bound;
}

std::expected<int, Error> listen_on_loopback(bool ipv6, int flags, int backlog = 16) {
  RIG_TRY(listening, bind_to_loopback(ipv6, flags));
  if (::listen(listening, backlog) != 0) {
    const Error error = system_error("listen", errno);
    ::close(listening);
    return std::unexpected(error);
  }
  return listening;
}

std::uint16_t port_of(int socket) {
  Address address;
  address.bytes = sizeof(address.storage);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.bytes) != 0) {
    return 0;
  }
  return ntohs(address.storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port
                                                     : reinterpret_cast<sockaddr_in&>(address.storage).sin_port);
}

int connect_to_loopback(bool ipv6, std::uint16_t port) {
  const int connected = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connected < 0) {
    return no_descriptor;
  }
  const Address address = loopback(ipv6, port);
  if (::connect(connected, reinterpret_cast<const sockaddr*>(&address.storage), address.bytes) != 0) {
    ::close(connected);
    return no_descriptor;
  }
  return connected;
}

void send_text(int socket, std::string_view text) {
  static_cast<void>(::send(socket, text.data(), text.size(), MSG_NOSIGNAL));
}

void close_with_reset(int& socket) {
  if (socket != no_descriptor) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    static_cast<void>(::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
    ::close(std::exchange(socket, no_descriptor));
  }
}

// One way through the relay: bytes read from one socket that the other has not taken yet.
struct Way {
  std::vector<std::uint8_t> held;
  bool ended = false;   // the source has ended
  bool passed = false;  // and the target was told
};

}  // namespace

struct Relay::Sockets {
  int listening = no_descriptor;
  int wake = no_descriptor;
  int client = no_descriptor;
  int server = no_descriptor;
  Way up;
  Way down;
  bool ipv6 = false;
  std::uint16_t upstream_port = 0;
  bool ended = false;  // by order: both sides were told, and nothing is read any more

  ~Sockets() {
    for (const int descriptor : {listening, wake, client, server}) {
      if (descriptor != no_descriptor) {
        ::close(descriptor);
      }
    }
  }

  void take_connection() {
    client = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client == no_descriptor) {
      return;
    }
    server = connect_to_loopback(ipv6, upstream_port);
    if (server == no_descriptor) {
      close_with_reset(client);
      return;
    }
    ::fcntl(server, F_SETFL, ::fcntl(server, F_GETFL) | O_NONBLOCK);
  }

  // Moves what can be moved from `source` to `target`; false if either is gone.
  bool move(int source, int target, Way& way, std::atomic<std::uint64_t>& moved) {
    if (!way.ended && way.held.size() < relay_bytes_max) {
      std::array<std::uint8_t, 16 * 1024> chunk;
      const ssize_t count = ::recv(source, chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (count == 0) {
        way.ended = true;
      } else if (count > 0) {
        way.held.insert(way.held.end(), chunk.begin(), chunk.begin() + count);
      } else if (errno != EAGAIN && errno != EINTR) {
        return false;
      }
    }
    if (!way.held.empty()) {
      const ssize_t count = ::send(target, way.held.data(), way.held.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count > 0) {
        way.held.erase(way.held.begin(), way.held.begin() + count);
        moved += static_cast<std::uint64_t>(count);
      } else if (errno != EAGAIN && errno != EINTR) {
        return false;
      }
    }
    if (way.ended && way.held.empty() && !way.passed) {
      way.passed = true;
      ::shutdown(target, SHUT_WR);
    }
    return true;
  }
};

std::expected<std::unique_ptr<ClosedPort>, Error> ClosedPort::open(bool ipv6) {
  RIG_TRY(bound, bind_to_loopback(ipv6, 0));
  return std::unique_ptr<ClosedPort>(new ClosedPort(bound, port_of(bound)));
}

ClosedPort::~ClosedPort() {
  ::close(bound_);
}

std::expected<std::unique_ptr<DeafPort>, Error> DeafPort::open(bool ipv6) {
  RIG_TRY(listening, listen_on_loopback(ipv6, 0, 0));
  const std::uint16_t port = port_of(listening);
  const int filling = connect_to_loopback(ipv6, port);
  if (filling == no_descriptor) {
    const Error error = system_error("connect", errno);
    ::close(listening);
    return std::unexpected(error);
  }
  return std::unique_ptr<DeafPort>(new DeafPort(listening, filling, port));
}

DeafPort::~DeafPort() {
  ::close(filling_);
  ::close(listening_);
}

Relay::Relay(std::unique_ptr<Sockets> sockets, std::uint16_t port, Signal& signal)
    : sockets_(std::move(sockets)), port_(port), signal_(signal), thread_([this] { main(); }) {}

std::expected<std::unique_ptr<Relay>, Error> Relay::open(bool ipv6, std::uint16_t upstream_port, Signal& signal) {
  auto sockets = std::make_unique<Sockets>();
  RIG_TRY(listening, listen_on_loopback(ipv6, SOCK_NONBLOCK));
  sockets->listening = listening;
  sockets->wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (sockets->wake == no_descriptor) {
    return std::unexpected(system_error("eventfd", errno));
  }
  sockets->ipv6 = ipv6;
  sockets->upstream_port = upstream_port;
  const std::uint16_t port = port_of(listening);
  return std::unique_ptr<Relay>(new Relay(std::move(sockets), port, signal));
}

Relay::~Relay() {
  stopping_ = true;
  order(order_.load());
  thread_.join();
}

void Relay::order(RelayOrder order) {
  orders_ |= bit(order);
  order_ = order;
  const std::uint64_t one = 1;
  static_cast<void>(::write(sockets_->wake, &one, sizeof(one)));
}

// Does what an order asks at once; false if there is nothing left to move.
bool Relay::carry_out(RelayOrder order) {
  Sockets& sockets = *sockets_;
  if (order == RelayOrder::reset) {
    close_with_reset(sockets.client);
    close_with_reset(sockets.server);
    // A client that has come and was not taken yet is reset with it: it would wait for its peer for ever.
    ::close(std::exchange(sockets.listening, no_descriptor));
    return false;
  }
  if (order == RelayOrder::fin && !sockets.ended && sockets.client != no_descriptor) {
    sockets.ended = true;
    ::shutdown(sockets.client, SHUT_WR);
    ::shutdown(sockets.server, SHUT_WR);
  }
  return true;
}

void Relay::main() {
  Sockets& sockets = *sockets_;
  while (!stopping_.load()) {
    const RelayOrder order = order_.load();
    if (!carry_out(order)) {
      break;
    }
    const bool idle = order == RelayOrder::stall || sockets.ended || sockets.client == no_descriptor;
    const auto events = [](const Way& from, const Way& to) {
      const bool wants_more = !from.ended && from.held.size() < relay_bytes_max;
      return static_cast<short>((wants_more ? POLLIN : 0) | (to.held.empty() ? 0 : POLLOUT));
    };
    const short of_client = events(sockets.up, sockets.down);
    const short of_server = events(sockets.down, sockets.up);
    // A side that is wanted for nothing is not looked at: a hang-up is told again and again, asked for or not.
    std::array<pollfd, 4> polled{{
        {.fd = sockets.wake, .events = POLLIN, .revents = 0},
        {.fd = sockets.client == no_descriptor ? sockets.listening : -1, .events = POLLIN, .revents = 0},
        {.fd = idle || of_client == 0 ? -1 : sockets.client, .events = of_client, .revents = 0},
        {.fd = idle || of_server == 0 ? -1 : sockets.server, .events = of_server, .revents = 0},
    }};
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
      break;
    }
    std::uint64_t wakes = 0;
    static_cast<void>(::read(sockets.wake, &wakes, sizeof(wakes)));
    if (sockets.client == no_descriptor) {
      sockets.take_connection();
      continue;
    }
    if (idle || order_.load() != order) {
      continue;
    }
    if (!sockets.move(sockets.client, sockets.server, sockets.up, moved_bytes_) ||
        !sockets.move(sockets.server, sockets.client, sockets.down, moved_bytes_)) {
      close_with_reset(sockets.client);
      close_with_reset(sockets.server);
      break;
    }
    signal_.changed();
    if (sockets.up.ended && sockets.down.ended && sockets.up.held.empty() && sockets.down.held.empty()) {
      break;
    }
  }
}

PlaintextServer::PlaintextServer(int listening, std::uint16_t port)
    : listening_(listening), port_(port), thread_([this] { main(); }) {}

std::expected<std::unique_ptr<PlaintextServer>, Error> PlaintextServer::open(bool ipv6) {
  RIG_TRY(listening, listen_on_loopback(ipv6, 0));
  return std::unique_ptr<PlaintextServer>(new PlaintextServer(listening, port_of(listening)));
}

PlaintextServer::~PlaintextServer() {
  stopping_ = true;
  ::shutdown(listening_, SHUT_RDWR);  // ends the accept() of the thread
  thread_.join();
  ::close(listening_);
}

void PlaintextServer::main() {
  while (!stopping_.load()) {
    const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) {
      if (errno == EINTR || errno == ECONNABORTED) {
        continue;
      }
      return;
    }
    std::array<char, 4096> said;
    static_cast<void>(::recv(client, said.data(), said.size(), 0));
    ++answered_;  // before the answer: with it, the run may be over
    send_text(client, "HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    ::shutdown(client, SHUT_WR);
    while (::recv(client, said.data(), said.size(), 0) > 0) {
    }
    ::close(client);
  }
}

PlaintextClient::PlaintextClient(bool ipv6, std::uint16_t port, Signal& signal)
    : signal_(signal), thread_([this, ipv6, port] { main(ipv6, port); }) {}

PlaintextClient::~PlaintextClient() {
  if (const int open = socket_.load(); open != no_descriptor) {
    ::shutdown(open, SHUT_RDWR);  // ends the recv() of the thread
  }
  thread_.join();
  if (const int open = socket_.load(); open != no_descriptor) {
    ::close(open);
  }
}

void PlaintextClient::main(bool ipv6, std::uint16_t port) {
  const int connected = connect_to_loopback(ipv6, port);
  socket_ = connected;
  if (connected != no_descriptor) {
    send_text(connected, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    std::array<char, 4096> answer;
    while (::recv(connected, answer.data(), answer.size(), 0) > 0) {
    }
  }
  finished_ = true;
  signal_.changed();
}

}  // namespace rig
