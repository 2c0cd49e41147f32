// How TCP connections begin and end. Source: Linux's net/ipv4/af_inet.c (inet_bind, __inet_stream_connect,
// inet_shutdown), inet_connection_sock.c (the accept queue), tcp.c (tcp_close).
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tcp.h"
#include "harness/lab/sanitizer.h"

namespace rig::lab {
namespace {

constexpr std::size_t somaxconn = 4096;
// Linux's tcp_syn_retries, and what its buffers are on a loopback.
constexpr int syn_tries_max = 6;
constexpr int connected_send_buffer = 2626560;

std::int64_t syn_wait_ns(int tries) {
  return std::int64_t{1'000'000'000} << tries;
}

bool overlap(const TcpSocket& one, const Address& a, const TcpSocket& other, const Address& b) {
  if (one.family != other.family) {
    // A socket of IPv6 that is not for IPv6 only takes the IPv4 port as well.
    const TcpSocket& six = one.family == AF_INET6 ? one : other;
    const Address& address = one.family == AF_INET6 ? a : b;
    if (six.options.v6_only || (!address.is_any() && !address.is_v4())) {
      return false;
    }
    return true;
  }
  return a.is_any() || b.is_any() || a.ip == b.ip;
}

}  // namespace

TcpSocket* find_listener(const Address& address) {
  TcpSocket* found = nullptr;
  for (TcpSocket* socket : kernel().sockets) {
    if (socket->state != TcpState::listening || socket->local.port != address.port) {
      continue;
    }
    if (socket->local.ip == address.ip) {
      return socket;
    }
    const bool same_family = (socket->family == AF_INET) == address.is_v4();
    if (socket->local.is_any() && (same_family || (socket->family == AF_INET6 && !socket->options.v6_only))) {
      found = socket;
    }
  }
  return found;
}

bool TcpSocket::conflicts(const TcpSocket& other, const Address& address) const {
  if (&other == this || !other.occupies(address.port) || !overlap(*this, address, other, other.local)) {
    return false;
  }
  const bool shared = options.reuse_address && other.options.reuse_address;
  return !shared || other.state == TcpState::listening;
}

std::uint16_t TcpSocket::free_port() {
  Kernel& all = kernel();
  for (int tried = 0; tried < 28232; ++tried) {
    const std::uint16_t port = all.next_port;
    all.next_port = port >= 60999 ? std::uint16_t{32768} : static_cast<std::uint16_t>(port + 1);
    if (std::ranges::none_of(all.sockets, [port](const TcpSocket* socket) { return socket->occupies(port); })) {
      return port;
    }
  }
  return 0;
}

Answer TcpSocket::bind(const Address& address) {
  if (bound || state != TcpState::closed) {
    return -EINVAL;
  }
  if (!address.is_any() && !address.is_loopback()) {
    return -EADDRNOTAVAIL;
  }
  if (family == AF_INET6 && options.v6_only && address.is_v4()) {
    return -EINVAL;
  }
  Address wanted = address;
  if (wanted.port == 0) {
    wanted.port = free_port();
    if (wanted.port == 0) {
      return -EADDRINUSE;
    }
  } else if (std::ranges::any_of(kernel().sockets, [&](const TcpSocket* other) { return conflicts(*other, wanted); })) {
    return -EADDRINUSE;
  }
  local = wanted;
  bound = bound_by_user_ = true;
  return 0;
}

Answer TcpSocket::listen(int backlog) {
  const auto most = std::min(static_cast<std::size_t>(static_cast<unsigned>(backlog)), somaxconn);
  if (state == TcpState::listening) {
    queue_max = most;
    return 0;
  }
  if (state != TcpState::closed || progress != Progress::unconnected) {
    return -EINVAL;
  }
  if (!bound) {
    if (const Answer answer = bind(any_address(family)); answer < 0) {
      return answer;
    }
  }
  for (const TcpSocket* other : kernel().sockets) {
    if (other != this && other->state == TcpState::listening && other->occupies(local.port) &&
        overlap(*this, local, *other, other->local)) {
      return -EADDRINUSE;
    }
  }
  queue_max = most;
  shut = 0;
  state = TcpState::listening;
  return 0;
}

Answer TcpSocket::accept(bool waits, Struck& struck, TcpSocket*& accepted) {
  const std::int64_t deadline_ns =
      options.recv_timeout_us == 0 ? never : deadline_after(options.recv_timeout_us * 1000);
  if (state != TcpState::listening) {
    return -EINVAL;
  }
  while (queue.empty()) {
    if (!waits) {
      return -EAGAIN;
    }
    if (kernel().faults.interrupts(struck)) {
      return -EINTR;
    }
    if (!kernel().wait(Op::accept, *this, deadline_ns)) {
      return -EAGAIN;
    }
    if (state != TcpState::listening) {
      return -EINVAL;
    }
  }
  accepted = queue.front();
  queue.pop_front();
  accepted->listener = nullptr;
  order_after(this);
  return 0;
}

void TcpSocket::set_rooms() {
  out().stream.send_room = static_cast<std::size_t>(options.send_buffer) / 2;
  in().stream.recv_room = static_cast<std::size_t>(options.recv_buffer) / 2;
}

// establish makes the connection to a listener: this socket's end, and the one in the listener's queue.
void TcpSocket::establish(TcpSocket& listening) {
  Kernel& all = kernel();
  auto* child = new TcpSocket(listening.family);
  child->options = listening.options;
  const auto named = all.connections.find(listening.local.port);
  std::optional<std::uint32_t> connection;
  if (named != all.connections.end()) {
    connection = named->second;
  }
  const bool first = connection && std::ranges::none_of(all.sockets, [&](const TcpSocket* socket) {
                       return socket->wire != nullptr && socket->wire->connection == connection;
                     });
  wire = std::make_shared<Wire>(++all.wires_made, connection, first);
  all.wires.push_back(wire);
  child->wire = wire;
  side = 0;
  child->side = 1;
  wire->ends = {this, child};
  child->local = remote;
  child->remote = local;
  child->bound = true;
  for (TcpSocket* each : {this, child}) {
    each->state = TcpState::connected;
    if (!each->options.send_buffer_set) {
      each->options.send_buffer = connected_send_buffer;
    }
    each->set_rooms();
  }
  child->progress = Progress::connected;
  child->listener = &listening;
  ++child->references;  // the queue's
  listening.queue.push_back(child);
  order_before(&listening);
}

bool TcpSocket::syn() {
  TcpSocket* listening = find_listener(remote);
  if (listening == nullptr) {
    event(Op::deliver, -1, 0);
    fail(ECONNREFUSED);
    return true;
  }
  if (listening->queue.size() > listening->queue_max) {
    return false;
  }
  event(Op::deliver, 0, 0);
  establish(*listening);
  wake(ready_all);
  listening->wake(EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND);
  return true;
}

void send_syns() {
  Kernel& all = kernel();
  for (std::size_t i = 0; i < all.syns.size();) {
    Syn& syn = all.syns[i];
    if (syn.due_ns > now_ns()) {
      ++i;
      continue;
    }
    TcpSocket& socket = *syn.socket;
    if (!socket.syn()) {
      if (++syn.tries <= syn_tries_max + 1) {
        syn.due_ns = now_ns() + syn_wait_ns(syn.tries - 1);
        ++i;
        continue;
      }
      socket.fail(ETIMEDOUT);
    }
    all.syns.erase(all.syns.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

Answer TcpSocket::connect(const Address& address, bool waits, Struck& struck) {
  if (state == TcpState::listening || progress == Progress::connected) {
    return -EISCONN;
  }
  Answer pending = -EALREADY;
  if (progress == Progress::unconnected) {
    if (state != TcpState::closed || wire != nullptr) {
      return -EISCONN;
    }
    Address target = address;
    if (target.is_any()) {
      const std::uint16_t port = target.port;
      target = loopback_address(target.is_v4() || family == AF_INET);
      target.port = port;
    }
    if (!target.is_loopback() || (family == AF_INET6 && options.v6_only && target.is_v4())) {
      return -ENETUNREACH;
    }
    if (!bound) {
      local = loopback_address(target.is_v4());
      local.port = free_port();
      bound = true;
      if (local.port == 0) {
        bound = false;
        return -EADDRNOTAVAIL;
      }
    } else if (local.is_any()) {
      const std::uint16_t port = local.port;
      local = target;
      local.port = port;
    }
    remote = target;
    state = TcpState::connecting;
    progress = Progress::connecting;
    shut = 0;
    pending = -EINPROGRESS;
    const std::int64_t due_ns = now_ns() + (struck.sync_connect ? 0 : kernel().latency_ns());
    kernel().syns.push_back({.socket = this, .due_ns = due_ns, .tries = 0});
    kernel().due_at(due_ns);
    kernel().advance();
    if (!waits && !struck.sync_connect) {
      return kernel().faults.interrupts(struck) ? -EINTR : pending;
    }
  }
  const std::int64_t deadline_ns =
      options.send_timeout_us == 0 ? never : deadline_after(options.send_timeout_us * 1000);
  while (state == TcpState::connecting) {
    if (!waits) {
      return pending;
    }
    if (kernel().faults.interrupts(struck)) {
      return -EINTR;
    }
    if (!kernel().wait(Op::connect, *this, deadline_ns)) {
      return pending;
    }
  }
  if (state == TcpState::closed) {
    const int failed = take_error();
    disconnect();
    return failed != 0 ? -failed : -ECONNABORTED;
  }
  progress = Progress::connected;
  return 0;
}

// disconnect makes the socket one that has never been connected.
void TcpSocket::disconnect() {
  std::erase_if(kernel().syns, [this](const Syn& syn) { return syn.socket == this; });
  if (wire != nullptr) {
    wire->detach(side);
    wire = nullptr;
  }
  state = TcpState::closed;
  progress = Progress::unconnected;
  shut = 0;
  error = 0;
  fin_received = false;
  remote = any_address(family);
  if (!bound_by_user_) {
    bound = false;
    local = any_address(family);
  }
}

void TcpSocket::empty_queue() {
  while (!queue.empty()) {
    TcpSocket* child = queue.front();
    queue.pop_front();
    child->listener = nullptr;
    if (child->state == TcpState::connected) {
      child->become_closed();
      child->wire->send_reset(child->side);
    }
    unreference(*child);
  }
}

Answer TcpSocket::shutdown(int how) {
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) {
    return -EINVAL;
  }
  const unsigned ends = static_cast<unsigned>(how) + 1;
  Answer answer = 0;
  if (progress == Progress::connecting && state == TcpState::connected) {
    progress = Progress::connected;
  }
  switch (state) {
    case TcpState::listening:
      if ((ends & 1) != 0) {
        state = TcpState::closed;
        progress = Progress::unconnected;
        empty_queue();
      }
      break;
    case TcpState::connecting:
      disconnect();
      break;
    case TcpState::closed:
      answer = -ENOTCONN;
      shut |= ends;
      break;
    case TcpState::connected:
      shut |= ends;
      if ((ends & 2) != 0 && !out().fin.sent) {
        wire->send_fin(side);
      }
      break;
  }
  wake(ready_all);
  return answer;
}

void TcpSocket::linger_at_close() {
  if (!options.linger || options.linger_s == 0 || state != TcpState::connected || in().stream.readable() > 0) {
    return;
  }
  wire->send_fin(side);
  const std::int64_t deadline_ns = deadline_after(options.linger_s * std::int64_t{1'000'000'000});
  while (state == TcpState::connected && !out().fin.arrived && kernel().wait(Op::close, *this, deadline_ns)) {
  }
}

// released is tcp_close: unread data or a linger of 0 make it a reset.
void TcpSocket::released() {
  Kernel& all = kernel();
  std::erase(all.sockets, this);
  std::erase_if(all.syns, [this](const Syn& syn) { return syn.socket == this; });
  if (state == TcpState::listening) {
    state = TcpState::closed;
    empty_queue();
    return;
  }
  if (wire == nullptr) {
    return;
  }
  wire->detach(side);
  if (state != TcpState::connected) {
    return;
  }
  if (in().stream.readable() > 0 || (options.linger && options.linger_s == 0)) {
    in().stream.drop_unread();
    wire->send_reset(side);
  } else {
    wire->send_fin(side);
  }
}

}  // namespace rig::lab
