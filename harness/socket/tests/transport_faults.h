// Faults: a test binary that links transport_faults.cc can make the next system calls fail, and can look at sendmsg().
#pragma once

#include <cstddef>

namespace rig::test {

// Call is a system call that can be made to fail.
enum class Call {
  socket,
  connect,
  accept4,
  listen,
  sendmsg,
  recv,
  shutdown,
  ioctl,
  getsockopt,
  setsockopt,
  getpeername
};

// fail_next makes the next `times` calls fail with `errno_value` instead of reaching the system.
void fail_next(Call call, int errno_value, int times = 1);

// failures_left is how many of those are still to come.
int failures_left(Call call);

// SentMessage is what the last sendmsg() was asked to do.
struct SentMessage {
  int flags = 0;
  std::size_t pieces = 0;
};
SentMessage last_sent();

}  // namespace rig::test
