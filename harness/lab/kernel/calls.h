// What the functions in place of the system's have in common.
#pragma once

#include <cerrno>
#include <cstdarg>

#include "harness/base/kernel_door.h"
#include "harness/lab/interposing.h"
#include "harness/lab/kernel/events.h"
#include "harness/lab/kernel/file.h"
#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tcp.h"

// __chk_fail ends a process whose call would overrun its buffer.
extern "C" [[noreturn]] void __chk_fail();

namespace rig::lab {

// is_virtual says that a call with this descriptor is the lab's.
inline bool is_virtual(int descriptor) noexcept {
  return !outside() && kernel().descriptors.was_virtual(descriptor);
}

// is_blocking says that a call with this descriptor waits for the other side, unless its flags forbid that.
bool is_blocking(int descriptor) noexcept;

// finish turns an answer into what a function of libc returns, and sets errno as one does: on failure only, unless a
// fault leaves noise.
inline long finish(Answer answer, int errno_before, int noise) {
  if (answer < 0) {
    errno = static_cast<int>(-answer);
    return -1;
  }
  errno = noise != 0 ? noise : errno_before;
  return static_cast<long>(answer);
}

// on_file makes a call on a virtual descriptor: a point, the faults, the work, an event. `flags` may hold MSG_DONTWAIT.
template <class Work>
long on_file(Op op, int descriptor, const void* caller, int flags, Work work) {
  const int before = errno;
  point(op, caller);
  const Unwatched unwatched;
  Kernel& all = kernel();
  all.advance();
  Answer answer = -EBADF;
  int noise = 0;
  if (File* file = all.descriptors.find(descriptor)) {
    const Pin pin(*file);
    const bool waits = !file->is_nonblocking() && (flags & MSG_DONTWAIT) == 0;
    const Place place = file->place();
    Struck struck = all.faults.at_call(op, {&place, 1}, waits);
    answer = struck.error != 0 ? -struck.error : work(*file, waits, struck);
    noise = struck.noise;
    if (struck.ran_out()) {
      file->raise_edges();
    }
  }
  event(op, descriptor, answer);
  return finish(answer, before, noise);
}

// on_nothing makes a call without a descriptor: most of these make one.
template <class Work>
long on_nothing(Op op, const void* caller, Work work) {
  const int before = errno;
  point(op, caller);
  const Unwatched unwatched;
  Kernel& all = kernel();
  all.advance();
  const Place nowhere;
  Struck struck = all.faults.at_call(op, {&nowhere, 1}, false);
  const Answer answer = struck.error != 0 ? -struck.error : work();
  event(op, answer, 0);
  return finish(answer, before, struck.noise);
}

// open_file gives a new file its descriptor.
inline int open_file(File* file, bool close_on_exec, bool nonblocking) {
  file->status = nonblocking ? O_NONBLOCK : 0;
  return kernel().descriptors.add(*file, close_on_exec);
}

}  // namespace rig::lab
