#include "harness/oracle/violation.h"

#include <utility>

namespace rig {

void ViolationLog::report(Law law, std::string where, std::string message) {
  Violation violation{law, std::move(where), std::move(message)};
  {
    const MutexLock lock(mutex_);
    ++count_;
    if (kept_.size() == kept_max) {
      return;
    }
    kept_.push_back(violation);
  }
  if (sink_ != nullptr) {
    sink_(violation);
  }
}

std::size_t ViolationLog::count() const {
  const MutexLock lock(mutex_);
  return count_;
}

std::vector<Violation> ViolationLog::kept() const {
  const MutexLock lock(mutex_);
  return kept_;
}

}  // namespace rig
