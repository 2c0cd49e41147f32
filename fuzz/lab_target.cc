#include "fuzz/lab_target.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "fuzz/finding.h"
#include "fuzz/fitted.h"
#include "fuzz/planted.h"
#include "harness/scenario/lab_world.h"
#include "harness/scenario/runner.h"
#include "harness/scenario/text.h"

namespace rig {
namespace {

// A hang in the steps may be what the scenario asks for, or what it waits for never comes. One of a close never is.
bool is_finding(const Scenario& scenario, const Verdict& verdict) {
  if (verdict.violation_count > 0) {
    return true;
  }
  switch (verdict.kind) {
    case VerdictKind::fail:
      return is_calm(scenario);
    case VerdictKind::hang:
      return is_calm(scenario) || !verdict.hangs_in_steps;
    case VerdictKind::pass:
    case VerdictKind::vacuous:
    case VerdictKind::skip:
      return false;
  }
  return false;
}

[[noreturn]] void report(const Scenario& scenario, const Verdict& verdict) {
  std::fprintf(stderr, "%s\n%s\n", print_scenario(scenario).c_str(), verdict_json(verdict).c_str());
  found(std::string(verdict_kind_name(verdict.kind)) + ": " + verdict.reason);
}

}  // namespace

void enter_lab_or_end() {
  if (const auto entered = enter_lab(); !entered.has_value()) {
    std::fprintf(stderr, "%s\n", std::string(entered.error().detail()).c_str());
    std::exit(EXIT_FAILURE);
  }
}

std::optional<Scenario> scenario_of(const std::uint8_t* data, std::size_t size) {
  // A text without a word in it, as libFuzzer begins with.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.find_first_not_of(" \n") == std::string_view::npos) {
    return opening(fuzz_backend());
  }
  auto scenario = parse_scenario(text);
  return scenario.has_value() ? std::optional(fitted(std::move(*scenario), fuzz_backend())) : std::nullopt;
}

std::size_t text_of(const Scenario& scenario, std::uint8_t* data, std::size_t room) {
  const std::string text = print_scenario(scenario);
  if (text.size() > room) {
    return 0;
  }
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

Verdict run_and_judge(const Scenario& scenario) {
  RunOptions options;
  options.subject = planted_subject();
  options.stuck = [&scenario](const Verdict& verdict) { report(scenario, verdict); };
  options.one_process = true;
  options.stall_limit_us = FuzzLimits::stall_us;
  Verdict verdict = run_scenario(scenario, options);
  if (is_finding(scenario, verdict)) {
    report(scenario, verdict);
  }
  return verdict;
}

}  // namespace rig
