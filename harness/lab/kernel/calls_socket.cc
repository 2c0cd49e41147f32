// socket to shutdown: the functions of a socket's life.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/lab/kernel/calls.h"

using namespace rig;
using namespace rig::lab;

namespace rig::lab {
namespace {

RIG_LAB_REAL(socket);
RIG_LAB_REAL(bind);
RIG_LAB_REAL(listen);
RIG_LAB_REAL(accept);
RIG_LAB_REAL(accept4);
RIG_LAB_REAL(connect);
RIG_LAB_REAL(shutdown);
RIG_LAB_REAL(getsockopt);
RIG_LAB_REAL(setsockopt);
RIG_LAB_REAL(getsockname);
RIG_LAB_REAL(getpeername);
RIG_LAB_REAL(socketpair);

constexpr int type_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

Answer accept_socket(File& file, sockaddr* address, socklen_t* bytes, int flags, bool waits, Struck& struck) {
  TcpSocket* listening = file.tcp();
  if (listening == nullptr) {
    return dynamic_cast<LocalSocket*>(&file) != nullptr ? -EINVAL : -ENOTSOCK;
  }
  if ((flags & ~type_flags) != 0) {
    return -EINVAL;
  }
  TcpSocket* accepted = nullptr;
  if (const Answer answer = listening->accept(waits, struck, accepted); answer < 0) {
    return answer;
  }
  const int descriptor = open_file(accepted, (flags & SOCK_CLOEXEC) != 0, (flags & SOCK_NONBLOCK) != 0);
  unreference(*accepted);  // the queue's reference
  address_to(accepted->remote, accepted->family, address, bytes);
  return descriptor;
}

template <class System>
int accepted(const char* function, int descriptor, sockaddr* address, socklen_t* bytes, int flags, const void* caller,
             System system) {
  const KernelCall call{.verb = KernelVerb::accept,
                        .function = function,
                        .descriptor = descriptor,
                        .caller = caller,
                        .is_blocking = is_blocking};
  return through_kernel_door(call, [&]() -> int {
    if (!is_virtual(descriptor)) {
      return system();
    }
    return static_cast<int>(
        on_file(Op::accept, descriptor, caller, 0, [&](File& file, bool waits, Struck& struck) -> Answer {
          return accept_socket(file, address, bytes, flags, waits, struck);
        }));
  });
}

// A call on a socket of either kind, which `modelled` makes where the lab has it, and `real` where the system does.
template <class Real, class Modelled>
int through_socket(const KernelCall& call, Op op, Real real, Modelled modelled) {
  return through_kernel_door(call, [&]() -> int {
    if (!is_virtual(call.descriptor)) {
      return real();
    }
    return static_cast<int>(on_file(op, call.descriptor, call.caller, 0, [&](File& file, bool, Struck&) -> Answer {
      if (auto* local = dynamic_cast<LocalSocket*>(&file)) {
        return modelled(*local);
      }
      return file.tcp() != nullptr ? modelled(*file.tcp()) : -ENOTSOCK;
    }));
  });
}

KernelCall option_call(const char* function, int descriptor, int level, int option, const void* value,
                       const void* caller) {
  return {.verb = KernelVerb::option,
          .function = function,
          .descriptor = descriptor,
          .caller = caller,
          .level = level,
          .option = option,
          .value = value};
}

}  // namespace
}  // namespace rig::lab

RIG_LAB_EXPORT int socket(int family, int type, int protocol) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door({.verb = KernelVerb::socket, .function = "socket", .caller = caller}, [&]() -> int {
    if (outside()) {
      return real_socket(family, type, protocol);
    }
    const bool stream = (type & ~type_flags) == SOCK_STREAM;
    if ((family != AF_INET && family != AF_INET6) || !stream || (protocol != 0 && protocol != IPPROTO_TCP)) {
      refuse("socket", "of the families and types it has TCP over IPv4 and IPv6");
    }
    return static_cast<int>(on_nothing(Op::socket, caller, [&]() -> Answer {
      return open_file(new TcpSocket(family), (type & SOCK_CLOEXEC) != 0, (type & SOCK_NONBLOCK) != 0);
    }));
  });
}

RIG_LAB_EXPORT int bind(int descriptor, const sockaddr* address, socklen_t bytes) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door(
      {.verb = KernelVerb::option, .function = "bind", .descriptor = descriptor, .caller = caller}, [&]() -> int {
        if (!is_virtual(descriptor)) {
          return real_bind(descriptor, address, bytes);
        }
        return static_cast<int>(on_file(Op::bind, descriptor, caller, 0, [&](File& file, bool, Struck&) -> Answer {
          if (file.tcp() == nullptr) {
            return -ENOTSOCK;
          }
          const auto wanted = address_from(address, bytes, file.tcp()->family);
          return wanted ? file.tcp()->bind(*wanted) : -wanted.error();
        }));
      });
}

RIG_LAB_EXPORT int listen(int descriptor, int backlog) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door(
      {.verb = KernelVerb::option, .function = "listen", .descriptor = descriptor, .caller = caller}, [&]() -> int {
        if (!is_virtual(descriptor)) {
          return real_listen(descriptor, backlog);
        }
        return static_cast<int>(on_file(Op::listen, descriptor, caller, 0, [&](File& file, bool, Struck&) -> Answer {
          return file.tcp() != nullptr ? file.tcp()->listen(backlog) : -ENOTSOCK;
        }));
      });
}

RIG_LAB_EXPORT int accept4(int descriptor, sockaddr* address, socklen_t* bytes, int flags) {
  return accepted("accept4", descriptor, address, bytes, flags, RIG_LAB_CALLER,
                  [&] { return real_accept4(descriptor, address, bytes, flags); });
}

RIG_LAB_EXPORT int accept(int descriptor, sockaddr* address, socklen_t* bytes) {
  return accepted("accept", descriptor, address, bytes, 0, RIG_LAB_CALLER,
                  [&] { return real_accept(descriptor, address, bytes); });
}

RIG_LAB_EXPORT int connect(int descriptor, const sockaddr* address, socklen_t bytes) {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door(
      {.verb = KernelVerb::connect,
       .function = "connect",
       .descriptor = descriptor,
       .caller = caller,
       .is_blocking = is_blocking,
       .address = address},
      [&]() -> int {
        if (!is_virtual(descriptor)) {
          return real_connect(descriptor, address, bytes);
        }
        // Faults know a connection by the port that it goes to.
        const int before = errno;
        point(Op::connect, caller);
        const Unwatched unwatched;
        Kernel& all = kernel();
        all.advance();
        Answer answer = -EBADF;
        int noise = 0;
        if (File* file = all.descriptors.find(descriptor)) {
          const Pin pin(*file);
          TcpSocket* socket = file->tcp();
          if (address != nullptr && bytes >= sizeof address->sa_family && address->sa_family == AF_UNSPEC) {
            refuse("connect", "to no address");
          }
          const auto wanted =
              socket != nullptr ? address_from(address, bytes, socket->family) : std::unexpected(ENOTSOCK);
          if (wanted) {
            Place place{.connection = std::nullopt, .side = FaultSide::client};
            if (const auto named = all.connections.find(wanted->port); named != all.connections.end()) {
              place.connection = named->second;
            }
            const bool waits = !file->is_nonblocking();
            Struck struck = all.faults.at_call(Op::connect, {&place, 1}, waits);
            answer = struck.error != 0 ? -struck.error : socket->connect(*wanted, waits, struck);
            noise = struck.noise;
          } else {
            answer = -wanted.error();
          }
        }
        event(Op::connect, descriptor, answer);
        return static_cast<int>(finish(answer, before, noise));
      });
}

RIG_LAB_EXPORT int shutdown(int descriptor, int how) noexcept {
  return through_socket(
      {.verb = KernelVerb::shutdown, .function = "shutdown", .descriptor = descriptor, .caller = RIG_LAB_CALLER},
      Op::shutdown, [=] { return real_shutdown(descriptor, how); }, [=](auto& socket) { return socket.shutdown(how); });
}

RIG_LAB_EXPORT int getsockopt(int descriptor, int level, int name, void* value, socklen_t* bytes) noexcept {
  return through_socket(
      option_call("getsockopt", descriptor, level, name, value, RIG_LAB_CALLER), Op::getsockopt,
      [=] { return real_getsockopt(descriptor, level, name, value, bytes); },
      [=](auto& socket) { return socket.get_option(level, name, value, bytes); });
}

RIG_LAB_EXPORT int setsockopt(int descriptor, int level, int name, const void* value, socklen_t bytes) noexcept {
  return through_socket(
      option_call("setsockopt", descriptor, level, name, value, RIG_LAB_CALLER), Op::setsockopt,
      [=] { return real_setsockopt(descriptor, level, name, value, bytes); },
      [=](auto& socket) { return socket.set_option(level, name, value, bytes); });
}

RIG_LAB_EXPORT int getsockname(int descriptor, sockaddr* address, socklen_t* bytes) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door(
      {.verb = KernelVerb::option,
       .function = "getsockname",
       .descriptor = descriptor,
       .caller = caller,
       .address = address},
      [&]() -> int {
        if (!is_virtual(descriptor)) {
          return real_getsockname(descriptor, address, bytes);
        }
        return static_cast<int>(on_file(Op::name, descriptor, caller, 0, [&](File& file, bool, Struck&) -> Answer {
          if (file.tcp() == nullptr) {
            refuse("getsockname", "of anything but a TCP socket");
          }
          address_to(file.tcp()->local, file.tcp()->family, address, bytes);
          return 0;
        }));
      });
}

RIG_LAB_EXPORT int getpeername(int descriptor, sockaddr* address, socklen_t* bytes) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door(
      {.verb = KernelVerb::option, .function = "getpeername", .descriptor = descriptor, .caller = caller},
      [&]() -> int {
        if (!is_virtual(descriptor)) {
          return real_getpeername(descriptor, address, bytes);
        }
        return static_cast<int>(on_file(Op::name, descriptor, caller, 0, [&](File& file, bool, Struck&) -> Answer {
          if (file.tcp() == nullptr) {
            refuse("getpeername", "of anything but a TCP socket");
          }
          return file.tcp()->peer_name(address, bytes);
        }));
      });
}

RIG_LAB_EXPORT int socketpair(int family, int type, int protocol, int descriptors[2]) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return pair_through_kernel_door(KernelVerb::socket, "socketpair", caller, descriptors, [&]() -> int {
    if (outside()) {
      return real_socketpair(family, type, protocol, descriptors);
    }
    if (family != AF_UNIX || (type & ~type_flags) != SOCK_STREAM || protocol != 0) {
      refuse("socketpair", "of the families and types it has local streams");
    }
    return static_cast<int>(on_nothing(Op::socketpair, caller, [&]() -> Answer {
      auto* one = new LocalSocket;
      auto* other = new LocalSocket;
      LocalSocket::join(*one, *other);
      descriptors[0] = open_file(one, (type & SOCK_CLOEXEC) != 0, (type & SOCK_NONBLOCK) != 0);
      descriptors[1] = open_file(other, (type & SOCK_CLOEXEC) != 0, (type & SOCK_NONBLOCK) != 0);
      return 0;
    }));
  });
}
