#include "harness/oracle/reported_sites.h"

#include <mutex>

namespace rig {

bool ReportedSites::first(Law law, const void* site) noexcept {
  const std::lock_guard guard(lock_);
  for (std::size_t i = 0; i < count_; ++i) {
    if (sites_[i].law == law && sites_[i].address == site) {
      return false;
    }
  }
  if (count_ == sites_.size()) {
    return false;
  }
  sites_[count_++] = {law, site};
  return true;
}

}  // namespace rig
