#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("echo_one_loop", cell, size, seed);
  scenario.settings.one_loop = true;
  echo_load(scenario, Verb::echo);
  return scenario;
}

}  // namespace

const Suite& echo_one_loop_suite() {
  static const Suite suite{
      .name = "echo_one_loop",
      .sentence = "client and server live on one loop, and the server echoes from inside its data callback",
      .unfit = fits,
      .make = make};
  return suite;
}

}  // namespace rig
