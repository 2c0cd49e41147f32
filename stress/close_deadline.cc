#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// The run closes the server over what it has not read.
std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_close_over_input(cell, abilities), needs_pause(cell, abilities)});
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("close_deadline", cell, size, seed);
  scenario.settings.close_timeout_us = 30'000;
  tight(scenario);
  const std::uint64_t bytes = op_bytes(size);
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.reactions.push_back(when(Side::server, {}, Event::accepted, Verb::pause));
  scenario.threads.push_back(
      on_loop(Side::client, {},
              {connect(), await(Condition::connected), send(by_size(size, 32, 64, 200), bytes, bytes),
               await(Condition::pending, 1), act(Verb::close_graceful), await(Condition::closed)}));
  scenario.expectations.push_back(expect(Side::client, {}, Event::closed, {Code::aborted}));
  scenario.expectations.push_back(expect(Side::server, {}, Event::closed, {Code::reset}));
  scenario.reaches.push_back({.counter = "closes_with_pending", .at_least = 1});
  return scenario;
}

}  // namespace

const Suite& close_deadline_suite() {
  static const Suite suite{
      .name = "close_deadline",
      .sentence = "a graceful close whose peer reads nothing ends at its deadline, as aborted, once",
      .unfit = unfit,
      .make = make};
  return suite;
}

}  // namespace rig
