// The functions that make and end descriptors, and say how they behave.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "harness/lab/kernel/calls.h"

using namespace rig;
using namespace rig::lab;

namespace rig::lab {
namespace {

RIG_LAB_REAL(close);
RIG_LAB_REAL(dup);
RIG_LAB_REAL(dup2);
RIG_LAB_REAL(dup3);
RIG_LAB_REAL(pipe);
RIG_LAB_REAL(pipe2);
RIG_LAB_REAL(eventfd);
RIG_LAB_REAL(timerfd_create);
RIG_LAB_REAL(timerfd_settime);
RIG_LAB_REAL(timerfd_gettime);
RIG_LAB_REAL(sendfile);
RIG_LAB_REAL(splice);
RIG_LAB_REAL(sendmmsg);
RIG_LAB_REAL(recvmmsg);
RIG_LAB_REAL(fstat);
RIG_LAB_REAL(lseek);
constinit Real<int(int, int, long)> real_fcntl{"fcntl"};
constinit Real<int(int, unsigned long, void*)> real_ioctl{"ioctl"};

}  // namespace

bool is_blocking(int descriptor) noexcept {
  if (!is_virtual(descriptor)) {
    const int status = real_fcntl(descriptor, F_GETFL, 0);
    return status >= 0 && (status & O_NONBLOCK) == 0;
  }
  const File* const file = kernel().descriptors.find(descriptor);
  return file != nullptr && !file->is_nonblocking();
}

namespace {

constexpr int kept_status = O_NONBLOCK | O_APPEND;

int make_pipe(int descriptors[2], int flags, const void* caller) {
  return static_cast<int>(on_nothing(Op::pipe, caller, [&]() -> Answer {
    if ((flags & ~(O_NONBLOCK | O_CLOEXEC)) != 0) {
      return -EINVAL;
    }
    const auto pipe = std::make_shared<Pipe>();
    for (const int end : {0, 1}) {
      descriptors[end] = open_file(new PipeEnd(pipe, end == 1), (flags & O_CLOEXEC) != 0, (flags & O_NONBLOCK) != 0);
    }
    return 0;
  }));
}

// duplicate_at is dup2 and dup3 on virtual descriptors.
int duplicate_at(int from, int to, bool close_on_exec, const void* caller) {
  return static_cast<int>(on_file(Op::dup, from, caller, 0, [&](File& file, bool, Struck&) -> Answer {
    Descriptors& table = kernel().descriptors;
    if (to < 0) {
      return -EBADF;
    }
    if (to < table.first()) {
      refuse("dup2", "of a virtual descriptor onto one of the system's");
    }
    if (from == to) {
      return to;
    }
    static_cast<void>(table.remove(to));
    table.add_at(to, file, close_on_exec);
    return to;
  }));
}

Answer control_file(File& file, int descriptor, int request, long argument) {
  Descriptors& table = kernel().descriptors;
  switch (request) {
    case F_GETFL:
      return file.access | file.status;
    case F_SETFL:
      if ((argument & O_ASYNC) != 0) {
        refuse("fcntl", "F_SETFL with O_ASYNC");
      }
      file.status = static_cast<int>(argument) & kept_status;
      return 0;
    case F_GETFD:
      return table.close_on_exec(descriptor) ? FD_CLOEXEC : 0;
    case F_SETFD:
      table.set_close_on_exec(descriptor, (argument & FD_CLOEXEC) != 0);
      return 0;
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return argument < 0 ? -EINVAL : table.add(file, request == F_DUPFD_CLOEXEC, static_cast<int>(argument));
    case F_GETPIPE_SZ:
    case F_SETPIPE_SZ:
      return dynamic_cast<PipeEnd*>(&file) != nullptr ? file.command(request, argument) : -EBADF;
    default:
      refuse("fcntl", "this command on a virtual descriptor");
  }
}

int fcntl_here(int descriptor, int request, long argument, const void* caller) {
  const bool makes_another = request == F_DUPFD || request == F_DUPFD_CLOEXEC;
  const KernelCall call{.verb = makes_another ? KernelVerb::duplicate : KernelVerb::option,
                        .function = "fcntl",
                        .descriptor = descriptor,
                        .caller = caller};
  return through_kernel_door(call, [&]() -> int {
    if (!is_virtual(descriptor)) {
      return real_fcntl(descriptor, request, argument);
    }
    return static_cast<int>(on_file(Op::fcntl, descriptor, caller, 0, [&](File& file, bool, Struck&) -> Answer {
      return control_file(file, descriptor, request, argument);
    }));
  });
}

Answer control_io(File& file, int descriptor, unsigned long request, void* argument) {
  switch (request) {
    case FIONBIO:
      user_reads(argument, sizeof(int));
      file.status = *static_cast<int*>(argument) != 0 ? file.status | O_NONBLOCK : file.status & ~O_NONBLOCK;
      return 0;
    case FIOCLEX:
    case FIONCLEX:
      kernel().descriptors.set_close_on_exec(descriptor, request == FIOCLEX);
      return 0;
    default:
      return file.control(request, argument);
  }
}

}  // namespace
}  // namespace rig::lab

RIG_LAB_EXPORT int close(int descriptor) {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door(
      {.verb = KernelVerb::close, .function = "close", .descriptor = descriptor, .caller = caller}, [&]() -> int {
        if (!is_virtual(descriptor)) {
          return real_close(descriptor);
        }
        const int before = errno;
        point(Op::close, caller);
        const Unwatched unwatched;
        Kernel& all = kernel();
        all.advance();
        Answer answer = -EBADF;
        int noise = 0;
        if (File* file = all.descriptors.find(descriptor)) {
          const Place place = file->place();
          const Struck struck = all.faults.at_call(Op::close, {&place, 1}, false);
          noise = struck.noise;
          const Pin pin(*file);
          answer = all.descriptors.remove(descriptor);
          if (file->references == 1 && file->tcp() != nullptr) {
            file->tcp()->linger_at_close();
          }
          // The descriptor is gone even if close fails, as on Linux.
          answer = struck.error != 0 ? -struck.error : answer;
        }
        event(Op::close, descriptor, answer);
        return static_cast<int>(finish(answer, before, noise));
      });
}

RIG_LAB_EXPORT int dup(int descriptor) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door(
      {.verb = KernelVerb::duplicate, .function = "dup", .descriptor = descriptor, .caller = caller}, [&]() -> int {
        if (!is_virtual(descriptor)) {
          return real_dup(descriptor);
        }
        return static_cast<int>(on_file(Op::dup, descriptor, caller, 0, [](File& file, bool, Struck&) -> Answer {
          return kernel().descriptors.add(file, false);
        }));
      });
}

RIG_LAB_EXPORT int dup2(int from, int to) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door({.verb = KernelVerb::duplicate, .function = "dup2", .descriptor = from, .caller = caller},
                             [&]() -> int {
                               if (is_virtual(from)) {
                                 return duplicate_at(from, to, false, caller);
                               }
                               if (is_virtual(to) && kernel().descriptors.find(to) != nullptr) {
                                 refuse("dup2", "of a system's descriptor onto a virtual one");
                               }
                               return real_dup2(from, to);
                             });
}

RIG_LAB_EXPORT int dup3(int from, int to, int flags) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door({.verb = KernelVerb::duplicate, .function = "dup3", .descriptor = from, .caller = caller},
                             [&]() -> int {
                               if (is_virtual(from)) {
                                 if (from == to || (flags & ~O_CLOEXEC) != 0) {
                                   errno = EINVAL;
                                   return -1;
                                 }
                                 return duplicate_at(from, to, (flags & O_CLOEXEC) != 0, caller);
                               }
                               if (is_virtual(to) && kernel().descriptors.find(to) != nullptr) {
                                 refuse("dup3", "of a system's descriptor onto a virtual one");
                               }
                               return real_dup3(from, to, flags);
                             });
}

RIG_LAB_EXPORT int fcntl(int descriptor, int request, ...) {
  va_list arguments;
  va_start(arguments, request);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  return fcntl_here(descriptor, request, argument, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int fcntl64(int descriptor, int request, ...) {
  va_list arguments;
  va_start(arguments, request);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  return fcntl_here(descriptor, request, argument, RIG_LAB_CALLER);
}

RIG_LAB_EXPORT int ioctl(int descriptor, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  const void* const caller = RIG_LAB_CALLER;
  const KernelCall call{.verb = KernelVerb::option, .function = "ioctl", .descriptor = descriptor, .caller = caller};
  return through_kernel_door(call, [&]() -> int {
    if (!is_virtual(descriptor)) {
      return real_ioctl(descriptor, request, argument);
    }
    return static_cast<int>(on_file(Op::ioctl, descriptor, caller, 0, [&](File& file, bool, Struck&) -> Answer {
      return control_io(file, descriptor, request, argument);
    }));
  });
}

RIG_LAB_EXPORT int pipe(int descriptors[2]) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  // A sanitizer closes its pipe past the C library: nobody is told of it.
  if (by_sanitizer(caller)) {
    return real_pipe(descriptors);
  }
  return pair_through_kernel_door(KernelVerb::open, "pipe", caller, descriptors, [&]() -> int {
    return outside() ? real_pipe(descriptors) : make_pipe(descriptors, 0, caller);
  });
}

RIG_LAB_EXPORT int pipe2(int descriptors[2], int flags) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return pair_through_kernel_door(KernelVerb::open, "pipe2", caller, descriptors, [&]() -> int {
    return outside() ? real_pipe2(descriptors, flags) : make_pipe(descriptors, flags, caller);
  });
}

RIG_LAB_EXPORT int eventfd(unsigned count, int flags) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door({.verb = KernelVerb::open, .function = "eventfd", .caller = caller}, [&]() -> int {
    if (outside()) {
      return real_eventfd(count, flags);
    }
    return static_cast<int>(on_nothing(Op::eventfd, caller, [&]() -> Answer {
      if ((flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) != 0) {
        return -EINVAL;
      }
      return open_file(new EventFile(count, (flags & EFD_SEMAPHORE) != 0), (flags & EFD_CLOEXEC) != 0,
                       (flags & EFD_NONBLOCK) != 0);
    }));
  });
}

RIG_LAB_EXPORT int timerfd_create(clockid_t clock, int flags) noexcept {
  const void* const caller = RIG_LAB_CALLER;
  return through_kernel_door({.verb = KernelVerb::open, .function = "timerfd_create", .caller = caller}, [&]() -> int {
    if (outside()) {
      return real_timerfd_create(clock, flags);
    }
    return static_cast<int>(on_nothing(Op::timerfd, caller, [&]() -> Answer {
      if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) != 0 ||
          (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME)) {
        return -EINVAL;
      }
      return open_file(new TimerFile, (flags & TFD_CLOEXEC) != 0, (flags & TFD_NONBLOCK) != 0);
    }));
  });
}

RIG_LAB_EXPORT int timerfd_settime(int descriptor, int flags, const itimerspec* value, itimerspec* old) noexcept {
  if (!is_virtual(descriptor)) {
    return real_timerfd_settime(descriptor, flags, value, old);
  }
  return static_cast<int>(on_file(Op::timerfd, descriptor, RIG_LAB_CALLER, 0, [&](File& file, bool, Struck&) -> Answer {
    auto* timer = dynamic_cast<TimerFile*>(&file);
    return timer != nullptr ? timer->set(flags, *value, old) : -EINVAL;
  }));
}

RIG_LAB_EXPORT int timerfd_gettime(int descriptor, itimerspec* value) noexcept {
  if (!is_virtual(descriptor)) {
    return real_timerfd_gettime(descriptor, value);
  }
  return static_cast<int>(on_file(Op::timerfd, descriptor, RIG_LAB_CALLER, 0, [&](File& file, bool, Struck&) -> Answer {
    auto* timer = dynamic_cast<TimerFile*>(&file);
    if (timer == nullptr) {
      return -EINVAL;
    }
    *value = timer->get();
    return 0;
  }));
}

// RIG_KERNEL_REFUSE defines a function that has no model for virtual descriptors.
#define RIG_KERNEL_REFUSE(result, name, parameters, arguments, descriptors) \
  RIG_LAB_EXPORT result name parameters {                                   \
    if (descriptors) {                                                      \
      refuse(#name, "on a virtual descriptor");                             \
    }                                                                       \
    return real_##name arguments;                                           \
  }

RIG_KERNEL_REFUSE(ssize_t, sendfile, (int to, int from, off_t* offset, size_t count) noexcept,
                  (to, from, offset, count), is_virtual(to) || is_virtual(from))
RIG_KERNEL_REFUSE(ssize_t, splice,
                  (int from, off64_t* from_offset, int to, off64_t* to_offset, size_t count, unsigned flags),
                  (from, from_offset, to, to_offset, count, flags), is_virtual(to) || is_virtual(from))
RIG_KERNEL_REFUSE(int, sendmmsg, (int descriptor, mmsghdr* messages, unsigned count, int flags),
                  (descriptor, messages, count, flags), is_virtual(descriptor))
RIG_KERNEL_REFUSE(int, recvmmsg, (int descriptor, mmsghdr* messages, unsigned count, int flags, timespec* time),
                  (descriptor, messages, count, flags, time), is_virtual(descriptor))
RIG_KERNEL_REFUSE(int, fstat, (int descriptor, struct stat* about) noexcept, (descriptor, about),
                  is_virtual(descriptor))
RIG_KERNEL_REFUSE(off_t, lseek, (int descriptor, off_t offset, int whence) noexcept, (descriptor, offset, whence),
                  is_virtual(descriptor))
