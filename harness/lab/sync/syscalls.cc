// `syscall`: how C++'s std::atomic::wait reaches the futex, and how libraries reach what their libc has no name for.
#include <errno.h>
#include <linux/futex.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdarg>
#include <string>

#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

// In the ABI of x86-64 a variadic function that takes integers can be called as one with a fixed list of them.
constinit Real<long(long, long, long, long, long, long, long)> real_syscall("syscall");

// These return at once, and what they do is no part of a run.
constexpr long harmless[] = {
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_madvise,
    SYS_mremap,
    SYS_brk,
    SYS_membarrier,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getppid,
    SYS_uname,
    SYS_sysinfo,
    SYS_prctl,
    SYS_getcpu,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_getrlimit,
    SYS_prlimit64,
    SYS_rt_sigprocmask,
    SYS_rt_sigaction,
    SYS_sigaltstack,
    SYS_memfd_create,
    SYS_get_mempolicy,
    SYS_mbind,
    SYS_getrusage,
    SYS_exit_group,
};

long fail(int number) {
  errno = number;
  return -1;
}

std::string explain_futex(const Wait& wait) {
  return object_name("atomic", wait.keys[0]) + ", which is " +
         std::to_string(*static_cast<const std::int32_t*>(wait.keys[0]));
}

long futex_wait(const std::uint32_t* word, std::uint32_t value, std::int64_t deadline_ns, const void* caller) {
  point(Op::futex_wait, caller);
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != value) {
    event(Op::futex_wait, EAGAIN);
    return fail(EAGAIN);
  }
  const bool late = wait_for(Op::futex_wait, word, explain_futex, deadline_ns) == Woken::by_deadline;
  event(Op::futex_wait, late ? ETIMEDOUT : 0);
  return late ? fail(ETIMEDOUT) : 0;
}

long futex_wake(const std::uint32_t* word, int count, const void* caller) {
  point(Op::futex_wake, caller);
  long woken = 0;
  if (count == INT_MAX) {
    woken = static_cast<long>(waiting(word));
    wake_all(word);
  } else {
    while (woken < count && wake_one(word)) {
      ++woken;
    }
  }
  event(Op::futex_wake, woken);
  point(Op::futex_wake, caller);
  return woken;
}

long futex(const long* arguments, const void* caller) {
  const auto* word = reinterpret_cast<const std::uint32_t*>(arguments[0]);
  const int operation = static_cast<int>(arguments[1]) & FUTEX_CMD_MASK;
  const auto value = static_cast<std::uint32_t>(arguments[2]);
  const auto* time = reinterpret_cast<const timespec*>(arguments[3]);
  const bool with_mask = operation == FUTEX_WAIT_BITSET || operation == FUTEX_WAKE_BITSET;
  if (with_mask && static_cast<std::uint32_t>(arguments[5]) != FUTEX_BITSET_MATCH_ANY) {
    refuse("syscall(SYS_futex)", "it wakes by a mask of bits");
  }
  switch (operation) {
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
      return futex_wake(word, static_cast<int>(value), caller);
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
      break;
    default:
      refuse("syscall(SYS_futex)", ("operation " + std::to_string(operation)).c_str());
  }
  if (time != nullptr && (!is_valid(*time) || time->tv_sec < 0)) {
    return fail(EINVAL);
  }
  const std::int64_t deadline_ns = time == nullptr ? never : operation == FUTEX_WAIT ? after(*time) : to_ns(*time);
  return futex_wait(word, value, deadline_ns, caller);
}

long modelled(long number, const long* arguments, const void* caller) {
  switch (number) {
    case SYS_futex:
      return futex(arguments, caller);
    case SYS_getrandom:
      return getrandom(reinterpret_cast<void*>(arguments[0]), static_cast<std::size_t>(arguments[1]),
                       static_cast<unsigned>(arguments[2]));
    case SYS_getpid:
      return getpid();
    case SYS_sched_yield:
      point(Op::yield, caller);
      return 0;
    case SYS_clock_gettime:
      return clock_gettime(static_cast<clockid_t>(arguments[0]), reinterpret_cast<timespec*>(arguments[1]));
    default:
      break;
  }
  if (std::ranges::find(harmless, number) == std::end(harmless)) {
    refuse("syscall", ("number " + std::to_string(number)).c_str());
  }
  return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

}  // namespace
}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT long syscall(long number, ...) noexcept {
  // Six are read whether or not they were given: as the system's function does, with registers.
  std::va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) {
    argument = va_arg(list, long);
  }
  va_end(list);
  if (outside()) {
    return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  }
  return modelled(number, arguments, RIG_LAB_CALLER);
}
