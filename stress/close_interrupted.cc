#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("close_interrupted", cell, size, seed);
  // The close deadline is far beyond the stall limit: a close that waits for it is a hang.
  scenario.settings.connections = 2;
  scenario.settings.relay = true;
  scenario.settings.close_timeout_us = 600'000'000;
  tight(scenario);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  const std::uint64_t ops = by_size(size, 32, 64, 200);
  const std::uint64_t bytes = op_bytes(size);
  for (std::uint32_t connection = 0; connection < 2; ++connection) {
    scenario.threads.push_back(
        on_loop(Side::client, connection,
                {connect(), await(Condition::connected), await(Condition::established), act(Verb::relay_stall),
                 send(ops, bytes, bytes), await(Condition::pending, 1), act(Verb::close_graceful),
                 act(connection == 0 ? Verb::relay_reset : Verb::relay_fin), await(Condition::closed),
                 await(Condition::peer_closed)}));
  }
  scenario.expectations.push_back(expect(Side::client, 0, Event::closed, {Code::reset}));
  scenario.expectations.push_back(expect(Side::server, 0, Event::closed, {Code::reset}));
  scenario.expectations.push_back(expect(Side::client, 1, Event::closed, {Code::truncated}));
  scenario.expectations.push_back(expect(Side::server, 1, Event::closed, {Code::truncated}));
  scenario.reaches.push_back({.counter = "closes_with_pending", .at_least = 2});
  return scenario;
}

}  // namespace

const Suite& close_interrupted_suite() {
  static const Suite suite{
      .name = "close_interrupted",
      .sentence =
          "a graceful close that waits for its flush meets a reset, or the peer's end of stream, and ends at once",
      .unfit = needs_tls,
      .make = make};
  return suite;
}

}  // namespace rig
