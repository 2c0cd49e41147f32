#include <arpa/inet.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <new>
#include <optional>
#include <utility>

#include "harness/base/check.h"
#include "harness/socket/posix_handle.h"
#include "harness/socket/transport.h"

namespace rig {
namespace {

// Address is a socket address as the system takes it.
struct Address {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t bytes = 0;

  int family() const noexcept { return any.sa_family; }
};

std::expected<Address, Error> parse(const Endpoint& endpoint) noexcept {
  Address address{};
  const bool whole = endpoint.host.find('\0') == std::string::npos;
  if (whole && ::inet_pton(AF_INET, endpoint.host.c_str(), &address.v4.sin_addr) == 1) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(endpoint.port);
    address.bytes = sizeof address.v4;
    return address;
  }
  address.v6 = {};
  if (whole && ::inet_pton(AF_INET6, endpoint.host.c_str(), &address.v6.sin6_addr) == 1) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(endpoint.port);
    address.bytes = sizeof address.v6;
    return address;
  }
  return std::unexpected(Error(Code::invalid_argument, "the host is not a numeric IPv4 or IPv6 address"));
}

Error closed_error() noexcept {
  return Error(Code::closed, "the socket is closed");
}

// endpoint_of asks getsockname() or getpeername() (`query`, whose name is `call`).
std::expected<Endpoint, Error> endpoint_of(int descriptor, int (*query)(int, sockaddr*, socklen_t*),
                                           std::string_view call) noexcept {
  const KeepErrno keep;
  if (descriptor < 0) {
    return std::unexpected(closed_error());
  }
  Address address{};
  address.bytes = sizeof address.v6;
  if (query(descriptor, &address.any, &address.bytes) < 0) {
    return std::unexpected(system_error(call, errno));
  }
  std::array<char, INET6_ADDRSTRLEN> host{};
  const bool is_v4 = address.family() == AF_INET;
  const void* number = is_v4 ? static_cast<const void*>(&address.v4.sin_addr) : &address.v6.sin6_addr;
  if (::inet_ntop(address.family(), number, host.data(), host.size()) == nullptr) {
    return std::unexpected(system_error("inet_ntop", errno));
  }
  try {
    return Endpoint{.host = host.data(), .port = ntohs(is_v4 ? address.v4.sin_port : address.v6.sin6_port)};
  } catch (const std::bad_alloc&) {
    return std::unexpected(Error(Code::no_memory, "no memory for an address"));
  }
}

Status set_option(int descriptor, int level, int option, int value) noexcept {
  const KeepErrno keep;
  if (descriptor < 0) {
    return std::unexpected(closed_error());
  }
  if (::setsockopt(descriptor, level, option, &value, sizeof value) < 0) {
    return std::unexpected(system_error("setsockopt", errno));
  }
  return {};
}

// close_descriptor is the one place of this file that closes. A close() that was interrupted has closed (Linux): trying
// again could close a descriptor that another thread was given in between.
void close_descriptor(int& descriptor) noexcept {
  if (descriptor >= 0) {
    const KeepErrno keep;
    ::close(std::exchange(descriptor, -1));
  }
}

class TcpTransport final : public Transport {
 public:
  ~TcpTransport() override { close(false); }

  // adopt takes over a descriptor; with `connected` there is no connect in progress.
  void adopt(int descriptor, bool connected) noexcept {
    descriptor_ = descriptor;
    connected_ = connected;
  }
  // refuse notes a connect that failed at once.
  void refuse(const Error& error) noexcept { connect_failure_ = error; }

  NativeHandle handle() const noexcept override { return posix_handle(descriptor_); }
  Status finish_connect() noexcept override;
  Status failure() noexcept override;
  std::expected<std::size_t, Error> send(std::span<const ByteView> pieces, bool more) noexcept override;
  Status push() noexcept override { return set_option(descriptor_, IPPROTO_TCP, TCP_CORK, 0); }
  std::expected<std::size_t, Error> recv(MutableBytes storage) noexcept override;
  Status shutdown_send() noexcept override;
  std::expected<std::size_t, Error> unsent_bytes() const noexcept override;
  Status set_nodelay(bool on) noexcept override {
    return set_option(descriptor_, IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
  }
  Status set_buffers(std::size_t send_bytes, std::size_t recv_bytes) noexcept override;
  void close(bool reset) noexcept override;
  std::expected<Endpoint, Error> local_endpoint() const override {
    return endpoint_of(descriptor_, ::getsockname, "getsockname");
  }
  std::expected<Endpoint, Error> peer_endpoint() const override {
    return endpoint_of(descriptor_, ::getpeername, "getpeername");
  }

 private:
  int descriptor_ = -1;
  bool connected_ = false;
  std::optional<Error> connect_failure_;  // how the connect failed, once that is known
};

// SO_ERROR gives an error once and forgets it. So it is asked only while the connect is in progress (later the error is
// for send() and recv() to report), and its answer is remembered.
Status TcpTransport::finish_connect() noexcept {
  const KeepErrno keep;
  if (descriptor_ < 0) {
    return std::unexpected(closed_error());
  }
  if (connected_) {
    return {};
  }
  if (!connect_failure_.has_value()) {
    int pending = 0;
    socklen_t bytes = sizeof pending;
    if (::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &pending, &bytes) < 0) {
      return std::unexpected(system_error("getsockopt", errno));
    }
    if (pending != 0) {
      connect_failure_ = system_error("connect", pending);
    }
  }
  if (connect_failure_.has_value()) {
    return std::unexpected(*connect_failure_);
  }
  // No error so far means connected, or still trying; only the first has a peer.
  Address peer{};
  peer.bytes = sizeof peer.v6;
  if (::getpeername(descriptor_, &peer.any, &peer.bytes) < 0) {
    if (errno == ENOTCONN) {
      return std::unexpected(Error(Code::would_block, "connect: still in progress", EINPROGRESS));
    }
    return std::unexpected(system_error("getpeername", errno));
  }
  connected_ = true;
  return {};
}

std::expected<std::size_t, Error> TcpTransport::send(std::span<const ByteView> pieces, bool more) noexcept {
  const KeepErrno keep;
  if (descriptor_ < 0) {
    return std::unexpected(closed_error());
  }
  std::array<iovec, IOV_MAX> vectors;
  const std::size_t count = std::min(pieces.size(), vectors.size());
  for (std::size_t i = 0; i < count; ++i) {
    vectors[i] = {.iov_base = const_cast<std::uint8_t*>(pieces[i].data()), .iov_len = pieces[i].size()};
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
  for (;;) {
    const ssize_t taken = ::sendmsg(descriptor_, &message, flags);
    if (taken >= 0) {
      return static_cast<std::size_t>(taken);
    }
    if (errno != EINTR) {
      return std::unexpected(system_error("sendmsg", errno));
    }
  }
}

std::expected<std::size_t, Error> TcpTransport::recv(MutableBytes storage) noexcept {
  RIG_CHECK(!storage.empty());  // the answer would look like the end of the stream
  const KeepErrno keep;
  if (descriptor_ < 0) {
    return std::unexpected(closed_error());
  }
  for (;;) {
    const ssize_t bytes = ::recv(descriptor_, storage.data(), storage.size(), MSG_DONTWAIT);
    if (bytes >= 0) {
      return static_cast<std::size_t>(bytes);
    }
    if (errno != EINTR) {
      return std::unexpected(system_error("recv", errno));
    }
  }
}

Status TcpTransport::shutdown_send() noexcept {
  const KeepErrno keep;
  if (descriptor_ < 0) {
    return std::unexpected(closed_error());
  }
  if (::shutdown(descriptor_, SHUT_WR) < 0) {
    return std::unexpected(system_error("shutdown", errno));
  }
  return {};
}

Status TcpTransport::failure() noexcept {
  const KeepErrno keep;
  if (descriptor_ < 0) {
    return std::unexpected(closed_error());
  }
  int pending = 0;
  socklen_t bytes = sizeof pending;
  if (::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &pending, &bytes) < 0) {
    return std::unexpected(system_error("getsockopt", errno));
  }
  if (pending != 0) {
    return std::unexpected(system_error("connection", pending));
  }
  // A stream that is over has no peer any more.
  Address peer{};
  peer.bytes = sizeof peer.v6;
  if (::getpeername(descriptor_, &peer.any, &peer.bytes) < 0) {
    return std::unexpected(Error(Code::closed, "connection: it is over", errno));
  }
  return {};
}

std::expected<std::size_t, Error> TcpTransport::unsent_bytes() const noexcept {
  const KeepErrno keep;
  if (descriptor_ < 0) {
    return std::unexpected(closed_error());
  }
  int bytes = 0;
  if (::ioctl(descriptor_, SIOCOUTQ, &bytes) < 0) {
    return std::unexpected(system_error("ioctl(SIOCOUTQ)", errno));
  }
  return static_cast<std::size_t>(bytes);
}

Status TcpTransport::set_buffers(std::size_t send_bytes, std::size_t recv_bytes) noexcept {
  constexpr std::size_t most = std::numeric_limits<int>::max();
  Status result;
  for (const auto& [option, bytes] : {std::pair{SO_SNDBUF, send_bytes}, std::pair{SO_RCVBUF, recv_bytes}}) {
    if (bytes == 0) {
      continue;
    }
    const Status set = set_option(descriptor_, SOL_SOCKET, option, static_cast<int>(std::min(bytes, most)));
    if (!set.has_value() && result.has_value()) {
      result = set;
    }
  }
  return result;
}

void TcpTransport::close(bool reset) noexcept {
  if (reset && descriptor_ >= 0) {
    const KeepErrno keep;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  close_descriptor(descriptor_);
}

// accept(2): Linux hands the network errors of a connection that died in the backlog to accept().
bool died_in_backlog(int errno_value) noexcept {
  switch (errno_value) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

class TcpAcceptor final : public Acceptor {
 public:
  ~TcpAcceptor() override { close(); }

  void adopt(int descriptor) noexcept { descriptor_ = descriptor; }
  NativeHandle handle() const noexcept override { return posix_handle(descriptor_); }
  std::expected<std::unique_ptr<Transport>, Error> accept() noexcept override;
  std::expected<Endpoint, Error> local_endpoint() const override {
    return endpoint_of(descriptor_, ::getsockname, "getsockname");
  }
  void close() noexcept override { close_descriptor(descriptor_); }

 private:
  int descriptor_ = -1;
};

std::expected<std::unique_ptr<Transport>, Error> TcpAcceptor::accept() noexcept {
  constexpr int skipped_max = 64;
  const KeepErrno keep;
  if (descriptor_ < 0) {
    return std::unexpected(closed_error());
  }
  // The object comes first: a connection taken without one would be lost.
  std::unique_ptr<TcpTransport> transport(new (std::nothrow) TcpTransport);
  if (transport == nullptr) {
    return std::unexpected(Error(Code::no_memory, "no memory for another connection"));
  }
  for (int skipped = 0; skipped < skipped_max; ++skipped) {
    const int descriptor = ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      transport->adopt(descriptor, true);
      return transport;
    }
    if (!died_in_backlog(errno)) {
      return std::unexpected(system_error("accept4", errno));
    }
  }
  return std::unexpected(Error(Code::would_block, "accept4: only dead connections were waiting", EAGAIN));
}

// bind_and_listen turns a fresh socket into a listening one.
Status bind_and_listen(int descriptor, const Address& address, int backlog) noexcept {
  // Options are wishes: a system that refuses one can be listened on without it.
  static_cast<void>(set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1));
  if (address.family() == AF_INET6) {
    static_cast<void>(set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1));
  }
  if (::bind(descriptor, &address.any, address.bytes) < 0) {
    if (errno == EADDRNOTAVAIL) {
      return std::unexpected(Error(Code::invalid_argument, "bind: the address is not one of this machine's", errno));
    }
    return std::unexpected(system_error("bind", errno));
  }
  if (::listen(descriptor, backlog) < 0) {
    return std::unexpected(system_error("listen", errno));
  }
  return {};
}

}  // namespace

std::expected<std::unique_ptr<Transport>, Error> connect_tcp(const Endpoint& peer) noexcept {
  const KeepErrno keep;
  RIG_TRY(address, parse(peer));
  std::unique_ptr<TcpTransport> transport(new (std::nothrow) TcpTransport);
  if (transport == nullptr) {
    return std::unexpected(Error(Code::no_memory, "no memory for a connection"));
  }
  const int descriptor = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    return std::unexpected(system_error("socket", errno));
  }
  transport->adopt(descriptor, false);
  if (::connect(descriptor, &address.any, address.bytes) == 0) {
    transport->adopt(descriptor, true);
    return transport;
  }
  // An interrupted connect goes on by itself; calling again would be an error (EALREADY).
  if (errno == EINPROGRESS || errno == EINTR) {
    return transport;
  }
  if (errno == EAGAIN) {  // connect(2): it will not come by itself, so it must not look like "in progress"
    transport->refuse(Error(Code::refused_by_system, "connect: no free route entry or local port", errno));
  } else {
    transport->refuse(system_error("connect", errno));
  }
  return transport;
}

std::expected<std::unique_ptr<Acceptor>, Error> listen_tcp(const Endpoint& local, int backlog) noexcept {
  const KeepErrno keep;
  RIG_TRY(address, parse(local));
  std::unique_ptr<TcpAcceptor> acceptor(new (std::nothrow) TcpAcceptor);
  if (acceptor == nullptr) {
    return std::unexpected(Error(Code::no_memory, "no memory for a listening socket"));
  }
  const int descriptor = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    return std::unexpected(system_error("socket", errno));
  }
  acceptor->adopt(descriptor);
  RIG_TRY_STATUS(bind_and_listen(descriptor, address, backlog));
  return acceptor;
}

}  // namespace rig
