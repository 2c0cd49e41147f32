// Shrinking: from a scenario of the lab that fails to the smallest that was found to fail in the same way.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>

#include "harness/base/error.h"
#include "harness/scenario/scenario.h"
#include "harness/scenario/verdict.h"

namespace rig {

// ShrinkTools is what shrinking needs of the world.
struct ShrinkTools {
  // run answers how a scenario ends, always the same for the same scenario.
  std::function<Verdict(const Scenario&)> run;
  // said is called with a sentence about each step forward. May be empty.
  std::function<void(const std::string&)> said;
  // seeds_per_candidate is how many schedules a smaller workload is tried with: the old one means nothing to it.
  std::uint64_t seeds_per_candidate = 24;
  // runs_max ends the search with what it has.
  std::uint64_t runs_max = 20'000;
};

// Shrunk is what was found.
struct Shrunk {
  Scenario scenario;  // with its switches, its faults and what it came to
  Verdict verdict;
  std::uint64_t runs = 0;
};

// shrink makes the workload smaller, then takes faults away, then switches, as long as the run fails in the same way
// (failure_kind). Every step was seen to fail. Errors: invalid_argument if the scenario is not of the lab, or does not
// fail; internal if a run with its own switches listed is not the same run.
std::expected<Shrunk, Error> shrink(const Scenario& scenario, const ShrinkTools& tools);

// failure_kind is what two runs that fail in the same way have in common: the verdict's kind, the first law that was
// broken, and what was said of that, or of a crash, without numbers and addresses. Empty for a green verdict.
std::string failure_kind(const Verdict& verdict);

}  // namespace rig
