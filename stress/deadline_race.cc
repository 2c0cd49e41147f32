#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// The first connection of each kind is the clock: it meets its deadline, and at that instant the wire of the others,
// which began a few steps later, brings what they have waited for. Whichever is first, it ends once.
constexpr std::uint32_t handshakes = 6;  // connections 0 to 5
constexpr std::uint32_t closes = 3;      // connections 6 to 8
constexpr std::uint64_t at_handshake_deadline = 1;
constexpr std::uint64_t before_close = 2;
constexpr std::uint64_t at_close_deadline = 3;

// The end of the run closes whatever still stands, and the wire may be slower than that close may take: any of them may
// end by the deadline of a close.
void expect_either(Scenario& scenario, Side side, std::uint32_t connection, Event event,
                   std::initializer_list<Code> ours) {
  std::vector<std::optional<Code>> ends{std::nullopt, Code::reset, Code::truncated, Code::peer_alert};
  ends.insert(ends.end(), ours.begin(), ours.end());
  scenario.expectations.push_back(expect(side, connection, event, ends));
}

void plan_handshake(Scenario& scenario, std::uint32_t connection) {
  std::vector<Step> steps{act(Verb::relay_stall), connect()};
  if (connection == 0) {
    steps.push_back(await(Condition::closed));
  }
  steps.push_back(align(at_handshake_deadline));
  steps.insert(steps.end(), {act(Verb::relay_flow), await(Condition::connected)});
  scenario.threads.push_back(on_loop(Side::client, connection, steps));
  scenario.threads.push_back(on_loop(Side::server, connection, {await(Condition::connected)}));
  for (const Side side : {Side::client, Side::server}) {
    expect_either(scenario, side, connection, Event::connected, {Code::timeout});
    expect_either(scenario, side, connection, Event::closed, {Code::timeout, Code::aborted});
  }
}

void plan_close(Scenario& scenario, std::uint32_t connection) {
  const std::uint64_t bytes = op_bytes(scenario.size);
  std::vector<Step> steps{connect(),
                          await(Condition::connected),
                          await(Condition::established),
                          send(by_size(scenario.size, 16, 64, 200), bytes, bytes),
                          await(Condition::pending, 1),
                          align(before_close),
                          act(Verb::close_graceful),
                          await(Condition::closed)};
  if (connection == handshakes) {
    steps.push_back(align(at_close_deadline));
  }
  steps.push_back(await(Condition::peer_closed));
  scenario.threads.push_back(on_loop(Side::client, connection, steps));
  scenario.threads.push_back(on_loop(Side::server, connection, {align(at_close_deadline), act(Verb::resume)}));
  scenario.reactions.push_back(when(Side::server, connection, Event::accepted, Verb::pause));
  for (const Side side : {Side::client, Side::server}) {
    expect_either(scenario, side, connection, Event::closed, {Code::aborted});
  }
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("deadline_race", cell, size, seed);
  scenario.settings.connections = handshakes + closes;
  scenario.settings.relay = true;
  scenario.settings.handshake_timeout_us = 200'000;
  scenario.settings.close_timeout_us = 20'000;
  tight(scenario);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  for (std::uint32_t connection = 0; connection < handshakes; ++connection) {
    plan_handshake(scenario, connection);
  }
  for (std::uint32_t connection = handshakes; connection < handshakes + closes; ++connection) {
    plan_close(scenario, connection);
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = 1});
  scenario.reaches.push_back({.counter = "closes_with_pending", .at_least = closes});
  return scenario;
}

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_lab(cell, abilities), needs_tls(cell, abilities), needs_pause(cell, abilities)});
}

}  // namespace

const Suite& deadline_race_suite() {
  static const Suite suite{
      .name = "deadline_race",
      .sentence = "the deadline of a handshake or a close fires in the instant in which the wire brings its completion",
      .unfit = unfit,
      .make = make};
  return suite;
}

}  // namespace rig
