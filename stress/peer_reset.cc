#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("peer_reset", cell, size, seed);
  // 0: reset; 1: FIN without close_notify.
  scenario.settings.connections = 2;
  scenario.settings.relay = true;
  tight(scenario);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  const std::uint64_t ops = by_size(size, 23, 64, 200);
  const std::uint64_t bytes = op_bytes(size);
  // Plain TCP cannot tell a cut from an end, so there both connections are reset.
  const Verb cut = is_tls(cell) ? Verb::relay_fin : Verb::relay_reset;
  const Code cut_seen = is_tls(cell) ? Code::truncated : Code::reset;
  for (std::uint32_t connection = 0; connection < 2; ++connection) {
    scenario.threads.push_back(
        on_loop(Side::client, connection,
                {connect(), await(Condition::connected), await(Condition::established), act(Verb::relay_stall),
                 send(ops, bytes, bytes), await(Condition::pending, 1), act(connection == 0 ? Verb::relay_reset : cut),
                 await(Condition::closed), await(Condition::peer_closed)}));
  }
  for (const Side side : {Side::client, Side::server}) {
    scenario.expectations.push_back(expect(side, 0, Event::closed, {Code::reset}));
    scenario.expectations.push_back(expect(side, 1, Event::closed, {cut_seen}));
  }
  scenario.reaches.push_back({.counter = "ends_with_pending", .at_least = 2});
  return scenario;
}

}  // namespace

const Suite& peer_reset_suite() {
  static const Suite suite{.name = "peer_reset",
                           .sentence = "the peer resets, or ends without close_notify, while ops are outstanding",
                           .unfit = fits,
                           .make = make};
  return suite;
}

}  // namespace rig
