#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// How a connection ends whose handshake does not go on, and by whom.
struct Ending {
  Side by;
  Verb how;
  bool beside;  // from another thread
};

constexpr Ending endings[] = {
    {Side::client, Verb::close_graceful, false}, {Side::client, Verb::close_abort, false},
    {Side::client, Verb::destroy, false},        {Side::client, Verb::close_abort, true},
    {Side::server, Verb::close_graceful, false}, {Side::server, Verb::close_abort, false},
    {Side::server, Verb::destroy, false},        {Side::server, Verb::close_graceful, true},
    {Side::client, Verb::relay_reset, false},    {Side::client, Verb::relay_fin, false},
};
constexpr std::uint32_t ended = std::size(endings);

// How a side ends that something other than its deadline ends. On a busy machine the deadline may come first; in the
// lab, where time is virtual, it may not.
std::vector<std::optional<Code>> ends_with(const Cell& cell, Code code) {
  std::vector<std::optional<Code>> ends{code};
  if (cell.world != World::lab) {
    ends.push_back(Code::timeout);
  }
  return ends;
}

// The server has an op queued when it has a socket, and then the client's threads go on.
void plan(Scenario& scenario, const Cell& cell, std::uint32_t connection) {
  const Ending& ending = endings[connection];
  std::vector<Step> client{act(Verb::relay_stall), connect(), align(connection)};
  std::vector<Step> server{send(1, 64, 64), align(connection)};
  std::vector<Step>& own = ending.by == Side::client ? client : server;
  const std::vector<Step> last{act(ending.how), await(Condition::closed)};
  if (ending.beside) {
    std::vector<Step> other{align(connection)};
    other.insert(other.end(), last.begin(), last.end());
    scenario.threads.push_back(beside(ending.by, connection, other));
  } else {
    own.insert(own.end(), last.begin(), last.end());
  }
  scenario.threads.push_back(on_loop(Side::client, connection, client));
  scenario.threads.push_back(on_loop(Side::server, connection, server));
  if (ending.how != Verb::relay_reset && ending.how != Verb::relay_fin) {
    // A graceful close with an op queued waits for the handshake: the deadline ends both.
    const auto ends = ending.how == Verb::close_graceful
                          ? std::vector<std::optional<Code>>{Code::aborted, Code::timeout}
                          : ends_with(cell, Code::aborted);
    for (const Event event : {Event::connected, Event::closed}) {
      scenario.expectations.push_back(expect(ending.by, connection, event, ends));
    }
  }
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("close_in_handshake", cell, size, seed);
  // The last connection meets its deadline when the others are gone: a timer of theirs would be due as well.
  scenario.settings.connections = ended + 1;
  scenario.settings.relay = true;
  // In the lab the SYN to a relay, the relay's own and the wire's last word may each be late, by 40 ms at most.
  scenario.settings.handshake_timeout_us = cell.world == World::lab ? 150'000 : 250'000;
  scenario.settings.close_timeout_us = 20'000;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  for (std::uint32_t connection = 0; connection < ended; ++connection) {
    plan(scenario, cell, connection);
  }
  scenario.threads.push_back(
      on_loop(Side::client, ended,
              {act(Verb::relay_stall), connect(), await(Condition::closed), await(Condition::peer_closed)}));
  // What was accepted has a listener no more.
  scenario.reactions.push_back(when(Side::server, {}, Event::accepted, Verb::stop_listening));
  for (const Side side : {Side::client, Side::server}) {
    for (const Event event : {Event::connected, Event::closed}) {
      scenario.expectations.push_back(expect(side, ended, event, {Code::timeout}));
      scenario.expectations.push_back(expect(side, ended - 2, event, ends_with(cell, Code::reset)));
      scenario.expectations.push_back(expect(side, ended - 1, event, ends_with(cell, Code::truncated)));
    }
  }
  // The other sides see whatever the wire had to say in time.
  const std::vector<std::optional<Code>> left{Code::timeout, Code::reset,  Code::truncated,
                                              Code::aborted, Code::closed, Code::peer_alert};
  for (std::uint32_t connection = 0; connection < ended - 2; ++connection) {
    const Side other = endings[connection].by == Side::client ? Side::server : Side::client;
    for (const Event event : {Event::connected, Event::closed}) {
      scenario.expectations.push_back(expect(other, connection, event, left));
    }
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = 2 * std::uint64_t{ended + 1}});
  return scenario;
}

}  // namespace

const Suite& close_in_handshake_suite() {
  static const Suite suite{
      .name = "close_in_handshake",
      .sentence = "either side closes, aborts or destroys its socket in the handshake, or the wire ends or resets it",
      .unfit = needs_tls,
      .make = make};
  return suite;
}

}  // namespace rig
