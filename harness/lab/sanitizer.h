// What sanitizers are told: that the kernel's own memory is none of their business, that the caller's buffers are, and
// which orders of events the kernel makes.
#pragma once

#include <cstddef>

#include "harness/lab/own_work.h"

// Present only in an executable with a sanitizer's runtime; nearly all are ThreadSanitizer's.
extern "C" {
[[gnu::weak]] int __asan_report_present();  // with AddressSanitizer's
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
[[gnu::weak]] void __tsan_ignore_thread_begin();
[[gnu::weak]] void __tsan_ignore_thread_end();
[[gnu::weak]] void __tsan_read_range(void* address, unsigned long size);
[[gnu::weak]] void __tsan_write_range(void* address, unsigned long size);
// The first and the last functions of a sanitizer's runtime, as clang 19 links it.
[[gnu::weak]] void __sanitizer_acquire_crash_state();
[[gnu::weak]] void __sanitizer_get_estimated_allocated_size();
[[gnu::weak]] void __ubsan_handle_cfi_bad_type();
}

namespace rig::lab {

// Unwatched hides what the calling thread does from ThreadSanitizer: the kernel is not compiled for it, but the memcpy
// and free that it calls are watched, and the orders between the kernel's callers are not those of the program. What it
// allocates is the lab's own work.
class Unwatched {
 public:
  Unwatched() {
    if (__tsan_ignore_thread_begin != nullptr) {
      __tsan_ignore_thread_begin();
    }
  }
  ~Unwatched() {
    if (__tsan_ignore_thread_end != nullptr) {
      __tsan_ignore_thread_end();
    }
  }
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;

 private:
  OwnWork own_work_;
};

// by_sanitizer says that a call was made by the sanitizer's runtime, which lies in one piece in the executable. It
// makes a pipe to ask the kernel whether memory can be read, and others to talk to its symbolizer.
inline bool by_sanitizer(const void* caller) noexcept {
  const auto at = reinterpret_cast<unsigned long>(caller);
  const auto first = reinterpret_cast<unsigned long>(&__sanitizer_acquire_crash_state);
  const auto other = reinterpret_cast<unsigned long>(&__sanitizer_get_estimated_allocated_size);
  const auto last = reinterpret_cast<unsigned long>(&__ubsan_handle_cfi_bad_type);
  return at >= (first < other ? first : other) && at < last;
}

// user_reads and user_writes say that the call read or wrote the caller's memory. Within an Unwatched.
inline void user_reads(const void* address, std::size_t size) {
  if (__tsan_read_range != nullptr && size > 0) {
    __tsan_ignore_thread_end();
    __tsan_read_range(const_cast<void*>(address), size);
    __tsan_ignore_thread_begin();
  }
}
inline void user_writes(void* address, std::size_t size) {
  if (__tsan_write_range != nullptr && size > 0) {
    __tsan_ignore_thread_end();
    __tsan_write_range(address, size);
    __tsan_ignore_thread_begin();
  }
}

// order_before and order_after: what came before the one comes before what follows the other.
inline void order_before(const void* address) {
  if (__tsan_release != nullptr) {
    __tsan_release(const_cast<void*>(address));
  }
}
inline void order_after(const void* address) {
  if (__tsan_acquire != nullptr) {
    __tsan_acquire(const_cast<void*>(address));
  }
}

}  // namespace rig::lab
