// OwnWork: what the lab and the calling thread know of each other while memory is allocated. Internal to the lab.
#pragma once

#include <cstdint>

#include "harness/lab/allocation.h"

namespace rig::lab {

// AllocationState is the calling thread's: whose code it runs, and how deep it is in work that is the lab's own.
struct AllocationState {
  Party party;
  std::uint32_t own_work;
};

// allocation_state_here is initial-exec and without a constructor, so that a dormant lab costs one load.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local AllocationState allocation_state_here;

// OwnWork makes what the calling thread allocates the lab's, not the subject's. Thread: any.
class OwnWork {
 public:
  OwnWork() noexcept { ++allocation_state_here.own_work; }
  ~OwnWork() { --allocation_state_here.own_work; }
  OwnWork(const OwnWork&) = delete;
  OwnWork& operator=(const OwnWork&) = delete;
};

}  // namespace rig::lab
