#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("echo_messages", cell, size, seed);
  echo_load(scenario, Verb::echo);
  return scenario;
}

}  // namespace

const Suite& echo_messages_suite() {
  static const Suite suite{
      .name = "echo_messages",
      .sentence = "the server echoes hundreds of small messages from inside its data callback, on another loop",
      .unfit = fits,
      .make = make};
  return suite;
}

}  // namespace rig
