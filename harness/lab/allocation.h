// Allocations: the heap functions of libc, as the lab counts them and lets them fail (FaultKind::no_memory).
//
// Only what the code under test asks for is counted: a rig that ran out of memory by its own order would report
// nonsense. So whoever calls the subject says so with Acting, and says the opposite where the subject calls back. A
// thread begins as its creator is at that moment. What the lab itself allocates inside a call never counts.
//
// The count is of one build: compilers differ in what they allocate. With a sanitizer `new` is the sanitizer's own; it
// is counted in what is linked into the executable, and not in a shared object.
#pragma once

#include <cstdint>
#include <vector>

namespace rig::lab {

// Party is whose code runs: the rig's, or that of what is tested.
enum class Party : std::uint8_t { rig, subject };

// Acting says, as long as it stands, whose code the calling thread runs. They nest. Thread: any; outside of a run it
// means nothing.
class Acting {
 public:
  explicit Acting(Party party) noexcept;
  ~Acting();
  Acting(const Acting&) = delete;
  Acting& operator=(const Acting&) = delete;

 private:
  Party before_;
};

// acting is whose code the calling thread runs.
Party acting() noexcept;

// AllocationSite is one place that allocates: its frames, the innermost first, and the number of its first allocation
// in the run, from 1.
struct AllocationSite {
  std::uint64_t nth = 0;
  std::vector<const void*> frames;
};

}  // namespace rig::lab
