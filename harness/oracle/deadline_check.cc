#include "harness/oracle/deadline_check.h"

#include <fmt/format.h>

namespace rig {

void judge_deadline(const std::string& where, const Stretch& stretch, ViolationLog& log) {
  if (stretch.ended_ns < stretch.begun_ns) {
    return;
  }
  const std::uint64_t spent_us = static_cast<std::uint64_t>(stretch.ended_ns - stretch.begun_ns) / 1000;
  if (stretch.told && spent_us + deadline_early_us < stretch.limit_us) {
    log.report(Law::x1_outcome, where,
               fmt::format("it had {} us {}, and was told after {} us that they are over", stretch.limit_us,
                           stretch.what, spent_us));
  } else if (spent_us > stretch.limit_us + deadline_late_us) {
    log.report(Law::x1_outcome, where,
               fmt::format("it had {} us {}, and nothing was told of their end before {} us", stretch.limit_us,
                           stretch.what, spent_us));
  }
}

}  // namespace rig
