// The functions that open, use and close a descriptor.
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness/base/kernel_door.h"
#include "harness/base/symbol_behind.h"

namespace {

RIG_BEHIND(socket);
RIG_BEHIND(socketpair);
RIG_BEHIND(dup);
RIG_BEHIND(dup2);
RIG_BEHIND(dup3);
RIG_BEHIND(close);
RIG_BEHIND(read);
RIG_BEHIND(readv);
RIG_BEHIND(recv);
RIG_BEHIND(recvfrom);
RIG_BEHIND(recvmsg);
RIG_BEHIND(write);
RIG_BEHIND(writev);
RIG_BEHIND(send);
RIG_BEHIND(sendto);
RIG_BEHIND(sendmsg);
RIG_BEHIND(shutdown);

using rig::KernelVerb;
using rig::through_kernel_door;

// passed makes a call with a descriptor, and has it told.
template <class Real>
auto passed(KernelVerb verb, const char* function, const void* caller, int descriptor, Real&& real) {
  return through_kernel_door({.verb = verb, .function = function, .descriptor = descriptor, .caller = caller}, real);
}

// sent makes a call that writes; without MSG_NOSIGNAL among its flags it may kill.
template <class Real>
ssize_t sent(const char* function, const void* caller, int descriptor, int flags, Real&& real) {
  return rig::send_through_kernel_door({.verb = KernelVerb::send,
                                        .function = function,
                                        .descriptor = descriptor,
                                        .caller = caller,
                                        .may_signal = (flags & MSG_NOSIGNAL) == 0},
                                       [&](bool quiet) { return real(quiet ? flags | MSG_NOSIGNAL : flags, quiet); });
}

}  // namespace

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  return passed(KernelVerb::socket, "socket", __builtin_return_address(0), -1,
                [=] { return behind_socket(domain, type, protocol); });
}

int socketpair(int domain, int type, int protocol, int* ends) noexcept {
  return rig::pair_through_kernel_door(KernelVerb::socket, "socketpair", __builtin_return_address(0), ends,
                                       [=] { return behind_socketpair(domain, type, protocol, ends); });
}

int dup(int descriptor) noexcept {
  return passed(KernelVerb::duplicate, "dup", __builtin_return_address(0), descriptor,
                [=] { return behind_dup(descriptor); });
}

int dup2(int from, int to) noexcept {
  return passed(KernelVerb::duplicate, "dup2", __builtin_return_address(0), from,
                [=] { return behind_dup2(from, to); });
}

int dup3(int from, int to, int flags) noexcept {
  return passed(KernelVerb::duplicate, "dup3", __builtin_return_address(0), from,
                [=] { return behind_dup3(from, to, flags); });
}

int close(int descriptor) {
  return passed(KernelVerb::close, "close", __builtin_return_address(0), descriptor,
                [=] { return behind_close(descriptor); });
}

int shutdown(int descriptor, int how) noexcept {
  return passed(KernelVerb::shutdown, "shutdown", __builtin_return_address(0), descriptor,
                [=] { return behind_shutdown(descriptor, how); });
}

ssize_t read(int descriptor, void* data, std::size_t bytes) {
  return passed(KernelVerb::receive, "read", __builtin_return_address(0), descriptor,
                [=] { return behind_read(descriptor, data, bytes); });
}

ssize_t readv(int descriptor, const iovec* parts, int count) {
  return passed(KernelVerb::receive, "readv", __builtin_return_address(0), descriptor,
                [=] { return behind_readv(descriptor, parts, count); });
}

ssize_t recv(int descriptor, void* data, std::size_t bytes, int flags) {
  return passed(KernelVerb::receive, "recv", __builtin_return_address(0), descriptor,
                [=] { return behind_recv(descriptor, data, bytes, flags); });
}

ssize_t recvfrom(int descriptor, void* data, std::size_t bytes, int flags, sockaddr* peer, socklen_t* peer_bytes) {
  return passed(KernelVerb::receive, "recvfrom", __builtin_return_address(0), descriptor,
                [=] { return behind_recvfrom(descriptor, data, bytes, flags, peer, peer_bytes); });
}

ssize_t recvmsg(int descriptor, msghdr* message, int flags) {
  return passed(KernelVerb::receive, "recvmsg", __builtin_return_address(0), descriptor,
                [=] { return behind_recvmsg(descriptor, message, flags); });
}

ssize_t write(int descriptor, const void* data, std::size_t bytes) {
  return sent("write", __builtin_return_address(0), descriptor, 0, [=](int flags, bool quiet) {
    return quiet ? behind_send(descriptor, data, bytes, flags) : behind_write(descriptor, data, bytes);
  });
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  return sent("writev", __builtin_return_address(0), descriptor, 0, [=](int flags, bool quiet) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<std::size_t>(count);
    return quiet ? behind_sendmsg(descriptor, &message, flags) : behind_writev(descriptor, parts, count);
  });
}

ssize_t send(int descriptor, const void* data, std::size_t bytes, int flags) {
  return sent("send", __builtin_return_address(0), descriptor, flags,
              [=](int flags_now, bool) { return behind_send(descriptor, data, bytes, flags_now); });
}

ssize_t sendto(int descriptor, const void* data, std::size_t bytes, int flags, const sockaddr* peer,
               socklen_t peer_bytes) {
  return sent("sendto", __builtin_return_address(0), descriptor, flags,
              [=](int flags_now, bool) { return behind_sendto(descriptor, data, bytes, flags_now, peer, peer_bytes); });
}

ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
  return sent("sendmsg", __builtin_return_address(0), descriptor, flags,
              [=](int flags_now, bool) { return behind_sendmsg(descriptor, message, flags_now); });
}

}  // extern "C"
