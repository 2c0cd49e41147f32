#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// A known report: N-1 of N echoes arrive with synchronous sends, and all of them once a print is added.
std::vector<Step> load_steps(Size size) {
  std::vector<Step> steps{connect(), await(Condition::connected)};
  for (const std::uint64_t ops : size == Size::tiny    ? std::vector<std::uint64_t>{30}
                                 : size == Size::quick ? std::vector<std::uint64_t>{100, 200}
                                                       : std::vector<std::uint64_t>{100, 200, 10'000}) {
    steps.push_back(send(ops, 512, 512));
    steps.push_back(await(Condition::received));
  }
  steps.push_back(await(Condition::sent));
  return steps;
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("echo_elsewhere", cell, size, seed);
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo_elsewhere));
  scenario.threads.push_back(on_loop(Side::client, {}, load_steps(size)));
  scenario.reaches.push_back({.counter = "bytes", .at_least = by_size(size, 30, 300, 10'300) * 512 * 2});
  demand_async(scenario);
  return scenario;
}

}  // namespace

const Suite& echo_elsewhere_suite() {
  static const Suite suite{.name = "echo_elsewhere",
                           .sentence = "the server echoes from a thread that is not its loop's",
                           .unfit = needs_threads,
                           .make = make};
  return suite;
}

}  // namespace rig
