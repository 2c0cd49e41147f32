#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("bidir", cell, size, seed);
  const std::uint64_t ops = by_size(size, 30, 150, 5'000);
  const std::vector<Step> load{await(Condition::connected), send(ops, 0, size_max(size)), await(Condition::sent)};
  std::vector<Step> client{connect()};
  client.insert(client.end(), load.begin(), load.end());
  scenario.threads.push_back(on_loop(Side::client, {}, client));
  scenario.threads.push_back(on_loop(Side::server, {}, load));
  scenario.reaches.push_back({.counter = "ops", .at_least = 2 * ops});
  demand_async(scenario);
  return scenario;
}

}  // namespace

const Suite& bidir_suite() {
  static const Suite suite{.name = "bidir",
                           .sentence = "both sides send at the same time, without waiting for each other",
                           .unfit = fits,
                           .make = make};
  return suite;
}

}  // namespace rig
