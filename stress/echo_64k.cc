#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// The sizes at which layers break: one byte, around a record, around 16 bits, and far beyond every buffer.
std::vector<Step> echo_steps(Size size) {
  std::vector<Step> steps{connect(), await(Condition::connected)};
  std::vector<std::uint64_t> sizes{1, 16383, 16384, 16385};
  if (size != Size::tiny) {
    sizes.insert(sizes.end(), {65535, 65536, 65537, 4 * 1024 * 1024});
  }
  for (const std::uint64_t bytes : sizes) {
    steps.push_back(send(1, bytes, bytes));
    steps.push_back(await(Condition::received));
  }
  steps.push_back(await(Condition::sent));
  return steps;
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("echo_64k", cell, size, seed);
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo));
  scenario.threads.push_back(on_loop(Side::client, {}, echo_steps(size)));
  scenario.reaches.push_back({.counter = "bytes", .at_least = 2 * 16384});
  demand_async(scenario);
  return scenario;
}

}  // namespace

const Suite& echo_64k_suite() {
  static const Suite suite{
      .name = "echo_64k",
      .sentence = "the server echoes from inside its data callback, byte for byte, at the sizes where layers break",
      .unfit = fits,
      .make = make};
  return suite;
}

}  // namespace rig
