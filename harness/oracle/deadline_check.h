// DeadlineCheck: law X1 about time. A deadline is told when it has passed, and holds when it has.
#pragma once

#include <cstdint>
#include <string>

#include "harness/oracle/violation.h"

namespace rig {

// Stretch is a time that a side has spent on something for which it has a limit. Virtual time.
struct Stretch {
  const char* what = "";      // "to be established"
  std::int64_t begun_ns = 0;  // as far as the rig knows: not before the subject itself began
  std::int64_t later_ns = 0;  // if it is later: from when on the subject may count as well
  std::int64_t ended_ns = 0;
  std::uint64_t limit_us = 0;
  bool told = false;  // that the limit has passed
};

// deadline_early_us is how much sooner a deadline may come than it looks from outside: the subject may have begun that
// much before it said so. deadline_late_us is how much later: each call that is made meanwhile takes a microsecond of
// virtual time, and the thread that is to tell may be the last to have its turn.
inline constexpr std::uint64_t deadline_early_us = 1'000;
inline constexpr std::uint64_t deadline_late_us = 100'000;

// is_early says that the end of the time would be told too soon. Nothing is known of the time outside of a lab: there
// it is not early.
bool is_early(const Stretch& stretch) noexcept;

// judge_deadline reports X1 at `where` if the limit was told of before it had passed, or had passed long ago when the
// stretch ended. Thread: any.
void judge_deadline(const std::string& where, const Stretch& stretch, ViolationLog& log);

}  // namespace rig
