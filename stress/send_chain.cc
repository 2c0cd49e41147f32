#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// Each completion sends the next op: a layer that completes inside of send, or that goes one call deeper for each op,
// runs out of stack.
Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("send_chain", cell, size, seed);
  const std::uint64_t links = by_size(size, 60, 2'000, 10'000);
  scenario.settings.says = links;
  scenario.reactions.push_back(when(Side::client, {}, Event::sent, Verb::say));
  scenario.threads.push_back(on_loop(Side::client, {},
                                     {connect(), await(Condition::connected), send(1, 64, 64),
                                      await(Condition::sent, links + 1), act(Verb::close_graceful)}));
  scenario.reaches.push_back({.counter = "said", .at_least = links});
  demand_async(scenario);
  return scenario;
}

std::optional<std::string> unfit(const Cell& cell, const Abilities&) {
  return cell.fast_track ? std::optional<std::string>("an op that completes at once has no callback to send from")
                         : std::nullopt;
}

}  // namespace

const Suite& send_chain_suite() {
  static const Suite suite{.name = "send_chain",
                           .sentence = "thousands of ops, each sent from inside the completion of the one before",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
