#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// Connections of one thread: 0 echoes, 1 is idle until something has failed beside it, the others fail.
constexpr std::uint32_t echoing = 0;
constexpr std::uint32_t idle = 1;

// How the others fail: connected or in the handshake, and by what.
struct Failure {
  bool in_handshake;
  Verb how;
  Code seen;
};

constexpr Failure failures[] = {{false, Verb::relay_fin, Code::truncated}, {false, Verb::relay_reset, Code::reset},
                                {true, Verb::relay_fin, Code::truncated},  {true, Verb::relay_reset, Code::reset},
                                {true, Verb::close_abort, Code::aborted},  {true, Verb::relay_stall, Code::timeout}};

void plan_failure(Scenario& scenario, const Failure& failure, std::uint32_t connection) {
  std::vector<Step> client;
  if (failure.in_handshake) {
    client = {act(Verb::relay_stall), connect(), align(100 + connection), act(failure.how)};
    // Whoever has an op has a socket.
    scenario.threads.push_back(on_loop(Side::server, connection, {send(1, 64, 64), align(100 + connection)}));
  } else {
    client = {connect(), await(Condition::connected), await(Condition::established), act(failure.how)};
  }
  const bool ours = failure.how == Verb::close_abort;
  client.push_back(await(Condition::closed));
  if (ours) {
    client.push_back(act(Verb::relay_reset));  // the wire is silent: nobody else would tell the server
  }
  client.insert(client.end(), {await(Condition::peer_closed), align(connection)});
  scenario.threads.push_back(on_loop(Side::client, connection, client));
  for (const Side side : {Side::client, Side::server}) {
    const std::vector<std::optional<Code>> ends = ours && side == Side::server
                                                      ? std::vector<std::optional<Code>>{Code::reset}
                                                      : std::vector<std::optional<Code>>{failure.seen};
    scenario.expectations.push_back(expect(side, connection, Event::closed, ends));
    if (failure.in_handshake) {
      scenario.expectations.push_back(expect(side, connection, Event::connected, ends));
    }
  }
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("failing_neighbours", cell, size, seed);
  constexpr std::uint32_t first = idle + 1;
  // A deadline short enough to be met here would also be met by a sound handshake on a machine that is busy: one that
  // times out is for virtual time.
  const bool deadline = cell.world == World::lab;
  const std::uint32_t failing = std::size(failures) - (deadline ? 0 : 1);
  scenario.settings.connections = first + failing;
  scenario.settings.one_loop = true;
  scenario.settings.relay = true;
  scenario.settings.handshake_timeout_us = deadline ? 250'000 : 0;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  std::vector<Step> echo{connect(), await(Condition::connected), await(Condition::established)};
  std::vector<Step> speak{await(Condition::connected)};
  std::vector<Step> hear{connect(), await(Condition::connected), await(Condition::established)};
  for (std::uint32_t connection = first; connection < first + failing; ++connection) {
    echo.insert(echo.end(), {align(connection), send(2, 1, 600), await(Condition::received)});
    speak.insert(speak.end(), {align(connection), send(1, 600, 600)});
    hear.push_back(align(connection));
  }
  hear.push_back(await(Condition::received, 600 * std::uint64_t{failing}));
  scenario.reactions.push_back(when(Side::server, echoing, Event::data, Verb::echo));
  scenario.threads.push_back(on_loop(Side::client, echoing, echo));
  scenario.threads.push_back(on_loop(Side::client, idle, hear));
  scenario.threads.push_back(on_loop(Side::server, idle, speak));
  for (std::uint32_t i = 0; i < failing; ++i) {
    plan_failure(scenario, failures[i], first + i);
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = 2 * (failing - std::uint64_t{2})});
  return scenario;
}

}  // namespace

const Suite& failing_neighbours_suite() {
  static const Suite suite{
      .name = "failing_neighbours",
      .sentence = "on one thread connections fail, time out and are cut, and others beside them talk on unharmed",
      .unfit = needs_tls,
      .make = make};
  return suite;
}

}  // namespace rig
