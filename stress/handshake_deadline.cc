#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("handshake_deadline", cell, size, seed);
  scenario.settings.relay = true;
  // Long enough for the client's first bytes to leave on a machine that is busy: without them nothing was waited for.
  scenario.settings.handshake_timeout_us = cell.world == World::lab ? 30'000 : 1'000'000;
  // Once there is a connection, a deadline for connecting ends nothing.
  if (pick(cell, seed, 2) == 0) {
    scenario.settings.connect_timeout_us = scenario.settings.handshake_timeout_us / 3;
  }
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.threads.push_back(on_loop(Side::client, {},
                                     {act(Verb::relay_stall), connect(), send(by_size(size, 2, 5, 20), 512, 512),
                                      await(Condition::closed), await(Condition::peer_closed)}));
  for (const Side side : {Side::client, Side::server}) {
    for (const Event event : {Event::connected, Event::closed}) {
      scenario.expectations.push_back(expect(side, {}, event, {Code::timeout}));
    }
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = 1});
  return scenario;
}

}  // namespace

const Suite& handshake_deadline_suite() {
  static const Suite suite{.name = "handshake_deadline",
                           .sentence = "the wire falls silent in the middle of a handshake: the deadline ends it, once",
                           .unfit = needs_tls,
                           .make = make};
  return suite;
}

}  // namespace rig
