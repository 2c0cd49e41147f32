#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("close_with_pending", cell, size, seed);
  // 0 and 1 close gracefully, 2 and 3 abort; 0 and 2 on their loop, 1 and 3 from another thread. The server reads only
  // when the close has been asked for.
  scenario.settings.connections = 4;
  tight(scenario);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.reactions.push_back(when(Side::server, {}, Event::accepted, Verb::pause));
  const std::uint64_t ops = by_size(size, 16, 64, 200);
  const std::uint64_t bytes = op_bytes(size);
  for (std::uint32_t connection = 0; connection < 4; ++connection) {
    const Verb close = connection < 2 ? Verb::close_graceful : Verb::close_abort;
    const std::vector<Step> closing{await(Condition::connected),
                                    await(Condition::established),
                                    send(ops, bytes, bytes),
                                    await(Condition::pending, 1),
                                    act(close),
                                    align(connection),
                                    await(Condition::closed),
                                    await(Condition::peer_closed)};
    if (connection % 2 == 0) {
      std::vector<Step> steps{connect()};
      steps.insert(steps.end(), closing.begin(), closing.end());
      scenario.threads.push_back(on_loop(Side::client, connection, steps));
    } else {
      scenario.threads.push_back(on_loop(Side::client, connection, {connect()}));
      scenario.threads.push_back(beside(Side::client, connection, closing));
    }
    scenario.threads.push_back(on_loop(Side::server, connection, {align(connection), act(Verb::resume)}));
    if (connection >= 2) {
      scenario.expectations.push_back(expect(Side::client, connection, Event::closed, {Code::aborted}));
      scenario.expectations.push_back(
          expect(Side::server, connection, Event::closed, {Code::reset, Code::truncated, std::nullopt}));
    }
  }
  scenario.reaches.push_back({.counter = "closes_with_pending", .at_least = 4});
  return scenario;
}

}  // namespace

const Suite& close_with_pending_suite() {
  static const Suite suite{
      .name = "close_with_pending",
      .sentence =
          "a socket with ops pending is closed: gracefully and by abort, on its own loop and from another thread",
      .unfit = needs_pause,
      .make = make};
  return suite;
}

}  // namespace rig
