#include "harness/oracle/outcome_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/base/check.h"

namespace rig {
namespace {

using Outcome = std::optional<Code>;

constexpr std::string_view orderly_end = "an orderly end";

bool tells(const Outcome& right, const std::optional<Error>& outcome) {
  return right.has_value() ? outcome.has_value() && outcome->code() == *right : !outcome.has_value();
}

}  // namespace

std::span<const Deed> all_deeds() noexcept {
  static constexpr std::array all{Deed::orderly_end, Deed::cut,        Deed::reset,    Deed::nobody_listens,
                                  Deed::silence,     Deed::distrusted, Deed::dismissed};
  return all;
}

std::string_view deed_sentence(Deed deed) noexcept {
  switch (deed) {
    case Deed::orderly_end:
      return "the peer ended in the orderly way";
    case Deed::cut:
      return "the peer's stream ended without its end mark";
    case Deed::reset:
      return "the connection was reset";
    case Deed::nobody_listens:
      return "nobody listened at the port";
    case Deed::silence:
      return "the peer was silent until the deadline";
    case Deed::distrusted:
      return "the peer was not the one that is trusted";
    case Deed::dismissed:
      return "the peer did not accept this side";
  }
  RIG_CHECK(false);
}

std::span<const Outcome> outcomes_of(Deed deed) noexcept {
  static constexpr std::array<Outcome, 1> orderly{std::nullopt};
  static constexpr std::array<Outcome, 1> truncated{Code::truncated};
  static constexpr std::array<Outcome, 1> reset{Code::reset};
  static constexpr std::array<Outcome, 1> refused{Code::refused};
  static constexpr std::array<Outcome, 1> timeout{Code::timeout};
  static constexpr std::array<Outcome, 2> verification{Code::verification_failed, Code::handshake_failed};
  static constexpr std::array<Outcome, 3> alert{Code::peer_alert, Code::handshake_failed, Code::reset};
  switch (deed) {
    case Deed::orderly_end:
      return orderly;
    case Deed::cut:
      return truncated;
    case Deed::reset:
      return reset;
    case Deed::nobody_listens:
      return refused;
    case Deed::silence:
      return timeout;
    case Deed::distrusted:
      return verification;
    case Deed::dismissed:
      return alert;
  }
  RIG_CHECK(false);
}

void judge_outcome(const std::string& where, Deed deed, const std::optional<Error>& outcome, ViolationLog& log) {
  const auto right = outcomes_of(deed);
  if (std::ranges::any_of(right, [&outcome](const Outcome& one) { return tells(one, outcome); })) {
    return;
  }
  std::string due;
  for (const Outcome& one : right) {
    due += fmt::format("{}{}", due.empty() ? "" : " or ", one.has_value() ? code_name(*one) : orderly_end);
  }
  log.report(Law::x1_outcome, where,
             fmt::format("{}: that is {}, and what was told is {}", deed_sentence(deed), due,
                         outcome.has_value() ? fmt::format("{} ({})", code_name(outcome->code()), outcome->detail())
                                             : orderly_end));
}

bool is_told_by_peers(Code code) noexcept {
  switch (code) {
    case Code::truncated:
    case Code::reset:
    case Code::refused:
    case Code::unreachable:
    case Code::timeout:
    case Code::aborted:
    case Code::verification_failed:
    case Code::handshake_failed:
    case Code::peer_alert:
      return true;
    default:
      return false;
  }
}

void judge_lack(const std::string& where, const Error& told, ViolationLog& log) {
  if (told.code() != Code::no_memory) {
    log.report(Law::x1_outcome, where,
               fmt::format("memory had run out, and what was told is {} ({})", code_name(told.code()), told.detail()));
  }
}

void judge_unprovoked(const std::string& where, const Error& outcome, ViolationLog& log) {
  log.report(Law::x1_outcome, where,
             fmt::format("nothing was done to the connection that is told as {}, and that is what was told ({})",
                         code_name(outcome.code()), outcome.detail()));
}

}  // namespace rig
