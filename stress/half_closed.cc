#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_half_close(cell, abilities), needs_pause(cell, abilities)});
}

// 0: the client has ops pending when the server's end comes, and goes on sending; the server reads on only then.
void plan_talk(Scenario& scenario) {
  const Size size = scenario.size;
  const std::uint64_t ops = by_size(size, 16, 64, 200);
  const std::uint64_t ops_after = by_size(size, 2, 16, 50);
  const std::uint64_t bytes = op_bytes(size);
  scenario.reactions.push_back(when(Side::server, 0, Event::accepted, Verb::pause));
  scenario.threads.push_back(
      on_loop(Side::client, 0,
              {connect(), await(Condition::connected), await(Condition::established), send(ops, bytes, bytes),
               await(Condition::pending, 1), align(0), await(Condition::ended), align(1), send(ops_after, bytes, bytes),
               await(Condition::sent)}));
  scenario.threads.push_back(on_loop(Side::server, 0,
                                     {await(Condition::connected), align(0), act(Verb::half_close), align(1),
                                      act(Verb::resume), await(Condition::received, (ops + ops_after) * bytes)}));
}

// The peer has said its orderly goodbye, and is reset behind it: what we still send fails by a broken pipe, which a
// layer must not take for that goodbye. 1: ops are pending at the reset. 2: an op and a close come about when it
// arrives; a peer that has ended its stream may be gone before it took the last of ours.
void plan_reset(Scenario& scenario, std::uint32_t connection) {
  const std::uint64_t bytes = op_bytes(scenario.size);
  std::vector<Step> steps{connect(), await(Condition::connected), await(Condition::ended)};
  if (connection == 1) {
    const std::vector<Step> blocked{act(Verb::relay_stall), send(by_size(scenario.size, 23, 64, 200), bytes, bytes),
                                    await(Condition::pending, 1), act(Verb::relay_reset)};
    steps.insert(steps.end(), blocked.begin(), blocked.end());
  } else {
    const std::vector<Step> late{act(Verb::relay_reset), await(Condition::peer_closed), send(1, 512, 512),
                                 act(Verb::close_graceful)};
    steps.insert(steps.end(), late.begin(), late.end());
  }
  steps.insert(steps.end(), {await(Condition::closed), await(Condition::peer_closed)});
  scenario.threads.push_back(on_loop(Side::client, connection, steps));
  scenario.threads.push_back(on_loop(Side::server, connection, {await(Condition::connected), act(Verb::half_close)}));
  scenario.expectations.push_back(expect(Side::server, connection, Event::closed, {Code::reset}));
  std::vector<std::optional<Code>> ends{Code::reset};
  if (connection == 2) {
    ends.emplace_back(std::nullopt);
  }
  scenario.expectations.push_back(expect(Side::client, connection, Event::closed, ends));
}

// 3: the side that half-closes has ops pending itself, which the peer takes only then: its end comes behind them.
void plan_flush(Scenario& scenario) {
  const std::uint64_t ops = by_size(scenario.size, 16, 64, 200);
  const std::uint64_t bytes = op_bytes(scenario.size);
  scenario.reactions.push_back(when(Side::client, 3, Event::connected, Verb::pause));
  scenario.threads.push_back(on_loop(Side::server, 3,
                                     {await(Condition::connected), await(Condition::established),
                                      send(ops, bytes, bytes), await(Condition::pending, 1), act(Verb::half_close),
                                      align(2), await(Condition::sent), await(Condition::ended)}));
  scenario.threads.push_back(
      on_loop(Side::client, 3,
              {connect(), await(Condition::connected), align(2), act(Verb::resume),
               await(Condition::received, ops * bytes), await(Condition::ended), act(Verb::close_graceful)}));
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("half_closed", cell, size, seed);
  scenario.settings.connections = 4;
  scenario.settings.relay = true;
  tight(scenario);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  plan_talk(scenario);
  plan_reset(scenario, 1);
  plan_reset(scenario, 2);
  plan_flush(scenario);
  // By default an end answers the peer's with a close of its own: here it has more to say.
  scenario.reactions.push_back(when(Side::client, {}, Event::ended, Verb::resume));
  scenario.reaches.push_back({.counter = "ended", .at_least = 3});
  scenario.reaches.push_back({.counter = "ended_with_pending", .at_least = 1});
  scenario.reaches.push_back({.counter = "ends_with_pending", .at_least = 2});
  return scenario;
}

}  // namespace

const Suite& half_closed_suite() {
  static const Suite suite{
      .name = "half_closed",
      .sentence =
          "either side half-closes while ops are outstanding; then a peer is reset, before ours are sent or after",
      .unfit = unfit,
      .make = make};
  return suite;
}

}  // namespace rig
