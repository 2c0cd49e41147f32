#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("paused_reader", cell, size, seed);
  const std::uint64_t ops = by_size(size, 60, 400, 4'000);
  const std::uint64_t outstanding = by_size(size, 20, 200, 300);
  tight(scenario);
  scenario.reactions.push_back(when(Side::server, {}, Event::accepted, Verb::pause));
  scenario.threads.push_back(on_loop(Side::client, {},
                                     {connect(), await(Condition::connected), send(ops, 4096, 4096),
                                      await(Condition::pending, outstanding), align(0), await(Condition::sent)}));
  scenario.threads.push_back(on_loop(Side::server, {}, {align(0), act(Verb::resume), await(Condition::received)}));
  scenario.reaches.push_back({.counter = "pending_seen", .at_least = outstanding});
  return scenario;
}

}  // namespace

const Suite& paused_reader_suite() {
  static const Suite suite{
      .name = "paused_reader",
      .sentence = "the server stops reading while hundreds of ops are outstanding, and starts again",
      .unfit = needs_pause,
      .make = make};
  return suite;
}

}  // namespace rig
