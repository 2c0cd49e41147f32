// ReportedSites: a defect on a busy path is one report.
#pragma once

#include <array>
#include <cstddef>

#include "harness/base/spin_lock.h"
#include "harness/oracle/violation.h"

namespace rig {

// ReportedSites remembers the places in the code that have been reported. Thread: any.
class ReportedSites {
 public:
  // first says whether `law` is broken at `site` for the first time. It is false once the memory is full.
  bool first(Law law, const void* site) noexcept;

  static constexpr std::size_t sites_max = 256;

 private:
  struct Site {
    Law law;
    const void* address;
  };

  SpinLock lock_;
  std::array<Site, sites_max> sites_{};
  std::size_t count_ = 0;
};

}  // namespace rig
