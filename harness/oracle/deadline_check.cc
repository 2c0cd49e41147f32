#include "harness/oracle/deadline_check.h"

#include <fmt/format.h>

#include <algorithm>

namespace rig {

namespace {

std::uint64_t spent_us(const Stretch& stretch) noexcept {
  return static_cast<std::uint64_t>(stretch.ended_ns - stretch.begun_ns) / 1000;
}

bool is_late(const Stretch& stretch) noexcept {
  const std::int64_t limit_ns = static_cast<std::int64_t>(stretch.limit_us + deadline_late_us) * 1000;
  return stretch.ended_ns - std::max(stretch.begun_ns, stretch.later_ns) > limit_ns;
}

}  // namespace

bool is_early(const Stretch& stretch) noexcept {
  return stretch.ended_ns >= stretch.begun_ns && spent_us(stretch) + deadline_early_us < stretch.limit_us;
}

void judge_deadline(const std::string& where, const Stretch& stretch, ViolationLog& log) {
  if (stretch.ended_ns < stretch.begun_ns) {
    return;
  }
  const std::uint64_t spent = spent_us(stretch);
  if (stretch.told && is_early(stretch)) {
    log.report(Law::x1_outcome, where,
               fmt::format("it had {} us {}, and was told after {} us that they are over", stretch.limit_us,
                           stretch.what, spent));
  } else if (is_late(stretch)) {
    log.report(Law::x1_outcome, where,
               fmt::format("it had {} us {}, and nothing was told of their end before {} us", stretch.limit_us,
                           stretch.what, spent));
  }
}

}  // namespace rig
