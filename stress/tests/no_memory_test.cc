// Allocations that fail, in the lab: a subject that loses an op then is caught, one that refuses it is in order, and a
// run whose fault never strikes is no pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "harness/scenario/runner.h"
#include "stress/suite.h"
#include "stress/tests/doctored_subject.h"

namespace rig {
namespace {

Scenario in_lab() {
  Cell cell;
  cell.client = cell.server = "null";
  cell.tls = TlsChoice::none;
  cell.world = World::lab;
  Scenario scenario = find_suite("send_load")->make(cell, Size::tiny, 1);
  scenario.memory_may_fail = true;
  return scenario;
}

Scenario with_fault(std::uint64_t nth, bool sticky) {
  Scenario scenario = in_lab();
  lab::Fault fault;
  fault.number = 1;
  fault.kind = lab::FaultKind::no_memory;
  fault.nth = nth;
  fault.sticky = sticky;
  scenario.lab.faults = {fault};
  return scenario;
}

// Outcomes counts how the runs ended in which each place failed once.
struct Outcomes {
  std::uint64_t sites = 0;
  std::uint64_t passed = 0;
  std::uint64_t lost = 0;  // by law C1
};

Outcomes each_site_fails(Doctoring doctoring) {
  const rig_subject* const subject = make_doctored(doctoring);
  const Verdict sound = run_scenario(in_lab(), {.subject = subject});
  EXPECT_EQ(sound.kind, VerdictKind::pass) << sound.reason;
  Outcomes outcomes;
  for (const std::uint64_t nth : sound.allocation_sites) {
    const Verdict verdict = run_scenario(with_fault(nth, false), {.subject = subject});
    const bool lost = std::ranges::any_of(
        verdict.violations, [](const Violation& violation) { return violation.law == Law::c1_exactly_once; });
    ++outcomes.sites;
    outcomes.passed += verdict.kind == VerdictKind::pass ? 1 : 0;
    outcomes.lost += lost ? 1 : 0;
    EXPECT_TRUE(verdict.kind == VerdictKind::pass || lost) << "allocation " << nth << ": " << verdict.reason;
  }
  return outcomes;
}

TEST(NoMemory, a_subject_that_forgets_an_op_for_lack_of_memory_breaks_c1) {
  const Outcomes outcomes = each_site_fails(Doctoring::forgets_its_sends);
  EXPECT_GE(outcomes.lost, 1U);
  EXPECT_GE(outcomes.passed, 10U);
}

TEST(NoMemory, a_subject_that_refuses_it_is_in_order) {
  const Outcomes outcomes = each_site_fails(Doctoring::notes_its_sends);
  EXPECT_GE(outcomes.sites, 10U);
  EXPECT_EQ(outcomes.passed, outcomes.sites);
}

TEST(NoMemory, a_lack_that_is_told_as_something_else_breaks_x1) {
  const rig_subject* const subject = make_doctored(Doctoring::misnames_lack);
  const Verdict sound = run_scenario(in_lab(), {.subject = subject});
  EXPECT_EQ(sound.kind, VerdictKind::pass) << sound.reason;
  std::set<std::string> reported;  // by whom: the setting-up, the connect, the sends
  for (const std::uint64_t nth : sound.allocation_sites) {
    const Verdict verdict = run_scenario(with_fault(nth, true), {.subject = subject});
    for (const Violation& violation : verdict.violations) {
      EXPECT_EQ(violation.law, Law::x1_outcome) << violation.message;
      EXPECT_TRUE(violation.message.starts_with("memory had run out, and what was told is internal"))
          << violation.message;
      reported.insert(violation.where);
    }
  }
  EXPECT_TRUE(reported.contains("the setting-up"));
  EXPECT_TRUE(reported.contains("client 0"));
}

TEST(NoMemory, a_fault_that_strikes_nothing_is_vacuous) {
  const Verdict verdict = run_scenario(with_fault(1'000'000, true), {});
  EXPECT_EQ(verdict.kind, VerdictKind::vacuous);
  EXPECT_NE(verdict.reason.find("the allocation that was to fail was not reached"), std::string::npos)
      << verdict.reason;
}

TEST(NoMemory, a_set_up_without_memory_is_refused_and_leaves_nothing) {
  const Verdict verdict = run_scenario(with_fault(1, true), {});
  EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict.reason;
  EXPECT_FALSE(verdict.counters.contains("connected"));  // there never was an end to count
}

}  // namespace
}  // namespace rig
