// Shrinking over a run that is a function: what a scenario must have in order to fail is known, so the smallest is too.
#include "harness/scenario/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rig {
namespace {

using SwitchList = std::vector<lab::Switch>;

constexpr lab::Switch needed_switch{.thread = 1, .step = 40, .next = 2};
constexpr lab::Switch other_needed_switch{.thread = 2, .step = 7, .next = 1};

Scenario large_scenario() {
  Scenario scenario;
  scenario.suite = "hand";
  scenario.cell.world = World::lab;
  scenario.settings.connections = 4;
  for (std::uint32_t connection = 0; connection < 4; ++connection) {
    Step send;
    send.verb = Verb::send;
    send.count = 16;
    send.size_min = 0;
    send.size_max = 4096;
    Step connect;
    connect.verb = Verb::connect;
    scenario.threads.push_back({.side = Side::client,
                                .connection = connection,
                                .where = Where::beside,
                                .copies = 2,
                                .steps = {connect, send}});
  }
  for (std::uint32_t number = 1; number <= 9; ++number) {
    scenario.lab.faults.emplace_back().number = number;
  }
  return scenario;
}

// Runs fail if connection 0 sends at least three ops, fault 5 strikes, and two switches are made. A schedule by seed
// makes them for every third seed, among many others.
class PlantedBug {
 public:
  Verdict run(const Scenario& scenario) {
    ++runs;
    Verdict verdict;
    verdict.kind = VerdictKind::pass;
    verdict.lab = scenario.lab;
    verdict.lab->events = 1;
    if (scenario.lab.policy != lab::PolicyKind::none) {
      verdict.lab->policy = lab::PolicyKind::none;
      verdict.lab->switches = schedule_of(scenario.seed);
    }
    const auto has_switch = [&](const lab::Switch& one) {
      return std::ranges::find(verdict.lab->switches, one) != verdict.lab->switches.end();
    };
    const bool struck =
        std::ranges::any_of(scenario.lab.faults, [](const lab::Fault& fault) { return fault.number == 5; });
    if (sends_enough(scenario) && struck && has_switch(needed_switch) && has_switch(other_needed_switch)) {
      verdict.kind = VerdictKind::fail;
      verdict.violations.push_back({Law::c1_exactly_once, "client 0", "op 2 completed twice"});
      verdict.violation_count = 1;
    }
    return verdict;
  }

  int runs = 0;

 private:
  static SwitchList schedule_of(std::uint64_t seed) {
    SwitchList switches;
    for (std::uint32_t step = 1; step <= 60; ++step) {
      switches.push_back({.thread = step % 3, .step = step, .next = (step + 1) % 3});
    }
    if (seed % 3 == 0) {
      switches.insert(switches.begin() + 20, needed_switch);
      switches.insert(switches.begin() + 50, other_needed_switch);
    }
    return switches;
  }

  static bool sends_enough(const Scenario& scenario) {
    for (const Thread& thread : scenario.threads) {
      for (const Step& step : thread.steps) {
        if (thread.connection == 0U && step.verb == Verb::send && step.count >= 3) {
          return true;
        }
      }
    }
    return false;
  }
};

std::expected<Shrunk, Error> shrink_planted(PlantedBug& bug, const Scenario& scenario,
                                            std::uint64_t runs_max = 20'000) {
  return shrink(scenario, {.run = [&bug](const Scenario& one) { return bug.run(one); },
                           .said = {},
                           .seeds_per_candidate = 6,
                           .runs_max = runs_max});
}

TEST(Shrink, OnlyWhatTheFailureNeedsIsLeft) {
  PlantedBug bug;
  Scenario scenario = large_scenario();
  scenario.seed = 3;
  const auto shrunk = shrink_planted(bug, scenario);
  ASSERT_TRUE(shrunk.has_value()) << shrunk.error().detail();
  const Scenario& small = shrunk->scenario;
  EXPECT_EQ(small.settings.connections, 1U);
  ASSERT_EQ(small.threads.size(), 1U);
  EXPECT_EQ(small.threads[0].copies, 1U);
  ASSERT_EQ(small.threads[0].steps.size(), 1U);
  EXPECT_EQ(small.threads[0].steps[0].count, 4U);  // halved while it failed: 16, 8, 4
  EXPECT_EQ(small.threads[0].steps[0].size_max, 0U);
  ASSERT_EQ(small.lab.faults.size(), 1U);
  EXPECT_EQ(small.lab.faults[0].number, 5U);
  EXPECT_EQ(small.lab.switches, (SwitchList{needed_switch, other_needed_switch}));
  EXPECT_EQ(small.lab.policy, lab::PolicyKind::none);
}

TEST(Shrink, WhatIsLeftFailsInTheSameWay) {
  PlantedBug bug;
  Scenario scenario = large_scenario();
  scenario.seed = 3;
  const auto shrunk = shrink_planted(bug, scenario);
  ASSERT_TRUE(shrunk.has_value());
  EXPECT_EQ(failure_kind(bug.run(shrunk->scenario)), "fail C1: op  completed twice");
  EXPECT_EQ(failure_kind(shrunk->verdict), "fail C1: op  completed twice");
}

TEST(Shrink, TheLimitOfRunsLeavesSomethingThatFails) {
  PlantedBug bug;
  Scenario scenario = large_scenario();
  scenario.seed = 3;
  const auto shrunk = shrink_planted(bug, scenario, 10);
  ASSERT_TRUE(shrunk.has_value());
  EXPECT_LE(bug.runs, 11);
  EXPECT_EQ(failure_kind(bug.run(shrunk->scenario)), "fail C1: op  completed twice");
}

TEST(Shrink, AScenarioThatPassesIsRefused) {
  PlantedBug bug;
  Scenario scenario = large_scenario();
  scenario.seed = 1;
  const auto shrunk = shrink_planted(bug, scenario);
  ASSERT_FALSE(shrunk.has_value());
  EXPECT_EQ(shrunk.error().detail(), "it does not fail: the verdict is pass");
}

TEST(Shrink, AScenarioOfTheRealKernelIsRefused) {
  PlantedBug bug;
  Scenario scenario = large_scenario();
  scenario.cell.world = World::loopback;
  EXPECT_EQ(shrink_planted(bug, scenario).error().code(), Code::invalid_argument);
}

TEST(Shrink, AnotherFailureIsNotFollowed) {
  // Without faults the run hangs, which is not what was to be kept.
  PlantedBug bug;
  Scenario scenario = large_scenario();
  scenario.seed = 3;
  const ShrinkTools tools{.run =
                              [&bug](const Scenario& one) {
                                Verdict verdict = bug.run(one);
                                if (one.lab.faults.empty()) {
                                  verdict.kind = VerdictKind::hang;
                                  verdict.violations.clear();
                                }
                                return verdict;
                              },
                          .said = {},
                          .seeds_per_candidate = 3};
  const auto shrunk = shrink(scenario, tools);
  ASSERT_TRUE(shrunk.has_value());
  EXPECT_EQ(failure_kind(shrunk->verdict), "fail C1: op  completed twice");
}

TEST(FailureKind, OfAViolationIsItsLawAndTheShapeOfItsSentence) {
  const auto kind_of = [](Law law, const char* message) {
    Verdict verdict;
    verdict.kind = VerdictKind::fail;
    verdict.violations.push_back({law, "client 0", message});
    return failure_kind(verdict);
  };
  const std::string kind = kind_of(Law::c1_exactly_once, "op 12 (16384 bytes, pending) never completed");
  EXPECT_EQ(kind, kind_of(Law::c1_exactly_once, "op 3 (1 bytes, pending) never completed"));
  EXPECT_NE(kind, kind_of(Law::c1_exactly_once, "op 12 completed twice"));
  EXPECT_NE(kind, kind_of(Law::c6_quiet, "op 12 (16384 bytes, pending) never completed"));
  EXPECT_EQ(kind_of(Law::h1_nothing_left, "left at 0x7ffe12ab in read_from (app+0x18eb) <- on_readable (app+0x15)"),
            kind_of(Law::h1_nothing_left, "left at 0x1b in read_from (app+0x18fb) <- main (app+0x1)"));
}

TEST(FailureKind, OfACrashHasNoNumbers) {
  Verdict verdict;
  verdict.kind = VerdictKind::fail;
  verdict.reason = "the process exited with 66: ==812==ERROR: AddressSanitizer: heap-use-after-free on address 0x61";
  Verdict other = verdict;
  other.reason = "the process exited with 66: ==9==ERROR: AddressSanitizer: heap-use-after-free on address 0x7f00";
  EXPECT_EQ(failure_kind(verdict), failure_kind(other));
  other.reason = "the process exited with 66: ==9==ERROR: AddressSanitizer: double-free on address 0x7f00";
  EXPECT_NE(failure_kind(verdict), failure_kind(other));
}

}  // namespace
}  // namespace rig
