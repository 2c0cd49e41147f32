#include "harness/oracle/violation.h"

#include <array>
#include <utility>

#include "harness/base/check.h"

namespace rig {

std::string_view law_name(Law law) noexcept {
  switch (law) {
    case Law::c1_exactly_once:
      return "C1";
    case Law::c2_return_or_callback:
      return "C2";
    case Law::c3_nothing_after_closed:
      return "C3";
    case Law::c4_order:
      return "C4";
    case Law::c5_status_and_bytes:
      return "C5";
    case Law::c6_quiet:
      return "C6";
    case Law::s1_stream:
      return "S1";
    case Law::h1_nothing_left:
      return "H1";
  }
  RIG_CHECK(false);
}

std::string_view law_sentence(Law law) noexcept {
  switch (law) {
    case Law::c1_exactly_once:
      return "every pending op completes exactly once, with its own token";
    case Law::c2_return_or_callback:
      return "an op has either a final return or a callback, never both";
    case Law::c3_nothing_after_closed:
      return "nothing is called after closed";
    case Law::c4_order:
      return "completions come in the order of issue, where the subject promises it";
    case Law::c5_status_and_bytes:
      return "completed bytes are the issued bytes, with the right status";
    case Law::c6_quiet:
      return "at quiet nothing is pending, armed or owned";
    case Law::s1_stream:
      return "the bytes received are the bytes accepted, in order";
    case Law::h1_nothing_left:
      return "a call leaves no ambient error behind";
  }
  RIG_CHECK(false);
}

std::span<const Law> all_laws() noexcept {
  static constexpr std::array all{Law::c1_exactly_once, Law::c2_return_or_callback, Law::c3_nothing_after_closed,
                                  Law::c4_order,        Law::c5_status_and_bytes,   Law::c6_quiet,
                                  Law::s1_stream,       Law::h1_nothing_left};
  return all;
}

std::optional<Law> law_from_name(std::string_view name) noexcept {
  for (const Law law : all_laws()) {
    if (law_name(law) == name) {
      return law;
    }
  }
  return std::nullopt;
}

void ViolationLog::report(Law law, std::string where, std::string message) {
  const MutexLock lock(mutex_);
  ++count_;
  if (kept_.size() < kept_max) {
    kept_.push_back({law, std::move(where), std::move(message)});
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
