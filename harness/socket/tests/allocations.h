// Allocations: a test binary that links allocations.cc can count what it allocates, and make it fail.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

// clang links the thread sanitizer's own operator new into each binary, and it cannot be replaced.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RIG_ALLOCATIONS_ARE_FOREIGN 1
#endif
#endif

// RIG_NEEDS_OWN_ALLOCATIONS() skips a test where allocations cannot be counted.
#if defined(RIG_ALLOCATIONS_ARE_FOREIGN)
#define RIG_NEEDS_OWN_ALLOCATIONS() GTEST_SKIP() << "the thread sanitizer brings an operator new of its own"
#else
#define RIG_NEEDS_OWN_ALLOCATIONS() static_assert(true)
#endif

namespace rig::test {

// allocations is how often this thread has called operator new.
std::uint64_t allocations() noexcept;

// live_bytes is how much of what operator new gave out, in all threads, is in use.
std::int64_t live_bytes() noexcept;

// FailingAllocations lets `allowed` more allocations of this thread succeed and fails all others until it dies.
class FailingAllocations {
 public:
  explicit FailingAllocations(std::uint64_t allowed = 0) noexcept;
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;
};

}  // namespace rig::test
