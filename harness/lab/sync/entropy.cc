// Randomness from the run's seed, and what else differs from process to process and finds its way into a library's
// random numbers: the process's id and the processor's clock.
#include "harness/lab/sync/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <x86intrin.h>

#include <atomic>
#include <cstdarg>
#include <cstring>
#include <string_view>

#include "harness/base/prng.h"
#include "harness/lab/sync/sync.h"

namespace rig::lab {
namespace {

RIG_LAB_REAL(getrandom);
RIG_LAB_REAL(getentropy);
RIG_LAB_REAL(arc4random);
RIG_LAB_REAL(arc4random_buf);
RIG_LAB_REAL(arc4random_uniform);
RIG_LAB_REAL(getpid);
RIG_LAB_REAL(fopen);
RIG_LAB_REAL(fopen64);
constinit Real<int(const char*, int, mode_t)> real_open("open");
constinit Real<int(const char*, int, mode_t)> real_open64("open64");
constinit Real<int(int, const char*, int, mode_t)> real_openat("openat");
constinit Real<int(int, const char*, int, mode_t)> real_openat64("openat64");
constinit Real<unsigned(void*)> real_random_device("_ZNSt13random_device9_M_getvalEv");

constexpr std::size_t getentropy_bytes_max = 256;

// No process has an id beyond the kernel's PID_MAX_LIMIT, 2^22. Each run has one of its own, since libraries draw fresh
// randomness when they find themselves in another process.
constexpr pid_t fixed_process = 5'000'000;
constexpr pid_t first_process_of_runs = 6'000'000;
constexpr std::uint64_t processes_of_runs = 1'000'000;

// What fix_entropy has fixed, behind a lock of its own: the lab's functions cannot use their own mutexes.
constinit std::atomic<bool> is_fixed{false};
constinit std::atomic_flag fixed_lock;
constinit Prng* fixed_stream = nullptr;

void fill(Prng& from, void* data, std::size_t size) {
  for (auto* at = static_cast<unsigned char*>(data); size > 0;) {
    const std::uint64_t word = from.next();
    const std::size_t part = size < sizeof word ? size : sizeof word;
    std::memcpy(at, &word, part);
    at += part;
    size -= part;
  }
}

// drawn fills `data` unless the system is to do it.
bool drawn(void* data, std::size_t size) {
  if (!outside()) {
    fill(stream(Stream::entropy), data, size);
    event(Op::entropy, static_cast<std::int64_t>(size));
    bytes(data, size);
    return true;
  }
  if (self() == nullptr && is_fixed.load(std::memory_order_acquire)) {
    while (fixed_lock.test_and_set(std::memory_order_acquire)) {
      __builtin_ia32_pause();
    }
    fill(*fixed_stream, data, size);
    fixed_lock.clear(std::memory_order_release);
    return true;
  }
  return false;
}

void check_path(const char* call, const char* path) {
  const std::string_view name = path == nullptr ? "" : path;
  if (!outside() && (name == "/dev/urandom" || name == "/dev/random" || name == "/dev/hwrng")) {
    refuse(call, "it opens a source of randomness that no seed decides");
  }
}

// Only these flags come with a mode.
bool has_mode(int flags) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

}  // namespace

void fix_entropy(std::uint64_t seed) {
  while (fixed_lock.test_and_set(std::memory_order_acquire)) {
    __builtin_ia32_pause();
  }
  if (fixed_stream == nullptr) {
    fixed_stream = new Prng(seed);  // never deleted: randomness is drawn while the process ends as well
  } else {
    *fixed_stream = Prng(seed);
  }
  fixed_lock.clear(std::memory_order_release);
  is_fixed.store(true, std::memory_order_release);
}

}  // namespace rig::lab

using namespace rig::lab;

RIG_LAB_EXPORT ssize_t getrandom(void* data, size_t size, unsigned flags) {
  return drawn(data, size) ? static_cast<ssize_t>(size) : real_getrandom(data, size, flags);
}

RIG_LAB_EXPORT int getentropy(void* data, size_t size) {
  if (size > getentropy_bytes_max) {
    errno = EIO;
    return -1;
  }
  return drawn(data, size) ? 0 : real_getentropy(data, size);
}

RIG_LAB_EXPORT std::uint32_t arc4random() noexcept {
  std::uint32_t number = 0;
  return drawn(&number, sizeof number) ? number : real_arc4random();
}

RIG_LAB_EXPORT void arc4random_buf(void* data, size_t size) noexcept {
  if (!drawn(data, size)) {
    real_arc4random_buf(data, size);
  }
}

RIG_LAB_EXPORT std::uint32_t arc4random_uniform(std::uint32_t bound) noexcept {
  std::uint64_t number = 0;
  if (!drawn(&number, sizeof number)) {
    return real_arc4random_uniform(bound);
  }
  // Of 64 bits the remainder is as good as uniform.
  return bound == 0 ? 0 : static_cast<std::uint32_t>(number % bound);
}

// std::random_device::_M_getval: it would ask the processor, past every function.
RIG_LAB_EXPORT unsigned _ZNSt13random_device9_M_getvalEv(void* device) {
  unsigned number = 0;
  return drawn(&number, sizeof number) ? number : real_random_device(device);
}

RIG_LAB_EXPORT pid_t getpid() noexcept {
  if (!outside()) {
    return first_process_of_runs + static_cast<pid_t>(run_number() % processes_of_runs);
  }
  return is_fixed.load(std::memory_order_acquire) ? fixed_process : real_getpid();
}

// What mbedTLS 2 takes for a high-resolution clock.
RIG_LAB_EXPORT unsigned long mbedtls_timing_hardclock();
RIG_LAB_EXPORT unsigned long mbedtls_timing_hardclock() {
  return outside() ? __rdtsc() : static_cast<unsigned long>(now_ns());
}

#define RIG_LAB_READ_MODE(flags)                        \
  mode_t mode = 0;                                      \
  if (has_mode(flags)) {                                \
    std::va_list list;                                  \
    va_start(list, flags);                              \
    mode = static_cast<mode_t>(va_arg(list, unsigned)); \
    va_end(list);                                       \
  }

RIG_LAB_EXPORT int open(const char* path, int flags, ...) {
  RIG_LAB_READ_MODE(flags)
  check_path("open", path);
  return real_open(path, flags, mode);
}

RIG_LAB_EXPORT int open64(const char* path, int flags, ...) {
  RIG_LAB_READ_MODE(flags)
  check_path("open64", path);
  return real_open64(path, flags, mode);
}

RIG_LAB_EXPORT int openat(int folder, const char* path, int flags, ...) {
  RIG_LAB_READ_MODE(flags)
  check_path("openat", path);
  return real_openat(folder, path, flags, mode);
}

RIG_LAB_EXPORT int openat64(int folder, const char* path, int flags, ...) {
  RIG_LAB_READ_MODE(flags)
  check_path("openat64", path);
  return real_openat64(folder, path, flags, mode);
}

RIG_LAB_EXPORT FILE* fopen(const char* path, const char* mode) {
  check_path("fopen", path);
  return real_fopen(path, mode);
}

RIG_LAB_EXPORT FILE* fopen64(const char* path, const char* mode) {
  check_path("fopen64", path);
  return real_fopen64(path, mode);
}
