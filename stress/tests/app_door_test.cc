// The canaries of X1, C7 and R1: each must turn a run red with the report of its law, in both worlds; the wrapper alone
// must not.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "harness/scenario/runner.h"
#include "harness/subjects/canary/hoarder.h"
#include "harness/subjects/canary/intruder.h"
#include "harness/subjects/canary/mix_up.h"
#include "harness/subjects/house.h"
#include "stress/recipe.h"
#include "stress/suite.h"
#include "stress/tests/doctored_subject.h"

namespace rig {
namespace {

constexpr World worlds[] = {World::loopback, World::lab};

Cell cell_in(World world) {
  Cell cell;
  cell.fast_track = false;
  cell.world = world;
  return cell;
}

Verdict run_suite(const char* suite, const Cell& cell, const rig_subject* subject, LawScope laws = LawScope::all) {
  return run_scenario(find_suite(suite)->make(cell, Size::tiny, 1), {.subject = subject, .laws = laws});
}

// expect_law demands a red run in which that law reports, and no other.
void expect_law(const Verdict& verdict, Law law) {
  EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
  ASSERT_FALSE(verdict.violations.empty()) << verdict_json(verdict);
  for (const Violation& violation : verdict.violations) {
    EXPECT_EQ(violation.law, law) << violation.message;
  }
}

// What the world does, and the subject tells wrong: the suite that brings it about, and the authentication.
struct Telling {
  const char* suite;
  Auth auth = Auth::psk;
};

std::vector<Telling> tellings(MixUp mix_up) {
  switch (mix_up) {
    case MixUp::none:
      return {{"peer_reset"}, {"peer_leaves"}, {"handshake_deadline"}, {"refused_port"}, {"strangers"}};
    case MixUp::truncation_as_end:
      return {{"peer_reset"}};
    case MixUp::end_as_truncation:
      return {{"peer_leaves"}};
    case MixUp::reset_as_end:
      return {{"peer_reset"}, {"peer_leaves"}};
    case MixUp::timeout_as_reset:
      return {{"handshake_deadline"}};
    case MixUp::refusal_as_timeout:
      return {{"refused_port"}};
    case MixUp::failure_as_sent:
      return {{"close_with_pending"}};
    case MixUp::end_as_failure:
    case MixUp::end_as_reset:
    case MixUp::abort_as_end:
      return {{"bidir"}};
    case MixUp::distrust_as_reset:
    case MixUp::dismissal_as_end:
      return {{"strangers", Auth::psk}, {"strangers", Auth::certificate}};
  }
  return {};
}

// each_telling runs what shows the mix-up, in either world.
template <class Judge>
void each_telling(MixUp mix_up, Judge judge) {
  for (const Telling& telling : tellings(mix_up)) {
    for (const World world : worlds) {
      Cell cell = cell_in(world);
      cell.auth = telling.auth;
      SCOPED_TRACE(telling.suite + std::string(" ") + cell_name(cell));
      judge(run_suite(telling.suite, cell, make_mix_up(house_subject(), mix_up)));
    }
  }
}

class MixUpRun : public testing::TestWithParam<MixUpKind> {};

TEST_P(MixUpRun, X1_TurnsTheRunRed) {
  each_telling(GetParam().mix_up, [](const Verdict& verdict) { expect_law(verdict, Law::x1_outcome); });
}

INSTANTIATE_TEST_SUITE_P(All, MixUpRun, testing::ValuesIn(mix_ups().begin(), mix_ups().end()),
                         [](const auto& test) { return "X1_" + std::string(test.param.name); });

// An error that is planned for one connection excuses no other one. The subject tells the end of connection 0 wrong.
TEST(MixUpBesideAnError, X1_OnlyTheConnectionOfTheErrorIsExcused) {
  for (const std::uint32_t excused : {0U, 2U}) {
    Scenario scenario = find_suite("peer_leaves")->make(cell_in(World::lab), Size::tiny, 1);
    lab::Fault fault;
    fault.number = 1;
    fault.kind = lab::FaultKind::error;
    fault.connection = excused;
    fault.op = lab::Op::getsockopt;
    fault.nth = 1'000'000;
    scenario.lab.faults.push_back(fault);
    const Verdict verdict = run_scenario(scenario, {.subject = make_mix_up(house_subject(), MixUp::end_as_truncation)});
    EXPECT_EQ(verdict.violations.size(), excused == 0 ? 0U : 1U) << verdict_json(verdict);
    for (const Violation& violation : verdict.violations) {
      EXPECT_EQ(violation.law, Law::x1_outcome);
      EXPECT_EQ(violation.where, "server 0");
    }
  }
}

TEST(MixUpOfOps, C5_MoreThanTheKernelWasGivenIsReported) {
  each_telling(MixUp::failure_as_sent, [](const Verdict& verdict) { expect_law(verdict, Law::c5_status_and_bytes); });
}

TEST(MixUpOfCloses, W1_AnEndThatIsAResetForThePeerIsReported) {
  each_telling(MixUp::abort_as_end, [](const Verdict& verdict) { expect_law(verdict, Law::w1_wire); });
}

TEST(CanaryDual, WhatIsToldAsItHappenedIsSilent) {
  each_telling(MixUp::none,
               [](const Verdict& verdict) { EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict); });
}

TEST(Visitors, R1_AListenerThatTakesMoreThanItMayIsReported) {
  for (const World world : worlds) {
    Scenario scenario = find_suite("bidir")->make(cell_in(world), Size::tiny, 1);
    scenario.reactions.push_back(recipe::when(Side::client, {}, Event::connected, Verb::open_another));
    expect_law(run_scenario(scenario, {.subject = make_doctored(Doctoring::listens_without_bound)}), Law::r1_resources);
    const Verdict kept = run_scenario(scenario, {.subject = make_doctored(Doctoring::nothing)});
    EXPECT_EQ(kept.kind, VerdictKind::pass) << verdict_json(kept);
  }
}

// Where each intrusion shows: on the real kernel nobody knows of locks.
class IntruderRun : public testing::TestWithParam<IntrusionKind> {};

TEST_P(IntruderRun, C7_TurnsTheRunRed) {
  for (const World world : worlds) {
    if (world == World::lab || GetParam().intrusion != Intrusion::under_lock) {
      expect_law(run_suite("bidir", cell_in(world), make_intruder(house_subject(), GetParam().intrusion)),
                 Law::c7_callbacks);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, IntruderRun, testing::ValuesIn(intrusions().begin(), intrusions().end()),
                         [](const auto& test) { return "C7_" + std::string(test.param.name); });

TEST(CanaryDual, CallbacksOutOfTheTurnAreSilent) {
  for (const World world : worlds) {
    for (const char* const suite : {"bidir", "send_chain", "verbs_in_callbacks"}) {
      const Verdict verdict = run_suite(suite, cell_in(world), make_intruder(house_subject(), Intrusion::none));
      EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
    }
  }
}

const char* suite_for(Hoard hoard) {
  return hoard == Hoard::session ? "strangers" : hoard == Hoard::ops ? "endless_sender" : "bidir";
}

class HoarderRun : public testing::TestWithParam<HoardKind> {};

// The kernel door knows whose a descriptor was, and reports one that is left as well (F1).
TEST_P(HoarderRun, R1_TurnsTheRunRed) {
  for (const World world : worlds) {
    // Where the kernel door is watched, F1 reports a descriptor that is left, and can say whose it is.
    const LawScope laws = GetParam().hoard == Hoard::descriptor ? LawScope::app : LawScope::all;
    expect_law(
        run_suite(suite_for(GetParam().hoard), cell_in(world), make_hoarder(house_subject(), GetParam().hoard), laws),
        Law::r1_resources);
    give_back_hoard();
  }
}

INSTANTIATE_TEST_SUITE_P(All, HoarderRun, testing::ValuesIn(hoards().begin(), hoards().end()),
                         [](const auto& test) { return "R1_" + std::string(test.param.name); });

TEST(CanaryDual, WhatIsGivenBackAndWhatIsQueuedNearTheBoundIsSilent) {
  for (const World world : worlds) {
    for (const char* const suite : {"bidir", "strangers", "endless_sender"}) {
      const Verdict verdict = run_suite(suite, cell_in(world), make_hoarder(house_subject(), Hoard::none));
      EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
    }
  }
}

}  // namespace
}  // namespace rig
