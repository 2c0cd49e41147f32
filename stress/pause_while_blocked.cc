#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("pause_while_blocked", cell, size, seed);
  // Both have filled the wire. One reads, while its own ops are still blocked; and then the other, in pieces.
  tight(scenario);
  const std::uint64_t ops = by_size(size, 23, 64, 200);
  const std::uint64_t bytes = op_bytes(size);
  for (const Side side : {Side::client, Side::server}) {
    scenario.reactions.push_back(when(side, {}, Event::connected, Verb::pause));
  }
  scenario.threads.push_back(
      on_loop(Side::client, {},
              {connect(), await(Condition::connected), await(Condition::established), send(ops, bytes, bytes),
               await(Condition::pending, 1), align(0), act(Verb::resume), await(Condition::received, bytes),
               act(Verb::pause), align(1), act(Verb::resume), await(Condition::received), await(Condition::pending, 1),
               align(2), await(Condition::sent)}));
  scenario.threads.push_back(
      on_loop(Side::server, {},
              {await(Condition::connected), send(ops, bytes, bytes), await(Condition::pending, 1), align(0), align(1),
               await(Condition::sent), align(2), act(Verb::resume), act(Verb::pause), act(Verb::resume),
               await(Condition::received, bytes), act(Verb::pause), act(Verb::resume), await(Condition::received)}));
  scenario.reaches.push_back({.counter = "ends_with_pending", .at_least = 2});
  return scenario;
}

}  // namespace

const Suite& pause_while_blocked_suite() {
  static const Suite suite{.name = "pause_while_blocked",
                           .sentence = "reading stops and goes on while writes of both sides are blocked",
                           .unfit = needs_pause,
                           .make = make};
  return suite;
}

}  // namespace rig
