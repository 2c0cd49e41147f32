// The functions that a compiler calls for memory accesses under -fsanitize=thread, as points of the schedule. A program
// that is compiled so, and linked with these instead of the sanitizer's runtime, can be preempted between an atomic
// load and the store that relies on it. What this finds is what a sequentially consistent machine can do: reorderings
// by a processor are not among it.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "harness/lab/hooks/hooks.h"
#include "harness/lab/own_work.h"
#include "harness/lab/scheduler.h"

namespace rig::lab {

void link_memory_hooks() {}

namespace {

// in_code_under_test says that an access is the program's: some of the lab's own work goes over the caller's memory.
bool in_code_under_test() {
  return self() != nullptr && allocation_state_here.own_work == 0;
}

// Each atomic is a point: there are few, and the order of two is what such bugs are about.
void before_atomic() {
  if (in_code_under_test()) {
    point(Op::memory);
  }
}

void before_access() {
  if (in_code_under_test()) {
    sampled_point(Op::memory);
  }
}

}  // namespace
}  // namespace rig::lab

#define RIG_HOOK extern "C" [[gnu::visibility("default")]]

// The compilers reserve these names; no header declares them.
#pragma GCC diagnostic ignored "-Wmissing-declarations"

RIG_HOOK void __tsan_init() {}
RIG_HOOK void __tsan_func_entry(void*) {}
RIG_HOOK void __tsan_func_exit() {}
RIG_HOOK void __tsan_ignore_thread_begin() {}
RIG_HOOK void __tsan_ignore_thread_end() {}
RIG_HOOK void __tsan_vptr_update(void**, void*) {
  rig::lab::before_access();
}
RIG_HOOK void __tsan_vptr_read(void**) {
  rig::lab::before_access();
}
RIG_HOOK void __tsan_read_range(void*, std::size_t) {
  rig::lab::before_access();
}
RIG_HOOK void __tsan_write_range(void*, std::size_t) {
  rig::lab::before_access();
}
RIG_HOOK void* __tsan_memcpy(void* to, const void* from, std::size_t size) {
  rig::lab::before_access();
  return std::memcpy(to, from, size);
}
RIG_HOOK void* __tsan_memmove(void* to, const void* from, std::size_t size) {
  rig::lab::before_access();
  return std::memmove(to, from, size);
}
RIG_HOOK void* __tsan_memset(void* to, int value, std::size_t size) {
  rig::lab::before_access();
  return std::memset(to, value, size);
}

#define RIG_HOOK_ACCESS(size)                              \
  RIG_HOOK void __tsan_read##size(void*) {                 \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_write##size(void*) {                \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_unaligned_read##size(void*) {       \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_unaligned_write##size(void*) {      \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_read##size##_pc(void*, void*) {     \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_write##size##_pc(void*, void*) {    \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_volatile_read##size(void*) {        \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_volatile_write##size(void*) {       \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_read_write##size(void*) {           \
    rig::lab::before_access();                             \
  }                                                        \
  RIG_HOOK void __tsan_unaligned_read_write##size(void*) { \
    rig::lab::before_access();                             \
  }
RIG_HOOK_ACCESS(1)
RIG_HOOK_ACCESS(2)
RIG_HOOK_ACCESS(4)
RIG_HOOK_ACCESS(8)
RIG_HOOK_ACCESS(16)
#undef RIG_HOOK_ACCESS

// One thread runs at a time, so the strongest order costs nothing and hides nothing.
#define RIG_HOOK_FETCH(bits, type, name, builtin)                                  \
  RIG_HOOK type __tsan_atomic##bits##_##name(volatile type* at, type value, int) { \
    rig::lab::before_atomic();                                                     \
    return builtin(at, value, __ATOMIC_SEQ_CST);                                   \
  }
#define RIG_HOOK_ATOMICS(bits, type)                                                                                  \
  RIG_HOOK type __tsan_atomic##bits##_load(const volatile type* at, int) {                                            \
    rig::lab::before_atomic();                                                                                        \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                                     \
  }                                                                                                                   \
  RIG_HOOK void __tsan_atomic##bits##_store(volatile type* at, type value, int) {                                     \
    rig::lab::before_atomic();                                                                                        \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                                    \
  }                                                                                                                   \
  RIG_HOOK_FETCH(bits, type, exchange, __atomic_exchange_n)                                                           \
  RIG_HOOK_FETCH(bits, type, fetch_add, __atomic_fetch_add)                                                           \
  RIG_HOOK_FETCH(bits, type, fetch_sub, __atomic_fetch_sub)                                                           \
  RIG_HOOK_FETCH(bits, type, fetch_and, __atomic_fetch_and)                                                           \
  RIG_HOOK_FETCH(bits, type, fetch_or, __atomic_fetch_or)                                                             \
  RIG_HOOK_FETCH(bits, type, fetch_xor, __atomic_fetch_xor)                                                           \
  RIG_HOOK_FETCH(bits, type, fetch_nand, __atomic_fetch_nand)                                                         \
  RIG_HOOK int __tsan_atomic##bits##_compare_exchange_strong(volatile type* at, type* expected, type value, int,      \
                                                             int) {                                                   \
    rig::lab::before_atomic();                                                                                        \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? 1 : 0;       \
  }                                                                                                                   \
  RIG_HOOK int __tsan_atomic##bits##_compare_exchange_weak(volatile type* at, type* expected, type value, int, int) { \
    rig::lab::before_atomic();                                                                                        \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? 1 : 0;       \
  }                                                                                                                   \
  RIG_HOOK type __tsan_atomic##bits##_compare_exchange_val(volatile type* at, type expected, type value, int, int) {  \
    rig::lab::before_atomic();                                                                                        \
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                     \
    return expected;                                                                                                  \
  }
RIG_HOOK_ATOMICS(8, std::uint8_t)
RIG_HOOK_ATOMICS(16, std::uint16_t)
RIG_HOOK_ATOMICS(32, std::uint32_t)
RIG_HOOK_ATOMICS(64, std::uint64_t)
#undef RIG_HOOK_ATOMICS
#undef RIG_HOOK_FETCH

RIG_HOOK void __tsan_atomic_thread_fence(int) {
  rig::lab::before_atomic();
}
RIG_HOOK void __tsan_atomic_signal_fence(int) {}
