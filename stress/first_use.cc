#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("first_use", cell, size, seed);
  const std::uint64_t ops = by_size(size, 2, 5, 20);
  scenario.settings.connections = 4;
  scenario.settings.loop_per_client = true;
  scenario.settings.fresh_process = true;
  // The contexts were made side by side; what a library makes with its first session is raced for as well.
  scenario.threads.push_back(
      on_loop(Side::client, {},
              {align(0), connect(), await(Condition::connected), send(ops, 512, 512), await(Condition::sent)}));
  scenario.reaches.push_back({.counter = "connected", .at_least = 8});
  return scenario;
}

}  // namespace

const Suite& first_use_suite() {
  static const Suite suite{.name = "first_use",
                           .sentence = "in a process of its own, threads race into the first use of the libraries",
                           .unfit = needs_tls,
                           .make = make};
  return suite;
}

}  // namespace rig
