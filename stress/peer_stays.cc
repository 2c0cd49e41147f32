#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_pause(cell, abilities), needs_close_over_input(cell, abilities)});
}

// A graceful close is over when the peer's system has everything; whether its application ever answers is not waited
// for (curl#4487 did, and hung).
Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("peer_stays", cell, size, seed);
  const std::uint32_t rounds = by_size(size, 1, 4, 25);
  scenario.settings.connections = rounds * 2;
  constexpr std::uint64_t ops = 3;
  const std::uint64_t bytes = op_bytes(size);
  for (std::uint32_t number = 0; number < rounds * 2; ++number) {
    const Side leaver = number % 2 == 0 ? Side::client : Side::server;
    const Side stayer = leaver == Side::client ? Side::server : Side::client;
    const std::vector<Step> talk{await(Condition::connected), await(Condition::established),
                                 send(ops, bytes, bytes),     await(Condition::received, ops * bytes),
                                 await(Condition::sent),      align(number)};
    for (const Side side : {Side::client, Side::server}) {
      std::vector<Step> steps;
      if (side == Side::client) {
        steps.push_back(connect());
      }
      steps.insert(steps.end(), talk.begin(), talk.end());
      if (side == leaver) {
        steps.insert(steps.end(), {act(Verb::close_graceful), await(Condition::closed)});
      } else {
        steps.insert(steps.end(), {await(Condition::ended), await(Condition::peer_closed)});
      }
      scenario.threads.push_back(on_loop(side, number, std::move(steps)));
    }
    // By default an end answers the peer's with a close of its own.
    scenario.reactions.push_back(when(stayer, number, Event::ended, Verb::resume));
    scenario.expectations.push_back(expect(leaver, number, Event::closed, {std::nullopt}));
  }
  scenario.reaches.push_back({.counter = "ended", .at_least = rounds * 2});
  return scenario;
}

}  // namespace

const Suite& peer_stays_suite() {
  static const Suite suite{.name = "peer_stays",
                           .sentence = "either side closes gracefully, and the other, which has heard it, does nothing",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
