// Each canary, put around the reference layer and run through an ordinary scenario, must turn the run red with the
// report of its own law: whether it sits in the first, a middle or the last connection, on the client or the server.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <ostream>
#include <string>
#include <vector>

#include "harness/lab/allocation.h"
#include "harness/scenario/runner.h"
#include "harness/subjects/canary/canary.h"
#include "harness/subjects/canary/litterer.h"
#include "harness/subjects/canary/misuser.h"
#include "harness/subjects/canary/trespasser.h"
#include "harness/subjects/house.h"
#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

constexpr std::uint32_t clients = 5;
// A run that stalls is waited for this long; one that does not is never ended by it.
constexpr std::int64_t stall_limit_us = 1'000'000;

Cell plain_cell(bool fast_track) {
  Cell cell;
  cell.client = cell.server = "null";
  cell.tls = TlsChoice::none;
  cell.fast_track = fast_track;
  return cell;
}

Cell tls_cell(bool fast_track) {
  Cell cell;
  cell.client = cell.server = "openssl";
  cell.fast_track = fast_track;
  return cell;
}

// load is the bidir suite for several clients: both sides of each send 30 ops.
Scenario load(const Cell& cell) {
  Scenario scenario = find_suite("bidir")->make(cell, Size::tiny, 1);
  scenario.settings.connections = clients;
  scenario.reaches.clear();
  return scenario;
}

// aborted_load has `side` abort with ops pending, so that they fail: the other side reads nothing before.
Scenario aborted_load(const Cell& cell, Side side) {
  const Side other = side == Side::client ? Side::server : Side::client;
  Scenario scenario = blank("aborted_load", cell, Size::tiny, 1);
  scenario.settings.connections = clients;
  tight(scenario);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.reactions.push_back(when(other, {}, Event::connected, Verb::pause));
  std::vector<Step> steps{await(Condition::connected),  await(Condition::established), send(64, 16384, 16384),
                          await(Condition::pending, 2), act(Verb::close_abort),        await(Condition::closed)};
  if (side == Side::client) {
    steps.insert(steps.begin(), connect());
  } else {
    scenario.threads.push_back(on_loop(Side::client, {}, {connect()}));
  }
  scenario.threads.push_back(on_loop(side, {}, steps));
  scenario.threads.push_back(on_loop(other, {}, {await(Condition::peer_closed), act(Verb::resume)}));
  scenario.expectations.push_back(expect(side, {}, Event::closed, {Code::aborted}));
  scenario.expectations.push_back(expect(other, {}, Event::closed, {Code::reset, Code::truncated, std::nullopt}));
  scenario.reaches.push_back({.counter = "closes_with_pending", .at_least = clients});
  return scenario;
}

// Trial is how a canary is brought to its moment.
struct Trial {
  Canary canary;
  std::uint64_t moment = 1;
  bool fast_track = false;
  bool stalls = false;  // what it breaks is waited for in vain
  bool ops_fail = false;
};

std::vector<Trial> trials() {
  return {{.canary = Canary::c1_lost, .moment = 3, .stalls = true},
          {.canary = Canary::c1_twice, .moment = 3},
          {.canary = Canary::c1_wrong_token, .moment = 3},
          {.canary = Canary::c1_connected_twice},
          {.canary = Canary::c2_callback_too, .moment = 3},
          {.canary = Canary::c2_callback_too, .moment = 3, .fast_track = true},
          {.canary = Canary::c3_data_after_closed},
          {.canary = Canary::c3_data_before_connected},
          {.canary = Canary::c4_swapped},
          {.canary = Canary::c5_short, .moment = 3},
          {.canary = Canary::c5_success_for_failure, .moment = 2, .ops_fail = true},
          {.canary = Canary::c6_never_closed, .stalls = true},
          {.canary = Canary::c6_registration_left},
          {.canary = Canary::c6_listener_left},
          {.canary = Canary::c6_undestroyed},
          {.canary = Canary::s1_changed},
          {.canary = Canary::s1_lost, .stalls = true},
          {.canary = Canary::s1_doubled},
          {.canary = Canary::s1_swapped, .fast_track = true},
          {.canary = Canary::h1_entry_left, .moment = 3}};
}

const CanaryKind& kind_of(Canary canary) {
  return *std::ranges::find(canaries(), canary, &CanaryKind::canary);
}

RunOptions options_of(const Trial& trial, const rig_subject* subject) {
  RunOptions options{.subject = subject};
  if (trial.stalls) {
    options.stall_limit_us = stall_limit_us;
  }
  return options;
}

Scenario scenario_of(const Trial& trial, const Cell& cell, Side side) {
  return trial.ops_fail ? aborted_load(cell, side) : load(cell);
}

// expect_red demands the report of `law`, and of it alone, at an end or a loop of `side`.
void expect_red(const Verdict& verdict, const Trial& trial, Side side) {
  EXPECT_TRUE(canary_struck());
  EXPECT_EQ(verdict.kind, trial.stalls ? VerdictKind::hang : VerdictKind::fail) << verdict_json(verdict);
  ASSERT_FALSE(verdict.violations.empty()) << verdict_json(verdict);
  for (const Violation& violation : verdict.violations) {
    EXPECT_EQ(violation.law, kind_of(trial.canary).law) << violation.where << ": " << violation.message;
    EXPECT_TRUE(violation.where.starts_with(word(side))) << violation.where << ": " << violation.message;
  }
  const std::string report = std::string(law_name(kind_of(trial.canary).law)) + ", " + verdict.violations[0].where;
  EXPECT_NE(verdict.reason.find(report), std::string::npos) << verdict.reason;
}

struct Place {
  Trial trial;
  Side side;
  std::uint32_t index;
};

std::vector<Place> places() {
  std::vector<Place> all;
  for (const Trial& trial : trials()) {
    for (const Side side : {Side::client, Side::server}) {
      for (const std::uint32_t index : {0u, clients / 2, clients - 1}) {
        all.push_back({trial, side, index});
      }
    }
  }
  return all;
}

// trial_text begins with the law: ctest chooses by it.
std::string trial_text(const Trial& trial) {
  const CanaryKind& kind = kind_of(trial.canary);
  return std::string(law_name(kind.law)) + "_" + std::string(kind.name) + (trial.fast_track ? "_fast_on" : "");
}

class CanaryRun : public testing::TestWithParam<Place> {};

TEST_P(CanaryRun, TurnsTheRunRedWithItsOwnLaw) {
  const Place& place = GetParam();
  const CanarySide side = place.side == Side::client ? CanarySide::client : CanarySide::server;
  const rig_subject* const subject =
      make_canary(house_subject(), place.trial.canary, place.index, place.trial.moment, side);
  const Verdict verdict = run_scenario(scenario_of(place.trial, plain_cell(place.trial.fast_track), place.side),
                                       options_of(place.trial, subject));
  expect_red(verdict, place.trial, place.side);
  // The clients of one loop connect in their order, so the report names the very one; an accepted socket need not be in
  // the order of the clients, and what a loop still holds is the loop's.
  if (place.side == Side::client && !verdict.violations.empty() && !verdict.violations[0].where.contains("loop")) {
    EXPECT_EQ(verdict.violations[0].where, "client " + std::to_string(place.index));
  }
}

std::string place_name(const testing::TestParamInfo<Place>& test) {
  return trial_text(test.param.trial) + "_" + std::string(word(test.param.side)) + "_" +
         std::to_string(test.param.index);
}

INSTANTIATE_TEST_SUITE_P(OfFive, CanaryRun, testing::ValuesIn(places()), place_name);

class CanaryTlsRun : public testing::TestWithParam<Trial> {};

TEST_P(CanaryTlsRun, TurnsTheRunRedWithItsOwnLaw) {
  const Trial& trial = GetParam();
  const rig_subject* const subject = make_canary(house_subject(), trial.canary, clients / 2, trial.moment);
  const Verdict verdict =
      run_scenario(scenario_of(trial, tls_cell(trial.fast_track), Side::client), options_of(trial, subject));
  expect_red(verdict, trial, Side::client);
}

std::string trial_name(const testing::TestParamInfo<Trial>& test) {
  return trial_text(test.param);
}

INSTANTIATE_TEST_SUITE_P(Openssl, CanaryTlsRun, testing::ValuesIn(trials()), trial_name);

// Three clients, each with a loop of its own and three senders side by side: one bad thread or one bad connection among
// them is enough.
class CanaryThreadsRun : public testing::TestWithParam<Trial> {};

TEST_P(CanaryThreadsRun, TurnsTheRunRedWithItsOwnLaw) {
  const Trial& trial = GetParam();
  for (const std::uint32_t index : {0u, 1u, 2u}) {
    const rig_subject* const subject = make_canary(house_subject(), trial.canary, index, trial.moment);
    const Scenario scenario = find_suite("threads_send_load")->make(plain_cell(trial.fast_track), Size::tiny, 1);
    expect_red(run_scenario(scenario, options_of(trial, subject)), trial, Side::client);
  }
}

INSTANTIATE_TEST_SUITE_P(ThreeByThree, CanaryThreadsRun,
                         testing::Values(Trial{.canary = Canary::c1_twice, .moment = 20},
                                         Trial{.canary = Canary::c5_short, .moment = 20},
                                         Trial{.canary = Canary::h1_entry_left, .moment = 20},
                                         Trial{.canary = Canary::h1_entry_left, .moment = 20, .fast_track = true}),
                         trial_name);

// The dual: the wrapper alone changes nothing, in every scenario that the canaries were put into.
TEST(CanaryDual, NoneIsGreen) {
  for (const bool fast_track : {false, true}) {
    for (const Cell& cell : {plain_cell(fast_track), tls_cell(fast_track)}) {
      for (const Side side : {Side::client, Side::server}) {
        for (const Scenario& scenario :
             {load(cell), aborted_load(cell, side), find_suite("threads_send_load")->make(cell, Size::tiny, 1)}) {
          const CanarySide canary_side = side == Side::client ? CanarySide::client : CanarySide::server;
          const rig_subject* const subject = make_canary(house_subject(), Canary::none, 0, 1, canary_side);
          const Verdict verdict = run_scenario(scenario, {.subject = subject});
          EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
          EXPECT_FALSE(canary_struck());
        }
      }
    }
  }
}

TEST(CanaryComplete, EveryCanaryIsTried) {
  for (const CanaryKind& kind : canaries()) {
    EXPECT_TRUE(std::ranges::any_of(trials(), [&](const Trial& trial) { return trial.canary == kind.canary; }))
        << kind.name;
  }
}

// The real thing: an entry in OpenSSL's own error queue, seen through the source that the backend names. It is on the
// thread of the caller, whatever library the connection uses.
TEST(OpensslQueue, H1_AnEntryThatASendLeavesIsReported) {
  for (const Cell& cell : {plain_cell(true), tls_cell(true), tls_cell(false)}) {
    const Verdict verdict = run_scenario(load(cell), {.subject = make_litterer(house_subject())});
    EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
    ASSERT_FALSE(verdict.violations.empty());
    EXPECT_EQ(verdict.violation_count, 2u * clients * 30);  // once for each send, and not again for the next call
    for (const Violation& violation : verdict.violations) {
      EXPECT_EQ(violation.law, Law::h1_nothing_left);
      EXPECT_TRUE(violation.message.starts_with("send left an entry in the OpenSSL error queue: 0x"))
          << violation.message;
      EXPECT_TRUE(violation.message.contains("internal error")) << violation.message;
    }
  }
}

// The library door of a run: what a subject does with its TLS library, and the entry that the rig plants.
void expect_misuse(Misuse misuse, Law law) {
  for (const World world : {World::loopback, World::lab}) {
    Cell cell = plain_cell(true);
    cell.world = world;
    const Verdict verdict = run_scenario(load(cell), {.subject = make_misuser(house_subject(), misuse)});
    EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
    ASSERT_FALSE(verdict.violations.empty());
    for (const Violation& violation : verdict.violations) {
      EXPECT_EQ(violation.law, law) << violation.message;
      EXPECT_TRUE(violation.message.contains("send(rig_socket")) << violation.message;
    }
  }
}

TEST(LibraryDoor, H2_AReadOverThePlantedEntryIsReported) {
  expect_misuse(Misuse::no_clear, Law::h2_nothing_believed);
}

TEST(LibraryDoor, E1_AWriteOfNoBytesIsReported) {
  expect_misuse(Misuse::empty_write, Law::e1_retry);
}

TEST(LibraryDoor, E3_AShutdownInAHandshakeIsReported) {
  expect_misuse(Misuse::shutdown_in_handshake, Law::e3_order);
}

TEST(LibraryDoor, H1_AnEntryThatIsThereWhenTheThreadWaitsIsReported) {
  expect_misuse(Misuse::entry_at_wait, Law::h1_nothing_left);
}

TEST(LibraryDoor, L1_AWaitForInputThatTheLibraryHoldsIsReported) {
  expect_misuse(Misuse::pending_at_wait, Law::l1_progress);
}

// In the lab one thread runs at a time: two are in a session only because a call into it is a point.
Scenario shared_load(std::uint64_t seed) {
  Cell cell = plain_cell(true);
  cell.world = World::lab;
  return find_suite("threads_send_load")->make(cell, Size::tiny, seed);
}

TEST(LibraryDoor, E2_TwoThreadsInASessionAreReportedInTheLabWithinAFewSeeds) {
  const rig_subject* const subject = make_misuser(house_subject(), Misuse::shared);
  std::uint64_t reports = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Verdict verdict = run_scenario(shared_load(seed), {.subject = subject});
    for (const Violation& violation : verdict.violations) {
      EXPECT_EQ(violation.law, Law::e2_threads) << violation.message;
      EXPECT_TRUE(violation.message.contains("is entered while another thread is in it")) << violation.message;
      ++reports;
    }
  }
  EXPECT_GE(reports, 3u);
}

TEST(CanaryDual, ASessionOfEachThreadIsSilentInTheLab) {
  const rig_subject* const subject = make_misuser(house_subject(), Misuse::none);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Verdict verdict = run_scenario(shared_load(seed), {.subject = subject});
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  }
}

// The kernel door of a run.
Verdict run_trespasser(Trespass trespass, World world, LawScope laws = LawScope::all) {
  Cell cell = plain_cell(true);
  cell.world = world;
  RunOptions options{.subject = make_trespasser(house_subject(), trespass)};
  options.laws = laws;
  std::signal(SIGPIPE, SIG_DFL);
  return run_scenario(load(cell), options);
}

struct TrespassCase {
  Trespass trespass;
  Law law;
  const char* message;  // is part of it
  const char* name;
};

void PrintTo(const TrespassCase& trespass, std::ostream* out) {
  *out << trespass.name;
}

class KernelDoor : public testing::TestWithParam<TrespassCase> {};

TEST_P(KernelDoor, ATrespassIsReportedOnceAndByItsLawAlone) {
  for (const World world : {World::loopback, World::lab}) {
    const Verdict verdict = run_trespasser(GetParam().trespass, world);
    EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
    ASSERT_EQ(verdict.violations.size(), 1u) << verdict_json(verdict);
    EXPECT_EQ(verdict.violations.front().law, GetParam().law);
    EXPECT_TRUE(verdict.violations.front().message.contains(GetParam().message)) << verdict.violations.front().message;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Trespasses, KernelDoor,
    testing::Values(
        TrespassCase{Trespass::double_close, Law::f1_descriptors, "it is closed twice", "F1_double_close"},
        TrespassCase{Trespass::use_after_close, Law::f1_descriptors, "is used after its close", "F1_use_after_close"},
        TrespassCase{Trespass::register_closed, Law::f1_descriptors, "poll called from", "F1_register_closed"},
        TrespassCase{Trespass::leak, Law::f1_descriptors, "it was never closed", "F1_leak"},
        TrespassCase{Trespass::acts_on_old_event, Law::f1_descriptors, "an event of the old owner",
                     "F1_acts_on_old_event"},
        TrespassCase{Trespass::raises_sigpipe, Law::p1_sigpipe, "raises SIGPIPE", "P1_raises_sigpipe"},
        TrespassCase{Trespass::overruns_sets, Law::m1_memory, "lie within each other", "M1_overruns_sets"},
        TrespassCase{Trespass::waits_in_a_call, Law::l2_wakeups, "the socket is not O_NONBLOCK", "L2_waits_in_a_call"},
        TrespassCase{Trespass::ignores_input, Law::l2_wakeups, "input that nobody reads", "L2_ignores_input"},
        TrespassCase{Trespass::ignores_room, Law::l2_wakeups, "room that nobody uses", "L2_ignores_room"},
        TrespassCase{Trespass::repeats_at_once, Law::l2_wakeups, "is tried again at once", "L2_repeats_at_once"},
        TrespassCase{Trespass::starves, Law::l2_wakeups, "waits for its turn", "L2_starves"},
        TrespassCase{Trespass::gulps, Law::l2_wakeups, "waits for its turn", "L2_gulps"}),
    [](const auto& trespass) { return std::string(trespass.param.name); });

// In virtual time only: how often a thread wakes up on the real kernel depends on the machine.
TEST(KernelDoorInTheLab, L2_AThreadThatWakesUpEachMillisecondForNothingIsReported) {
  const Verdict verdict = run_trespasser(Trespass::ticks, World::lab);
  EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
  ASSERT_EQ(verdict.violations.size(), 1u) << verdict_json(verdict);
  EXPECT_EQ(verdict.violations.front().law, Law::l2_wakeups);
  EXPECT_TRUE(verdict.violations.front().message.contains("wakes up by its own timeout while nothing happens"))
      << verdict.violations.front().message;
  EXPECT_EQ(run_trespasser(Trespass::ticks_slowly, World::lab).kind, VerdictKind::pass);
}

// A layer that loses every other wake-up: its loop does what waits for it when its own time has run out.
TEST(KernelDoorInTheLab, L2_ALoopThatSleepsOnOverAWakeUpIsReported) {
  static rig_subject deaf = *house_subject();
  static int wakes = 0;
  deaf.loop_wake = [](rig_loop* loop) {
    if (++wakes % 2 == 0) {
      house_subject()->loop_wake(loop);
    }
  };
  for (const PollerChoice poller : {PollerChoice::epoll, PollerChoice::poll, PollerChoice::select}) {
    Cell cell = plain_cell(true);
    cell.world = World::lab;
    cell.poller = poller;
    wakes = 0;
    const Verdict verdict = run_scenario(load(cell), {.subject = &deaf, .stall_limit_us = 300'000'000});
    EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
    EXPECT_TRUE(std::ranges::any_of(verdict.violations, [](const Violation& violation) {
      return violation.law == Law::l2_wakeups && violation.message.contains("although the loop has been woken");
    })) << verdict_json(verdict);
  }
}

// A layer that tells the system of each op that more follows, or of none.
template <bool More>
const rig_subject* make_hinting() {
  static rig_subject table = *house_subject();
  table.send = [](rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                  std::uint32_t flags, rig_error* error) {
    return house_subject()->send(socket, token, bytes, count, More ? flags | RIG_SEND_MORE : flags & ~RIG_SEND_MORE,
                                 error);
  };
  return &table;
}

// more_follows has either side send ops with `more`, and behind them one without.
Scenario more_follows(World world, bool fast_track) {
  Cell cell = plain_cell(fast_track);
  cell.world = world;
  Scenario scenario = blank("more_follows", cell, Size::tiny, 1);
  const Step heard = await(Condition::received, 1800);
  scenario.threads.push_back(
      on_loop(Side::client, {},
              {connect(), await(Condition::connected), send_more(3, 600), heard, align(1), act(Verb::close_graceful)}));
  scenario.threads.push_back(
      on_loop(Side::server, {}, {await(Condition::connected), send_more(3, 600), heard, align(1)}));
  return scenario;
}

TEST(Pushes, L3_AnOpThatTheSystemMayHoldBackIsReported) {
  for (const World world : {World::loopback, World::lab}) {
    for (const bool fast_track : {false, true}) {
      const Verdict verdict = run_scenario(more_follows(world, fast_track), {.subject = make_hinting<true>()});
      EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
      EXPECT_FALSE(verdict.violations.empty());
      for (const Violation& violation : verdict.violations) {
        EXPECT_EQ(violation.law, Law::l3_more);
        EXPECT_TRUE(violation.message.contains("back since the last sendmsg()")) << violation.message;
      }
    }
  }
}

TEST(CanaryDual, OpsThatSayThatMoreFollowsMayBeHeldBack) {
  for (const World world : {World::loopback, World::lab}) {
    for (const bool fast_track : {false, true}) {
      for (const rig_subject* const subject : {house_subject(), make_hinting<false>()}) {
        const Verdict verdict = run_scenario(more_follows(world, fast_track), {.subject = subject});
        EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
      }
    }
  }
}

TEST(WireOfARun, W1_WhatIsInTheClearIsReportedInBothWorlds) {
  for (const World world : {World::loopback, World::lab}) {
    Cell cell = tls_cell(true);
    cell.world = world;
    const Verdict verdict = run_scenario(
        load(cell),
        {.subject = make_trespasser(house_subject(), Trespass::speaks_in_the_clear), .stall_limit_us = stall_limit_us});
    EXPECT_NE(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
    EXPECT_TRUE(std::ranges::any_of(verdict.violations, [](const Violation& violation) {
      return violation.law == Law::w1_wire && violation.message.contains("is no TLS record");
    })) << verdict_json(verdict);
  }
}

// A subject that the kernel door takes for the rig.
template <auto Verb>
struct Unseen;

template <class Result, class... Arguments, Result (*rig_subject::*Verb)(Arguments...)>
struct Unseen<Verb> {
  static Result call(Arguments... arguments) {
    const lab::Acting rig(lab::Party::rig);
    return (house_subject()->*Verb)(arguments...);
  }
};

template <auto... Verbs>
const rig_subject* make_unseen() {
  static rig_subject table = *house_subject();
  ((table.*Verbs = Unseen<Verbs>::call), ...);
  return &table;
}

TEST(KernelDoorOwner, F1_WhatTheRigHasOpenedIsNotTheSubjects) {
  for (const World world : {World::loopback, World::lab}) {
    Cell cell = plain_cell(true);
    cell.world = world;
    const Verdict verdict = run_scenario(load(cell), {.subject = make_unseen<&rig_subject::loop_create>()});
    EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
    for (const Violation& violation : verdict.violations) {
      EXPECT_EQ(violation.law, Law::f1_descriptors);
      EXPECT_TRUE(violation.message.contains("it belongs to somebody else")) << violation.message;
    }
  }
}

TEST(Vacuous, ATlsRunWhoseWireNobodySawIsNotGreen) {
  const rig_subject* const unseen =
      make_unseen<&rig_subject::loop_create, &rig_subject::loop_turn, &rig_subject::loop_wake,
                  &rig_subject::loop_destroy, &rig_subject::listen, &rig_subject::listener_close, &rig_subject::connect,
                  &rig_subject::send, &rig_subject::close, &rig_subject::destroy>();
  for (const World world : {World::loopback, World::lab}) {
    Cell cell = tls_cell(true);
    cell.world = world;
    const Verdict verdict = run_scenario(load(cell), {.subject = unseen});
    EXPECT_EQ(verdict.kind, VerdictKind::vacuous) << verdict_json(verdict);
    EXPECT_TRUE(verdict.reason.contains("law W1 has seen no record of client 0")) << verdict.reason;
    cell = plain_cell(true);
    cell.world = world;
    EXPECT_EQ(run_scenario(load(cell), {.subject = unseen}).kind, VerdictKind::pass);
  }
}

TEST(CanaryDual, ADescriptorThatIsUsedAsItShouldBeIsSilent) {
  for (const World world : {World::loopback, World::lab}) {
    const Verdict verdict = run_trespasser(Trespass::none, world);
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  }
}

TEST(CanaryDual, WithTheLawsOfTheAppDoorAloneTheOthersAreNotAsked) {
  for (const World world : {World::loopback, World::lab}) {
    const Verdict verdict = run_trespasser(Trespass::ignores_room, world, LawScope::app);
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  }
}

TEST(CanaryDual, ASessionThatIsUsedAsTheManualSaysIsSilent) {
  for (const World world : {World::loopback, World::lab}) {
    Cell cell = plain_cell(true);
    cell.world = world;
    const Verdict verdict = run_scenario(load(cell), {.subject = make_misuser(house_subject(), Misuse::none)});
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  }
}

}  // namespace
}  // namespace rig
