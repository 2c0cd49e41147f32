// The bare system call: neither the lab nor a sanitizer sees it, it uses no heap, and errno stays as it is.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>

#include <climits>
#include <cstdint>

namespace rig::lab {

// kernel_call makes the system call with that number. Returns what the kernel answers: a negative number is an errno.
// Thread: any.
inline long kernel_call(long number, long a = 0, long b = 0, long c = 0, long d = 0) noexcept {
  long result = number;
  register long r10 asm("r10") = d;
  asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return result;
}

// futex_wait sleeps in the kernel while `*word` is `value`, for at most `span` (a timespec; null: for ever).
inline void futex_wait(const void* word, std::uint32_t value, const void* span = nullptr) noexcept {
  kernel_call(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAIT_PRIVATE, static_cast<long>(value),
              reinterpret_cast<long>(span));
}

// futex_wake wakes up to `count` of those who sleep on the word.
inline void futex_wake(const void* word, int count = INT_MAX) noexcept {
  kernel_call(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAKE_PRIVATE, count);
}

// kernel_process is the process's id in the kernel, whatever getpid answers.
inline std::int32_t kernel_process() noexcept {
  return static_cast<std::int32_t>(kernel_call(SYS_getpid));
}

}  // namespace rig::lab
