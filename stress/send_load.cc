#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("send_load", cell, size, seed);
  const std::uint64_t ops = by_size(size, 60, 300, 10'000);
  scenario.threads.push_back(
      on_loop(Side::client, {},
              {connect(), await(Condition::connected), send(ops, 0, size_max(size)), await(Condition::sent)}));
  scenario.reaches.push_back({.counter = "ops", .at_least = ops});
  demand_async(scenario);
  return scenario;
}

}  // namespace

const Suite& send_load_suite() {
  static const Suite suite{
      .name = "send_load",
      .sentence = "one side sends ops of every size, from nothing to beyond 64 KiB, and each completion is verified",
      .unfit = fits,
      .make = make};
  return suite;
}

}  // namespace rig
