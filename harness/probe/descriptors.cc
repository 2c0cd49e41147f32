// The functions that open, use and close a descriptor.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "harness/base/library_door.h"
#include "harness/base/symbol_behind.h"
#include "harness/probe/probe.h"

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

using rig::DescriptorAudit;
using rig::probe::audit;

// SigpipeHeld keeps a SIGPIPE that would kill from arriving until it has been reported; then it arrives.
class SigpipeHeld {
 public:
  SigpipeHeld() {
    struct sigaction action{};
    sigaction(SIGPIPE, nullptr, &action);
    if ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL) {
      return;
    }
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    held_ = pthread_sigmask(SIG_BLOCK, &pipe, &before_) == 0 && sigismember(&before_, SIGPIPE) == 0;
  }
  SigpipeHeld(const SigpipeHeld&) = delete;
  SigpipeHeld& operator=(const SigpipeHeld&) = delete;
  ~SigpipeHeld() {
    if (held_) {
      pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
  }

  bool has_come() const {
    sigset_t pending;
    return held_ && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  }

 private:
  sigset_t before_{};
  bool held_ = false;
};

// looked_at makes a call with a descriptor, and has it judged.
template <class Real>
auto looked_at(const char* function, const void* caller, int descriptor, Real&& real) {
  const auto result = real();
  DescriptorAudit* const judge = audit();
  if (judge == nullptr) {
    return result;
  }
  const int kept = errno;
  const bool refused = result < 0 && kept == EBADF;
  if (const void* const session = rig::door_session(); refused || session != nullptr) {
    judge->used(
        {.descriptor = descriptor, .function = function, .caller = caller, .refused = refused, .session = session});
  }
  errno = kept;
  return result;
}

// sent makes a call that writes; without MSG_NOSIGNAL it may kill.
template <class Real>
ssize_t sent(const char* function, const void* caller, int descriptor, bool may_signal, Real&& real) {
  DescriptorAudit* const judge = audit();
  if (judge == nullptr || !may_signal || !judge->is_socket(descriptor)) {
    return looked_at(function, caller, descriptor, real);
  }
  const SigpipeHeld held;
  const ssize_t result = looked_at(function, caller, descriptor, real);
  if (result < 0 && errno == EPIPE) {
    const int kept = errno;
    if (held.has_come()) {
      judge->killed({.descriptor = descriptor, .function = function, .caller = caller});
    }
    errno = kept;
  }
  return result;
}

int made(int descriptor, bool is_socket) {
  if (DescriptorAudit* const judge = audit(); judge != nullptr && descriptor >= 0) {
    is_socket ? judge->opened(descriptor) : judge->replaced(descriptor);
  }
  return descriptor;
}

// duplicate is the second name of a descriptor; it is a socket if the first one is.
int duplicate(int from, int result) {
  DescriptorAudit* const judge = audit();
  return judge == nullptr ? result : made(result, judge->is_socket(from));
}

}  // namespace

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
  return made(behind_socket(domain, type, protocol), true);
}

int socketpair(int domain, int type, int protocol, int* ends) noexcept {
  const int result = behind_socketpair(domain, type, protocol, ends);
  if (result == 0) {
    made(ends[0], true);
    made(ends[1], true);
  }
  return result;
}

int dup(int descriptor) noexcept {
  return duplicate(descriptor, behind_dup(descriptor));
}

int dup2(int from, int to) noexcept {
  return duplicate(from, behind_dup2(from, to));
}

int dup3(int from, int to, int flags) noexcept {
  return duplicate(from, behind_dup3(from, to, flags));
}

int close(int descriptor) {
  const void* const caller = __builtin_return_address(0);
  DescriptorAudit* const judge = audit();
  if (judge == nullptr || (!judge->is_socket(descriptor) && fcntl(descriptor, F_GETFD) >= 0)) {
    return behind_close(descriptor);
  }
  // Before the call: as soon as the system has closed it, another thread may be given the number.
  const bool refused = fcntl(descriptor, F_GETFD) < 0 && errno == EBADF;
  judge->closed({.descriptor = descriptor, .function = "close", .caller = caller, .refused = refused});
  return behind_close(descriptor);
}

int shutdown(int descriptor, int how) noexcept {
  return looked_at("shutdown", __builtin_return_address(0), descriptor,
                   [=] { return behind_shutdown(descriptor, how); });
}

ssize_t read(int descriptor, void* data, std::size_t bytes) {
  return looked_at("read", __builtin_return_address(0), descriptor,
                   [=] { return behind_read(descriptor, data, bytes); });
}

ssize_t readv(int descriptor, const iovec* parts, int count) {
  return looked_at("readv", __builtin_return_address(0), descriptor,
                   [=] { return behind_readv(descriptor, parts, count); });
}

ssize_t recv(int descriptor, void* data, std::size_t bytes, int flags) {
  return looked_at("recv", __builtin_return_address(0), descriptor,
                   [=] { return behind_recv(descriptor, data, bytes, flags); });
}

ssize_t recvfrom(int descriptor, void* data, std::size_t bytes, int flags, sockaddr* peer, socklen_t* peer_bytes) {
  return looked_at("recvfrom", __builtin_return_address(0), descriptor,
                   [=] { return behind_recvfrom(descriptor, data, bytes, flags, peer, peer_bytes); });
}

ssize_t recvmsg(int descriptor, msghdr* message, int flags) {
  return looked_at("recvmsg", __builtin_return_address(0), descriptor,
                   [=] { return behind_recvmsg(descriptor, message, flags); });
}

ssize_t write(int descriptor, const void* data, std::size_t bytes) {
  return sent("write", __builtin_return_address(0), descriptor, true,
              [=] { return behind_write(descriptor, data, bytes); });
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  return sent("writev", __builtin_return_address(0), descriptor, true,
              [=] { return behind_writev(descriptor, parts, count); });
}

ssize_t send(int descriptor, const void* data, std::size_t bytes, int flags) {
  return sent("send", __builtin_return_address(0), descriptor, (flags & MSG_NOSIGNAL) == 0,
              [=] { return behind_send(descriptor, data, bytes, flags); });
}

ssize_t sendto(int descriptor, const void* data, std::size_t bytes, int flags, const sockaddr* peer,
               socklen_t peer_bytes) {
  return sent("sendto", __builtin_return_address(0), descriptor, (flags & MSG_NOSIGNAL) == 0,
              [=] { return behind_sendto(descriptor, data, bytes, flags, peer, peer_bytes); });
}

ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
  return sent("sendmsg", __builtin_return_address(0), descriptor, (flags & MSG_NOSIGNAL) == 0,
              [=] { return behind_sendmsg(descriptor, message, flags); });
}

}  // extern "C"
