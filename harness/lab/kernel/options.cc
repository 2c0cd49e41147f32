// Socket options and names. Source: Linux's net/core/sock.c (sk_getsockopt, sk_setsockopt).
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tcp.h"
#include "harness/lab/sanitizer.h"

namespace rig::lab {
namespace {

// Linux's minima; and net.core.{r,w}mem_max as on a machine where they were raised to what Linux's own tuning gives to
// a connection, so that a scenario can have a megabyte and more lie unread.
constexpr int send_buffer_min = 4608;
constexpr int recv_buffer_min = 2304;
constexpr int buffer_max = 4 * 1024 * 1024;

// Options that are kept and have no effect that a program on a loopback could see. The last number is the default.
struct Kept {
  int level;
  int name;
  int initially;
};
constexpr Kept kept[] = {
    {SOL_SOCKET, SO_KEEPALIVE, 0},    {SOL_SOCKET, SO_REUSEPORT, 0},  {SOL_SOCKET, SO_BROADCAST, 0},
    {SOL_SOCKET, SO_OOBINLINE, 0},    {SOL_SOCKET, SO_DONTROUTE, 0},  {SOL_SOCKET, SO_PRIORITY, 0},
    {IPPROTO_TCP, TCP_NODELAY, 0},    {IPPROTO_TCP, TCP_QUICKACK, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 7200},
    {IPPROTO_TCP, TCP_KEEPINTVL, 75}, {IPPROTO_TCP, TCP_KEEPCNT, 9},  {IPPROTO_TCP, TCP_USER_TIMEOUT, 0},
    {IPPROTO_IP, IP_TOS, 0},          {IPPROTO_IPV6, IPV6_TCLASS, 0},
};

const Kept* find_kept(int level, int name) {
  const auto* found =
      std::ranges::find_if(kept, [&](const Kept& one) { return one.level == level && one.name == name; });
  return found == std::end(kept) ? nullptr : found;
}

bool is_flag(int level, int name) {
  return (level == SOL_SOCKET && name != SO_PRIORITY) ||
         (level == IPPROTO_TCP && (name == TCP_NODELAY || name == TCP_QUICKACK));
}

[[noreturn]] void refuse_option(const char* call, int level, int name) {
  refuse(call, ("option " + std::to_string(name) + " of level " + std::to_string(level)).c_str());
}

Answer give(const void* from, std::size_t size, void* value, socklen_t* bytes) {
  const auto count = std::min<std::size_t>(size, *bytes);
  std::memcpy(value, from, count);
  user_writes(value, count);
  *bytes = static_cast<socklen_t>(count);
  return 0;
}

timeval to_timeval(std::int64_t us) {
  return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

}  // namespace

Answer TcpSocket::get_option(int level, int name, void* value, socklen_t* bytes) {
  if (bytes == nullptr || value == nullptr) {
    return -EFAULT;
  }
  int number = 0;
  if (level == SOL_SOCKET) {
    switch (name) {
      case SO_ERROR:
        number = take_error();
        return give(&number, sizeof number, value, bytes);
      case SO_TYPE:
        number = SOCK_STREAM;
        return give(&number, sizeof number, value, bytes);
      case SO_DOMAIN:
        return give(&family, sizeof family, value, bytes);
      case SO_PROTOCOL:
        number = IPPROTO_TCP;
        return give(&number, sizeof number, value, bytes);
      case SO_ACCEPTCONN:
        number = state == TcpState::listening ? 1 : 0;
        return give(&number, sizeof number, value, bytes);
      case SO_SNDBUF:
        return give(&options.send_buffer, sizeof number, value, bytes);
      case SO_RCVBUF:
        return give(&options.recv_buffer, sizeof number, value, bytes);
      case SO_REUSEADDR:
        number = options.reuse_address ? 1 : 0;
        return give(&number, sizeof number, value, bytes);
      case SO_LINGER: {
        const linger both{.l_onoff = options.linger ? 1 : 0, .l_linger = options.linger_s};
        return give(&both, sizeof both, value, bytes);
      }
      case SO_RCVTIMEO:
      case SO_SNDTIMEO: {
        const timeval time = to_timeval(name == SO_RCVTIMEO ? options.recv_timeout_us : options.send_timeout_us);
        return give(&time, sizeof time, value, bytes);
      }
      default:
        break;
    }
  }
  if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && family == AF_INET6) {
    number = options.v6_only ? 1 : 0;
    return give(&number, sizeof number, value, bytes);
  }
  if (level == IPPROTO_TCP && name == TCP_CORK) {
    number = options.cork ? 1 : 0;
    return give(&number, sizeof number, value, bytes);
  }
  const Kept* known = find_kept(level, name);
  if (known == nullptr) {
    refuse_option("getsockopt", level, name);
  }
  const auto set = options.others.find({level, name});
  number = set == options.others.end() ? known->initially : set->second;
  return give(&number, sizeof number, value, bytes);
}

// set_buffer is as Linux has it: the size is cut to the maximum, doubled, and not below the minimum.
void TcpSocket::set_buffer(bool sending, int size) {
  const int doubled = 2 * std::clamp(size, 0, buffer_max);
  (sending ? options.send_buffer : options.recv_buffer) =
      std::max(doubled, sending ? send_buffer_min : recv_buffer_min);
  (sending ? options.send_buffer_set : options.recv_buffer_set) = true;
  if (wire != nullptr) {
    set_rooms();
    wire->deliver();
    on_room();
  }
}

Answer TcpSocket::set_option(int level, int name, const void* value, socklen_t bytes) {
  user_reads(value, bytes);
  if (level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO)) {
    timeval time;
    if (bytes < sizeof time) {
      return -EINVAL;
    }
    std::memcpy(&time, value, sizeof time);
    if (time.tv_usec < 0 || time.tv_usec >= 1'000'000) {
      return -EDOM;
    }
    (name == SO_RCVTIMEO ? options.recv_timeout_us : options.send_timeout_us) =
        time.tv_sec < 0 ? 0 : time.tv_sec * 1'000'000 + time.tv_usec;
    return 0;
  }
  if (level == SOL_SOCKET && name == SO_LINGER) {
    linger both;
    if (bytes < sizeof both) {
      return -EINVAL;
    }
    std::memcpy(&both, value, sizeof both);
    options.linger = both.l_onoff != 0;
    options.linger_s = both.l_onoff != 0 ? both.l_linger : options.linger_s;
    return 0;
  }
  int number = 0;
  if (bytes < sizeof number) {
    return -EINVAL;
  }
  std::memcpy(&number, value, sizeof number);
  if (level == SOL_SOCKET && name == SO_REUSEADDR) {
    options.reuse_address = number != 0;
    return 0;
  }
  if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF)) {
    set_buffer(name == SO_SNDBUF, number);
    return 0;
  }
  if (level == IPPROTO_TCP && name == TCP_CORK) {
    options.cork = number != 0;
    if (!options.cork && wire != nullptr && state == TcpState::connected) {
      wire->flush(side);
    }
    return 0;
  }
  if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && family == AF_INET6) {
    if (bound) {
      return -EINVAL;
    }
    options.v6_only = number != 0;
    return 0;
  }
  if (level == IPPROTO_IPV6 && family != AF_INET6) {
    return -ENOPROTOOPT;
  }
  if (find_kept(level, name) == nullptr) {
    refuse_option("setsockopt", level, name);
  }
  options.others[{level, name}] = is_flag(level, name) ? (number != 0 ? 1 : 0) : number;
  return 0;
}

Answer TcpSocket::peer_name(sockaddr* to, socklen_t* bytes) const {
  if (remote.port == 0 || state == TcpState::closed || state == TcpState::connecting) {
    return -ENOTCONN;
  }
  address_to(remote, family, to, bytes);
  return 0;
}

}  // namespace rig::lab
