#include "harness/subjects/direct/tcp.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "harness/base/check.h"

namespace rig::direct {
namespace {

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

struct Place {
  Address address{};
  socklen_t bytes = 0;
};

std::expected<Place, Error> parse(const char* host, std::uint16_t port) noexcept {
  Place place;
  if (::inet_pton(AF_INET, host, &place.address.v4.sin_addr) == 1) {
    place.address.v4.sin_family = AF_INET;
    place.address.v4.sin_port = htons(port);
    place.bytes = sizeof place.address.v4;
    return place;
  }
  place.address.v6 = {};
  if (::inet_pton(AF_INET6, host, &place.address.v6.sin6_addr) == 1) {
    place.address.v6.sin6_family = AF_INET6;
    place.address.v6.sin6_port = htons(port);
    place.bytes = sizeof place.address.v6;
    return place;
  }
  return std::unexpected(Error(Code::invalid_argument, "the host is not a numeric IPv4 or IPv6 address"));
}

std::expected<Descriptor, Error> open_stream(int family) noexcept {
  const int number = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (number < 0) {
    return std::unexpected(system_error("socket", errno));
  }
  return Descriptor(NativeHandle(static_cast<std::uint64_t>(number)));
}

bool set(NativeHandle handle, int level, int option, int value) noexcept {
  return ::setsockopt(number_of(handle), level, option, &value, sizeof value) == 0;
}

// pending_error takes the connection's error, which the system tells once; 0 if there is none.
int pending_error(NativeHandle handle) noexcept {
  int pending = 0;
  socklen_t bytes = sizeof pending;
  return ::getsockopt(number_of(handle), SOL_SOCKET, SO_ERROR, &pending, &bytes) < 0 ? errno : pending;
}

bool has_peer(NativeHandle handle) noexcept {
  Place peer;
  peer.bytes = sizeof peer.address;
  return ::getpeername(number_of(handle), &peer.address.any, &peer.bytes) == 0;
}

// accept(2): Linux hands the network errors of a connection that died in the backlog to accept().
bool died_in_backlog(int errno_value) noexcept {
  static constexpr int numbers[] = {ECONNABORTED, EINTR,     EPROTO, ENOPROTOOPT,  ENETDOWN,
                                    ENETUNREACH,  EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP};
  return std::ranges::find(numbers, errno_value) != std::end(numbers);
}

}  // namespace

int number_of(NativeHandle handle) noexcept {
  RIG_CHECK(handle.value() <= static_cast<std::uint64_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(handle.value());
}

bool is_address(const char* host) noexcept {
  return parse(host, 0).has_value();
}

// A close() that was interrupted has closed (Linux): trying again could close what another thread was given in between.
void Descriptor::close() noexcept {
  if (handle_.valid()) {
    ::close(number_of(std::exchange(handle_, invalid_handle)));
  }
}

void Descriptor::reset() noexcept {
  if (handle_.valid()) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(number_of(handle_), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  close();
}

std::expected<Connecting, Error> begin_connect(const char* host, std::uint16_t port) noexcept {
  RIG_TRY(place, parse(host, port));
  RIG_TRY(descriptor, open_stream(place.address.any.sa_family));
  Connecting connecting{.descriptor = std::move(descriptor), .failure = {}};
  const int result = ::connect(number_of(connecting.descriptor.handle()), &place.address.any, place.bytes);
  // An interrupted connect goes on by itself. EAGAIN means that no local port is free: it would never come.
  if (result < 0 && errno == EAGAIN) {
    connecting.failure = Error(Code::refused_by_system, "connect: no free local port", errno);
  } else if (result < 0 && errno != EINPROGRESS && errno != EINTR) {
    connecting.failure = system_error("connect", errno);
  }
  return connecting;
}

Status connected(NativeHandle handle) noexcept {
  if (const int pending = pending_error(handle); pending != 0) {
    return std::unexpected(system_error("connect", pending));
  }
  // No error so far means connected, or still trying; only the first has a peer.
  if (!has_peer(handle)) {
    return std::unexpected(errno == ENOTCONN ? Error(Code::would_block, "connect: still under way")
                                             : system_error("getpeername", errno));
  }
  return {};
}

std::expected<Descriptor, Error> listen_at(const char* host, std::uint16_t port) noexcept {
  constexpr int backlog = 256;
  RIG_TRY(place, parse(host, port));
  RIG_TRY(descriptor, open_stream(place.address.any.sa_family));
  const NativeHandle handle = descriptor.handle();
  // Options are wishes: a system that refuses one can be listened on without it.
  set(handle, SOL_SOCKET, SO_REUSEADDR, 1);
  if (place.address.any.sa_family == AF_INET6) {
    set(handle, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  if (::bind(number_of(handle), &place.address.any, place.bytes) < 0) {
    if (errno == EADDRNOTAVAIL) {
      return std::unexpected(Error(Code::invalid_argument, "bind: the address is not one of this machine's", errno));
    }
    return std::unexpected(system_error("bind", errno));
  }
  if (::listen(number_of(handle), backlog) < 0) {
    return std::unexpected(system_error("listen", errno));
  }
  return descriptor;
}

std::uint16_t port_of(NativeHandle handle) noexcept {
  Place local;
  local.bytes = sizeof local.address;
  if (::getsockname(number_of(handle), &local.address.any, &local.bytes) < 0) {
    return 0;
  }
  return ntohs(local.address.any.sa_family == AF_INET ? local.address.v4.sin_port : local.address.v6.sin6_port);
}

std::expected<Descriptor, Error> accept_one(NativeHandle listener) noexcept {
  constexpr int skipped_max = 64;
  for (int skipped = 0; skipped < skipped_max; ++skipped) {
    const int number = ::accept4(number_of(listener), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (number >= 0) {
      return Descriptor(NativeHandle(static_cast<std::uint64_t>(number)));
    }
    if (!died_in_backlog(errno)) {
      return std::unexpected(system_error("accept4", errno));
    }
  }
  return std::unexpected(Error(Code::would_block, "accept4: only dead connections were waiting"));
}

bool set_options(NativeHandle handle, const rig_socket_config& config) noexcept {
  constexpr std::size_t most = std::numeric_limits<int>::max();
  if (config.kernel_send_bytes != 0) {
    set(handle, SOL_SOCKET, SO_SNDBUF, static_cast<int>(std::min(config.kernel_send_bytes, most)));
  }
  if (config.kernel_recv_bytes != 0) {
    set(handle, SOL_SOCKET, SO_RCVBUF, static_cast<int>(std::min(config.kernel_recv_bytes, most)));
  }
  return config.nodelay != 0 && set(handle, IPPROTO_TCP, TCP_NODELAY, 1);
}

Status end_sending(NativeHandle handle) noexcept {
  if (::shutdown(number_of(handle), SHUT_WR) < 0) {
    return std::unexpected(system_error("shutdown", errno));
  }
  return {};
}

std::expected<bool, Error> all_taken(NativeHandle handle) noexcept {
  const auto nothing_left = [handle] {
    int bytes = 0;
    return ::ioctl(number_of(handle), SIOCOUTQ, &bytes) < 0 || bytes == 0;
  };
  if (nothing_left()) {
    return true;
  }
  if (const int pending = pending_error(handle); pending != 0) {
    return std::unexpected(system_error("connection", pending));
  }
  if (has_peer(handle)) {
    return false;
  }
  // Over, without an error: the last byte was taken in between, or else the peer went without it.
  return nothing_left() ? std::expected<bool, Error>(true)
                        : std::unexpected(Error(Code::reset, "the peer was gone before it had everything"));
}

void drop_input(NativeHandle handle) noexcept {
  std::array<std::uint8_t, 16 * 1024> bytes;
  constexpr int pieces_max = 64;
  for (int piece = 0; piece < pieces_max; ++piece) {
    if (::recv(number_of(handle), bytes.data(), bytes.size(), MSG_DONTWAIT) <= 0) {
      return;
    }
  }
}

}  // namespace rig::direct
