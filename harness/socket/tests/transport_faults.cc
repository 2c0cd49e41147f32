#include "harness/socket/tests/transport_faults.h"

#include <dlfcn.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdint>

namespace rig::test {
namespace {

struct Fault {
  int errno_value = 0;
  int times = 0;
};

thread_local std::array<Fault, 11> faults;
thread_local SentMessage sent;

bool fails(Call call) {
  Fault& fault = faults[static_cast<std::size_t>(call)];
  if (fault.times == 0) {
    return false;
  }
  --fault.times;
  errno = fault.errno_value;
  return true;
}

// next finds the definition that this binary stands in front of.
template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

void fail_next(Call call, int errno_value, int times) {
  faults[static_cast<std::size_t>(call)] = {.errno_value = errno_value, .times = times};
}

int failures_left(Call call) {
  return faults[static_cast<std::size_t>(call)].times;
}

SentMessage last_sent() {
  return sent;
}

}  // namespace rig::test

using rig::test::Call;
using rig::test::fails;
using rig::test::next;

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  static auto* const real = next<int(int, int, int)>("socket");
  return fails(Call::socket) ? -1 : real(domain, type, protocol);
}

int connect(int descriptor, const sockaddr* address, socklen_t bytes) {
  static auto* const real = next<int(int, const sockaddr*, socklen_t)>("connect");
  return fails(Call::connect) ? -1 : real(descriptor, address, bytes);
}

int accept4(int descriptor, sockaddr* address, socklen_t* bytes, int flags) {
  static auto* const real = next<int(int, sockaddr*, socklen_t*, int)>("accept4");
  return fails(Call::accept4) ? -1 : real(descriptor, address, bytes, flags);
}

int listen(int descriptor, int backlog) noexcept {
  static auto* const real = next<int(int, int)>("listen");
  return fails(Call::listen) ? -1 : real(descriptor, backlog);
}

ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
  static auto* const real = next<ssize_t(int, const msghdr*, int)>("sendmsg");
  rig::test::sent = {.flags = flags, .pieces = message->msg_iovlen};
  return fails(Call::sendmsg) ? -1 : real(descriptor, message, flags);
}

ssize_t recv(int descriptor, void* storage, size_t bytes, int flags) {
  static auto* const real = next<ssize_t(int, void*, size_t, int)>("recv");
  return fails(Call::recv) ? -1 : real(descriptor, storage, bytes, flags);
}

int shutdown(int descriptor, int how) noexcept {
  static auto* const real = next<int(int, int)>("shutdown");
  return fails(Call::shutdown) ? -1 : real(descriptor, how);
}

int ioctl(int descriptor, unsigned long request, ...) noexcept {
  static auto* const real = next<int(int, unsigned long, void*)>("ioctl");
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return fails(Call::ioctl) ? -1 : real(descriptor, request, argument);
}

int getsockopt(int descriptor, int level, int option, void* value, socklen_t* bytes) noexcept {
  static auto* const real = next<int(int, int, int, void*, socklen_t*)>("getsockopt");
  return fails(Call::getsockopt) ? -1 : real(descriptor, level, option, value, bytes);
}

int setsockopt(int descriptor, int level, int option, const void* value, socklen_t bytes) noexcept {
  static auto* const real = next<int(int, int, int, const void*, socklen_t)>("setsockopt");
  return fails(Call::setsockopt) ? -1 : real(descriptor, level, option, value, bytes);
}

int getpeername(int descriptor, sockaddr* address, socklen_t* bytes) noexcept {
  static auto* const real = next<int(int, sockaddr*, socklen_t*)>("getpeername");
  return fails(Call::getpeername) ? -1 : real(descriptor, address, bytes);
}

}  // extern "C"
