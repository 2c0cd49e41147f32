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
    case Law::c7_callbacks:
      return "C7";
    case Law::s1_stream:
      return "S1";
    case Law::r1_resources:
      return "R1";
    case Law::x1_outcome:
      return "X1";
    case Law::h1_nothing_left:
      return "H1";
    case Law::h2_nothing_believed:
      return "H2";
    case Law::h3_own_error:
      return "H3";
    case Law::e1_retry:
      return "E1";
    case Law::e2_threads:
      return "E2";
    case Law::e3_order:
      return "E3";
    case Law::l1_progress:
      return "L1";
    case Law::w1_wire:
      return "W1";
    case Law::f1_descriptors:
      return "F1";
    case Law::p1_sigpipe:
      return "P1";
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
    case Law::c7_callbacks:
      return "callbacks come out of the loop's turn, one at a time, with no lock held";
    case Law::s1_stream:
      return "the bytes received are the bytes accepted, in order";
    case Law::r1_resources:
      return "sessions, descriptors and ops are given back, and what is queued is bounded";
    case Law::x1_outcome:
      return "clean end, truncation, reset, refusal, timeout and failed verification are told apart";
    case Law::h1_nothing_left:
      return "a call leaves no ambient error behind";
    case Law::h2_nothing_believed:
      return "an ambient error that was there before changes no outcome";
    case Law::h3_own_error:
      return "a failing call's own error is still there when it is asked for";
    case Law::e1_retry:
      return "a write that waited is repeated as the library demands";
    case Law::e2_threads:
      return "as many threads are in a session as the library allows";
    case Law::e3_order:
      return "no call comes after a fatal failure, no shutdown in a handshake or over a pending write";
    case Law::l1_progress:
      return "nothing waits for input that the library holds already";
    case Law::w1_wire:
      return "the wire carries whole records, nothing in the clear, and one close_notify at an orderly end";
    case Law::f1_descriptors:
      return "a descriptor is closed once and not used after that";
    case Law::p1_sigpipe:
      return "SIGPIPE never kills";
  }
  RIG_CHECK(false);
}

Door law_door(Law law) noexcept {
  if (law >= Law::w1_wire) {
    return Door::kernel;
  }
  return law > Law::h1_nothing_left ? Door::library : Door::app;
}

std::span<const Law> all_laws() noexcept {
  static constexpr std::array all{Law::c1_exactly_once,
                                  Law::c2_return_or_callback,
                                  Law::c3_nothing_after_closed,
                                  Law::c4_order,
                                  Law::c5_status_and_bytes,
                                  Law::c6_quiet,
                                  Law::c7_callbacks,
                                  Law::s1_stream,
                                  Law::r1_resources,
                                  Law::x1_outcome,
                                  Law::h1_nothing_left,
                                  Law::h2_nothing_believed,
                                  Law::h3_own_error,
                                  Law::e1_retry,
                                  Law::e2_threads,
                                  Law::e3_order,
                                  Law::l1_progress,
                                  Law::w1_wire,
                                  Law::f1_descriptors,
                                  Law::p1_sigpipe};
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
