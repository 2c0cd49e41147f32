// The functions that move bytes.
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness/lab/kernel/calls.h"

using namespace rig;
using namespace rig::lab;

namespace rig::lab {
namespace {

RIG_LAB_REAL(send);
RIG_LAB_REAL(sendto);
RIG_LAB_REAL(sendmsg);
RIG_LAB_REAL(recv);
RIG_LAB_REAL(recvfrom);
RIG_LAB_REAL(recvmsg);
RIG_LAB_REAL(read);
RIG_LAB_REAL(readv);
RIG_LAB_REAL(write);
RIG_LAB_REAL(writev);

// How a call treats its file.
enum class Kind : std::uint8_t { any_file, socket_only };

bool is_socket(File& file) {
  return file.tcp() != nullptr || dynamic_cast<LocalSocket*>(&file) != nullptr;
}

ssize_t move(Op op, Kind kind, bool sends, int descriptor, std::span<const iovec> pieces, int flags,
             const void* caller) {
  return on_file(op, descriptor, caller, flags, [&](File& file, bool waits, Struck& struck) -> Answer {
    if (kind == Kind::socket_only && !is_socket(file)) {
      return -ENOTSOCK;
    }
    if (pieces.size() > IOV_MAX) {
      return kind == Kind::socket_only ? -EMSGSIZE : -EINVAL;
    }
    std::size_t bytes = 0;
    for (const iovec& piece : pieces) {
      if (piece.iov_len > SSIZE_MAX - bytes) {
        return -EINVAL;
      }
      bytes += piece.iov_len;
    }
    // read(2) of nothing from a socket answers at once; recv(2) does not.
    if (kind == Kind::any_file && bytes == 0 && !sends && is_socket(file)) {
      return 0;
    }
    const Transfer transfer{
        .op = op, .pieces = pieces, .bytes = bytes, .flags = flags, .waits = waits, .struck = struck};
    return sends ? file.write(transfer) : file.read(transfer);
  });
}

// sent passes a call that sends through the kernel door. `system(quiet)` is the system's own call, which raises no
// SIGPIPE if quiet is true.
template <class System>
ssize_t sent(const char* function, Op op, Kind kind, int descriptor, std::span<const iovec> pieces, int flags,
             const void* caller, System system) {
  const KernelCall call{.verb = KernelVerb::send,
                        .function = function,
                        .descriptor = descriptor,
                        .caller = caller,
                        .pieces = pieces,
                        .may_signal = (flags & MSG_NOSIGNAL) == 0,
                        .more = (flags & MSG_MORE) != 0,
                        .at_once = (flags & MSG_DONTWAIT) != 0,
                        .is_blocking = is_blocking};
  return send_through_kernel_door(call, [&](bool quiet) {
    return is_virtual(descriptor) ? move(op, kind, true, descriptor, pieces, flags | (quiet ? MSG_NOSIGNAL : 0), caller)
                                  : system(quiet);
  });
}

template <class System>
ssize_t received(const char* function, Op op, Kind kind, int descriptor, std::span<const iovec> pieces, int flags,
                 const void* caller, System system) {
  const KernelCall call{.verb = KernelVerb::receive,
                        .function = function,
                        .descriptor = descriptor,
                        .caller = caller,
                        .pieces = pieces,
                        .peeks = (flags & MSG_PEEK) != 0,
                        .at_once = (flags & MSG_DONTWAIT) != 0,
                        .is_blocking = is_blocking};
  return through_kernel_door(call, [&] {
    return is_virtual(descriptor) ? move(op, kind, false, descriptor, pieces, flags, caller) : system();
  });
}

iovec piece_of(const void* bytes, std::size_t count) {
  return {.iov_base = const_cast<void*>(bytes), .iov_len = count};
}

}  // namespace
}  // namespace rig::lab

RIG_LAB_EXPORT ssize_t send(int descriptor, const void* bytes, size_t count, int flags) {
  const iovec piece = piece_of(bytes, count);
  return sent("send", Op::send, Kind::socket_only, descriptor, {&piece, 1}, flags, RIG_LAB_CALLER,
              [&](bool quiet) { return real_send(descriptor, bytes, count, flags | (quiet ? MSG_NOSIGNAL : 0)); });
}

RIG_LAB_EXPORT ssize_t sendto(int descriptor, const void* bytes, size_t count, int flags, const sockaddr* to,
                              socklen_t to_bytes) {
  const iovec piece = piece_of(bytes, count);
  return sent("sendto", Op::send, Kind::socket_only, descriptor, {&piece, 1}, flags, RIG_LAB_CALLER, [&](bool quiet) {
    return real_sendto(descriptor, bytes, count, flags | (quiet ? MSG_NOSIGNAL : 0), to, to_bytes);
  });
}

RIG_LAB_EXPORT ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
  if (is_virtual(descriptor) && message->msg_control != nullptr && message->msg_controllen > 0) {
    refuse("sendmsg", "with control data");
  }
  return sent("sendmsg", Op::send, Kind::socket_only, descriptor, {message->msg_iov, message->msg_iovlen}, flags,
              RIG_LAB_CALLER,
              [&](bool quiet) { return real_sendmsg(descriptor, message, flags | (quiet ? MSG_NOSIGNAL : 0)); });
}

RIG_LAB_EXPORT ssize_t write(int descriptor, const void* bytes, size_t count) {
  const iovec piece = piece_of(bytes, count);
  return sent("write", Op::write, Kind::any_file, descriptor, {&piece, 1}, 0, RIG_LAB_CALLER, [&](bool quiet) {
    return quiet ? real_send(descriptor, bytes, count, MSG_NOSIGNAL) : real_write(descriptor, bytes, count);
  });
}

RIG_LAB_EXPORT ssize_t writev(int descriptor, const iovec* pieces, int count) {
  const std::span<const iovec> all(pieces, static_cast<std::size_t>(count));
  return sent("writev", Op::write, Kind::any_file, descriptor, all, 0, RIG_LAB_CALLER, [&](bool quiet) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces);
    message.msg_iovlen = all.size();
    return quiet ? real_sendmsg(descriptor, &message, MSG_NOSIGNAL) : real_writev(descriptor, pieces, count);
  });
}

RIG_LAB_EXPORT ssize_t recv(int descriptor, void* bytes, size_t count, int flags) {
  const iovec piece = piece_of(bytes, count);
  return received("recv", Op::recv, Kind::socket_only, descriptor, {&piece, 1}, flags, RIG_LAB_CALLER,
                  [&] { return real_recv(descriptor, bytes, count, flags); });
}

RIG_LAB_EXPORT ssize_t recvfrom(int descriptor, void* bytes, size_t count, int flags, sockaddr* from,
                                socklen_t* from_bytes) {
  const iovec piece = piece_of(bytes, count);
  const ssize_t done = received("recvfrom", Op::recv, Kind::socket_only, descriptor, {&piece, 1}, flags, RIG_LAB_CALLER,
                                [&] { return real_recvfrom(descriptor, bytes, count, flags, from, from_bytes); });
  if (is_virtual(descriptor) && done >= 0 && from != nullptr && from_bytes != nullptr) {
    *from_bytes = 0;  // a stream's bytes name nobody
  }
  return done;
}

RIG_LAB_EXPORT ssize_t recvmsg(int descriptor, msghdr* message, int flags) {
  const bool here = is_virtual(descriptor);
  const ssize_t done = received("recvmsg", Op::recv, Kind::socket_only, descriptor,
                                {message->msg_iov, message->msg_iovlen}, here ? flags & ~MSG_CMSG_CLOEXEC : flags,
                                RIG_LAB_CALLER, [&] { return real_recvmsg(descriptor, message, flags); });
  if (here && done >= 0) {
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
  }
  return done;
}

RIG_LAB_EXPORT ssize_t read(int descriptor, void* bytes, size_t count) {
  const iovec piece = piece_of(bytes, count);
  return received("read", Op::read, Kind::any_file, descriptor, {&piece, 1}, 0, RIG_LAB_CALLER,
                  [&] { return real_read(descriptor, bytes, count); });
}

RIG_LAB_EXPORT ssize_t readv(int descriptor, const iovec* pieces, int count) {
  return received("readv", Op::read, Kind::any_file, descriptor, {pieces, static_cast<std::size_t>(count)}, 0,
                  RIG_LAB_CALLER, [&] { return real_readv(descriptor, pieces, count); });
}

// libc's own call its internal read and write.
RIG_LAB_EXPORT int eventfd_read(int descriptor, eventfd_t* value) {
  return read(descriptor, value, sizeof *value) == sizeof *value ? 0 : -1;
}

RIG_LAB_EXPORT int eventfd_write(int descriptor, eventfd_t value) {
  return write(descriptor, &value, sizeof value) == sizeof value ? 0 : -1;
}

// What a compiler makes of the calls with _FORTIFY_SOURCE.
RIG_LAB_EXPORT ssize_t __read_chk(int descriptor, void* bytes, size_t count, size_t room) {
  if (count > room) {
    __chk_fail();
  }
  return read(descriptor, bytes, count);
}

RIG_LAB_EXPORT ssize_t __recv_chk(int descriptor, void* bytes, size_t count, size_t room, int flags) {
  if (count > room) {
    __chk_fail();
  }
  return recv(descriptor, bytes, count, flags);
}

RIG_LAB_EXPORT ssize_t __recvfrom_chk(int descriptor, void* bytes, size_t count, size_t room, int flags, sockaddr* from,
                                      socklen_t* from_bytes) {
  if (count > room) {
    __chk_fail();
  }
  return recvfrom(descriptor, bytes, count, flags, from, from_bytes);
}
