// AllocationFaults: which allocation of a run fails.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "harness/lab/allocation.h"
#include "harness/lab/fault.h"

namespace rig::lab {

// AllocationFaults counts the allocations of a run. Thread: the one that has the token.
class AllocationFaults {
 public:
  AllocationFaults(const std::vector<Fault>& faults, bool keep_sites);

  // fails counts one more, and answers the fault that strikes it, or null. `begins`: it is the fault's first.
  const Fault* fails(bool& begins);

  std::uint64_t count() const { return count_; }
  const std::vector<AllocationSite>& sites() const { return sites_; }

 private:
  void keep_site();

  std::vector<Fault> faults_;
  std::uint64_t first_ = UINT64_MAX;  // the earliest that any of them strikes
  std::uint64_t count_ = 0;
  bool keep_sites_;
  std::unordered_set<std::uint64_t> known_;  // hashes of stacks
  std::vector<AllocationSite> sites_;
};

}  // namespace rig::lab
