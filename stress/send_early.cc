#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("send_early", cell, size, seed);
  // 0: the ops are queued while the wire is silent in the handshake. 1: they race with it, from a thread of their own.
  scenario.settings.connections = 2;
  scenario.settings.relay = true;
  const std::uint64_t ops = by_size(size, 6, 20, 200);
  const std::uint64_t most = by_size(size, 8192, size_max(size), size_max(size));
  scenario.threads.push_back(
      on_loop(Side::client, 0,
              {act(Verb::relay_stall), connect(), send(ops, 0, most), await(Condition::pending, ops), align(0),
               act(Verb::relay_flow), await(Condition::received), await(Condition::sent)}));
  scenario.threads.push_back(on_loop(Side::server, 0,
                                     {send(ops, 0, most), await(Condition::pending, ops), align(0),
                                      await(Condition::received), await(Condition::sent)}));
  scenario.threads.push_back(on_loop(Side::client, 1, {connect()}));
  for (const Side side : {Side::client, Side::server}) {
    scenario.threads.push_back(
        beside(side, 1, {send(ops, 0, most), await(Condition::received), await(Condition::sent)}));
  }
  scenario.reaches.push_back({.counter = "ends_with_pending", .at_least = 2});
  scenario.reaches.push_back({.counter = "pending_seen", .at_least = ops});
  scenario.reaches.push_back({.counter = "ops", .at_least = 4 * ops});
  demand_async(scenario);
  return scenario;
}

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_tls(cell, abilities), needs_threads(cell, abilities)});
}

}  // namespace

const Suite& send_early_suite() {
  static const Suite suite{
      .name = "send_early",
      .sentence = "both sides send before their handshake is done, and all of it arrives behind it",
      .unfit = unfit,
      .make = make};
  return suite;
}

}  // namespace rig
