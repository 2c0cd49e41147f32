#include "harness/socket/tests/allocations.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

namespace rig::test {
namespace {

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();
thread_local std::uint64_t count = 0;
thread_local std::uint64_t fails_from = no_limit;
std::atomic<std::int64_t> live = 0;

#if !defined(RIG_ALLOCATIONS_ARE_FOREIGN)
void* take(std::size_t bytes) noexcept {
  if (count >= fails_from) {
    return nullptr;
  }
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory != nullptr) {
    ++count;
    live += static_cast<std::int64_t>(::malloc_usable_size(memory));
  }
  return memory;
}

void* take_or_throw(std::size_t bytes) {
  void* memory = take(bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

void give(void* memory) noexcept {
  if (memory != nullptr) {
    live -= static_cast<std::int64_t>(::malloc_usable_size(memory));
    std::free(memory);
  }
}
#endif

}  // namespace

std::uint64_t allocations() noexcept {
  return count;
}

std::int64_t live_bytes() noexcept {
  return live;
}

FailingAllocations::FailingAllocations(std::uint64_t allowed) noexcept {
  fails_from = count + allowed;
}

FailingAllocations::~FailingAllocations() {
  fails_from = no_limit;
}

}  // namespace rig::test

#if !defined(RIG_ALLOCATIONS_ARE_FOREIGN)
void* operator new(std::size_t bytes) {
  return rig::test::take_or_throw(bytes);
}
void* operator new[](std::size_t bytes) {
  return rig::test::take_or_throw(bytes);
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return rig::test::take(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return rig::test::take(bytes);
}
void operator delete(void* memory) noexcept {
  rig::test::give(memory);
}
void operator delete[](void* memory) noexcept {
  rig::test::give(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  rig::test::give(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  rig::test::give(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  rig::test::give(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  rig::test::give(memory);
}
#endif
