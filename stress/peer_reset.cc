#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("peer_reset", cell, size, seed);
  // 0: reset; 1: FIN without close_notify; 2: the server half-closes, and the client goes on sending.
  scenario.settings.connections = 3;
  scenario.settings.relay = true;
  tight(scenario);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  const std::uint64_t ops = by_size(size, 23, 64, 200);
  const std::uint64_t ops_until_end = by_size(size, 16, 64, 200);
  const std::uint64_t ops_after_end = by_size(size, 2, 16, 50);
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
  // The server reads again only when its end has come to a client that still has ops pending.
  scenario.reactions.push_back(when(Side::server, 2, Event::accepted, Verb::pause));
  scenario.threads.push_back(
      on_loop(Side::client, 2,
              {connect(), await(Condition::connected), await(Condition::established), send(ops_until_end, bytes, bytes),
               await(Condition::pending, 1), align(2), await(Condition::ended), align(3),
               send(ops_after_end, bytes, bytes), await(Condition::sent)}));
  scenario.threads.push_back(
      on_loop(Side::server, 2,
              {await(Condition::connected), align(2), act(Verb::half_close), align(3), act(Verb::resume),
               await(Condition::received, (ops_until_end + ops_after_end) * bytes)}));
  for (const Side side : {Side::client, Side::server}) {
    scenario.expectations.push_back(expect(side, 0, Event::closed, {Code::reset}));
    scenario.expectations.push_back(expect(side, 1, Event::closed, {cut_seen}));
    scenario.expectations.push_back(expect(side, 2, Event::closed, {std::nullopt}));
  }
  // By default an end answers the peer's with a close of its own: here it has more to say.
  scenario.reactions.push_back(when(Side::client, 2, Event::ended, Verb::resume));
  scenario.reaches.push_back({.counter = "ends_with_pending", .at_least = 3});
  scenario.reaches.push_back({.counter = "ended_with_pending", .at_least = 1});
  return scenario;
}

}  // namespace

const Suite& peer_reset_suite() {
  static const Suite suite{
      .name = "peer_reset",
      .sentence = "the peer resets, ends without close_notify, or half-closes, while ops are outstanding",
      .unfit = needs_pause,
      .make = make};
  return suite;
}

}  // namespace rig
