// Allocations: a test binary that links allocations.cc can count what it allocates, and make it fail.
#pragma once

#include <cstddef>
#include <cstdint>

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
