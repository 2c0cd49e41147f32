// What the report of a stall says, in both worlds: which op waits, on whom, and what each door saw last. A run that is
// only slow has none.
#include <gtest/gtest.h>

#include <ostream>
#include <regex>
#include <string>
#include <vector>

#include "harness/scenario/runner.h"
#include "harness/subjects/canary/canary.h"
#include "harness/subjects/house.h"
#include "stress/recipe.h"

namespace rig {

void PrintTo(World world, std::ostream* out) {
  *out << word(world);
}

namespace {

using namespace recipe;

constexpr std::int64_t stall_limit_us = 1'000'000;

Cell cell_in(World world) {
  Cell cell;
  cell.fast_track = false;
  cell.world = world;
  return cell;
}

// talk has a client send `ops` ops and wait for their completion.
Scenario talk(World world, std::uint64_t ops, std::uint64_t bytes) {
  Scenario scenario = blank("talk", cell_in(world), Size::tiny, 1);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.threads.push_back(on_loop(
      Side::client, {}, {connect(), await(Condition::connected), send(ops, bytes, bytes), await(Condition::sent)}));
  return scenario;
}

void expect_stall(const Verdict& verdict, const std::string& pattern) {
  EXPECT_EQ(verdict.kind, VerdictKind::hang) << verdict_json(verdict);
  EXPECT_TRUE(std::regex_search(verdict.reason, std::regex(pattern))) << verdict.reason;
}

class Stalls : public testing::TestWithParam<World> {};

TEST_P(Stalls, AnOpWhoseCompletionIsLostWaitsOnNobody) {
  const rig_subject* const subject = make_canary(house_subject(), Canary::c1_lost, 0, 3);
  const Verdict verdict =
      run_scenario(talk(GetParam(), 5, 600), {.subject = subject, .stall_limit_us = stall_limit_us});
  expect_stall(
      verdict,
      "await sent; client 0 is connected with 1 ops pending, has received 0 of 0 bytes "
      "\\(op 3 of 600 bytes, the oldest, waits on nobody: its socket took what it was last given; "
      "app: send answered pending, the last callback was sent; "
      "library: the last SSL_[a-z_]+\\(\\)[^;]*; "
      "kernel: descriptor [0-9]+: the last [a-z]+\\(\\) answered [0-9]+, the last [a-z]+\\(\\) answered [0-9]+, "
      "it is waited on for input, not for room\\); "
      "server 0 is connected with 0 ops pending, has received 3000 of 3000 bytes \\(it waits for nothing; ");
}

TEST_P(Stalls, AnOpBehindAFullSocketWaitsOnThePeerThatHasPaused) {
  Scenario scenario = talk(GetParam(), 200, 16384);
  tight(scenario);
  scenario.reactions.push_back(when(Side::server, {}, Event::connected, Verb::pause));
  const Verdict verdict = run_scenario(scenario, {.stall_limit_us = stall_limit_us});
  expect_stall(
      verdict,
      "client 0 is connected with [0-9]+ ops pending, has received 0 of 0 bytes "
      "\\(op [0-9]+ of 16384 bytes, the oldest, waits on its peer, which has paused; app: send answered pending, "
      "[^;]*; library: the last SSL_write[a-z_]*\\(\\) of [0-9]+ bytes [^;]*; "
      "kernel: descriptor [0-9]+: [^;]*, the last [a-z]+\\(\\) answered EAGAIN, "
      "it is waited on for input and for room\\); server 0 .*"
      "\\(it waits for [0-9]+ bytes more on itself: it has paused; app: pause answered ok, ");
}

TEST_P(Stalls, AHandshakeBehindARelayThatHoldsBackWaitsOnTheRelay) {
  Scenario scenario = talk(GetParam(), 1, 600);
  scenario.settings.relay = true;
  scenario.threads.front().steps.insert(scenario.threads.front().steps.begin(), act(Verb::relay_stall));
  const Verdict verdict = run_scenario(scenario, {.stall_limit_us = stall_limit_us});
  expect_stall(
      verdict,
      "client 0 is not connected with 0 ops pending, has received 0 of 0 bytes "
      "\\(it waits for its handshake on the relay, which holds everything back; app: no verb since it was made, "
      "no callback; library: the last SSL_[a-z_]+\\(\\) waits for input; kernel: descriptor ");
}

TEST_P(Stalls, WithTheLawsOfTheAppDoorAloneTheOtherDoorsAreNotTold) {
  Scenario scenario = talk(GetParam(), 200, 16384);
  tight(scenario);
  scenario.reactions.push_back(when(Side::server, {}, Event::connected, Verb::pause));
  RunOptions options{.stall_limit_us = stall_limit_us};
  options.laws = LawScope::app;
  const Verdict verdict = run_scenario(scenario, options);
  expect_stall(verdict,
               "the oldest, waits on its peer, which has paused; app: send answered pending, [^;]*\\); server 0 ");
  EXPECT_FALSE(verdict.reason.contains("kernel:")) << verdict.reason;
}

INSTANTIATE_TEST_SUITE_P(InBothWorlds, Stalls, testing::Values(World::loopback, World::lab),
                         [](const testing::TestParamInfo<World>& test) { return std::string(word(test.param)); });

// A run that goes on without end is stopped wherever it is.
TEST(Stall, ARunThatTakesTooManyStepsSaysWhereItWas) {
  const Scenario scenario = talk(World::lab, 50, 16384);
  const std::uint64_t points = run_scenario(scenario).counters.at("lab_points");
  EXPECT_EXIT(run_scenario(scenario, {.steps_max = points / 2}), testing::ExitedWithCode(1),
              "client 0 is connected with [0-9]+ ops pending.*kernel: descriptor [0-9]+: the last .*"
              "server 0 is connected");
}

// Each flight takes so long that the whole is many times the limit.
TEST(Stall, ARunThatIsSlowHasNone) {
  constexpr std::int64_t latency_us = stall_limit_us / 8;
  constexpr std::uint64_t rounds = 3;
  Scenario scenario = blank("slow_talk", cell_in(World::lab), Size::tiny, 1);
  std::vector<Step> steps{connect(), await(Condition::connected)};
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    steps.insert(steps.end(), {send(1, 600, 600), await(Condition::received, 600 * round)});
  }
  scenario.threads.push_back(on_loop(Side::client, {}, steps));
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo));
  lab::Fault late;
  late.number = 1;
  late.kind = lab::FaultKind::delay;
  late.connection = 0;
  late.amount = latency_us;
  late.sticky = true;
  scenario.lab.faults.push_back(late);
  const Verdict verdict = run_scenario(scenario, {.stall_limit_us = stall_limit_us});
  EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  EXPECT_GT(verdict.counters.at("lab_virtual_us"), 2u * stall_limit_us);
}

}  // namespace
}  // namespace rig
