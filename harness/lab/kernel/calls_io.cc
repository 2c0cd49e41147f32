// The functions that move bytes.
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness/lab/kernel/calls.h"

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

ssize_t move_one(Op op, Kind kind, bool sends, int descriptor, const void* bytes, std::size_t count, int flags,
                 const void* caller) {
  const iovec piece{.iov_base = const_cast<void*>(bytes), .iov_len = count};
  return move(op, kind, sends, descriptor, {&piece, 1}, flags, caller);
}

}  // namespace
}  // namespace rig::lab

RIG_LAB_EXPORT ssize_t send(int descriptor, const void* bytes, size_t count, int flags) {
  if (!is_virtual(descriptor)) {
    return real_send(descriptor, bytes, count, flags);
  }
  return move_one(Op::send, Kind::socket_only, true, descriptor, bytes, count, flags, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT ssize_t sendto(int descriptor, const void* bytes, size_t count, int flags, const sockaddr* to,
                              socklen_t to_bytes) {
  if (!is_virtual(descriptor)) {
    return real_sendto(descriptor, bytes, count, flags, to, to_bytes);
  }
  return move_one(Op::send, Kind::socket_only, true, descriptor, bytes, count, flags, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
  if (!is_virtual(descriptor)) {
    return real_sendmsg(descriptor, message, flags);
  }
  if (message->msg_control != nullptr && message->msg_controllen > 0) {
    refuse("sendmsg", "with control data");
  }
  return move(Op::send, Kind::socket_only, true, descriptor, {message->msg_iov, message->msg_iovlen}, flags,
              RIG_LAB_CALLER);
}

RIG_LAB_EXPORT ssize_t recv(int descriptor, void* bytes, size_t count, int flags) {
  if (!is_virtual(descriptor)) {
    return real_recv(descriptor, bytes, count, flags);
  }
  return move_one(Op::recv, Kind::socket_only, false, descriptor, bytes, count, flags, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT ssize_t recvfrom(int descriptor, void* bytes, size_t count, int flags, sockaddr* from,
                                socklen_t* from_bytes) {
  if (!is_virtual(descriptor)) {
    return real_recvfrom(descriptor, bytes, count, flags, from, from_bytes);
  }
  const ssize_t done = move_one(Op::recv, Kind::socket_only, false, descriptor, bytes, count, flags, RIG_LAB_CALLER);
  if (done >= 0 && from != nullptr && from_bytes != nullptr) {
    *from_bytes = 0;  // a stream's bytes name nobody
  }
  return done;
}

RIG_LAB_EXPORT ssize_t recvmsg(int descriptor, msghdr* message, int flags) {
  if (!is_virtual(descriptor)) {
    return real_recvmsg(descriptor, message, flags);
  }
  const ssize_t done = move(Op::recv, Kind::socket_only, false, descriptor, {message->msg_iov, message->msg_iovlen},
                            flags & ~MSG_CMSG_CLOEXEC, RIG_LAB_CALLER);
  if (done >= 0) {
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
  }
  return done;
}

RIG_LAB_EXPORT ssize_t read(int descriptor, void* bytes, size_t count) {
  if (!is_virtual(descriptor)) {
    return real_read(descriptor, bytes, count);
  }
  return move_one(Op::read, Kind::any_file, false, descriptor, bytes, count, 0, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT ssize_t readv(int descriptor, const iovec* pieces, int count) {
  if (!is_virtual(descriptor)) {
    return real_readv(descriptor, pieces, count);
  }
  return move(Op::read, Kind::any_file, false, descriptor, {pieces, static_cast<std::size_t>(count)}, 0,
              RIG_LAB_CALLER);
}

RIG_LAB_EXPORT ssize_t write(int descriptor, const void* bytes, size_t count) {
  if (!is_virtual(descriptor)) {
    return real_write(descriptor, bytes, count);
  }
  return move_one(Op::write, Kind::any_file, true, descriptor, bytes, count, 0, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT ssize_t writev(int descriptor, const iovec* pieces, int count) {
  if (!is_virtual(descriptor)) {
    return real_writev(descriptor, pieces, count);
  }
  return move(Op::write, Kind::any_file, true, descriptor, {pieces, static_cast<std::size_t>(count)}, 0,
              RIG_LAB_CALLER);
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
