#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("threads_send_load", cell, size, seed);
  const std::uint64_t ops = by_size(size, 7, 50, 1'200);
  scenario.settings.connections = 3;
  scenario.threads.push_back(on_loop(Side::client, {}, {connect()}));
  scenario.threads.push_back(
      beside(Side::client, {},
             {await(Condition::connected), align(1), send(ops, 0, size_max(size)), await(Condition::sent)}, 3));
  scenario.reaches.push_back({.counter = "ops", .at_least = 9 * ops});
  demand_async(scenario);
  return scenario;
}

}  // namespace

const Suite& threads_send_load_suite() {
  static const Suite suite{
      .name = "threads_send_load",
      .sentence = "three clients, each with three threads that start to send on its one socket at the same moment",
      .unfit = needs_threads,
      .make = make};
  return suite;
}

}  // namespace rig
