#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("echo_elsewhere", cell, size, seed);
  echo_load(scenario, Verb::echo_elsewhere);
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
