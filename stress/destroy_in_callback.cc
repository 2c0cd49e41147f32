#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("destroy_in_callback", cell, size, seed);
  // Each connection destroys in another callback; 5 destroys 6; on 7 and 8 the server does it.
  scenario.settings.connections = 9;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  const auto destroy_at = [&scenario](Side side, std::uint32_t connection, Event event, std::uint32_t nth) {
    scenario.reactions.push_back(when(side, connection, event, Verb::destroy, nth));
  };
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo));
  destroy_at(Side::client, 0, Event::connected, 1);
  destroy_at(Side::client, 1, Event::data, 1);
  destroy_at(Side::client, 2, Event::sent, size == Size::tiny ? 2 : 3);
  destroy_at(Side::client, 3, Event::ended, 1);
  destroy_at(Side::client, 4, Event::closed, 1);
  scenario.reactions.push_back(when(Side::client, 5, Event::data, Verb::destroy_other, 1));
  destroy_at(Side::server, 7, Event::accepted, 1);
  destroy_at(Side::server, 8, Event::data, 1);
  scenario.reactions.push_back(when(Side::server, 0, Event::accepted, Verb::stop_listening));
  const std::uint64_t ops = by_size(size, 3, 20, 200);
  for (std::uint32_t connection = 0; connection < 9; ++connection) {
    std::vector<Step> steps{connect(), await(Condition::connected), send_more(ops, 600)};
    if (connection == 3) {
      scenario.threads.push_back(on_loop(Side::server, 3, {await(Condition::connected), act(Verb::half_close)}));
    }
    steps.push_back(connection == 4 ? act(Verb::close_graceful) : await(Condition::sent));
    if (connection == 4 || connection == 3) {
      steps.push_back(await(Condition::closed));
    } else if (connection != 6) {
      steps.push_back(await(Condition::received));
    }
    scenario.threads.push_back(on_loop(Side::client, connection, steps));
  }
  const std::vector<std::optional<Code>> any_end{std::nullopt, Code::aborted, Code::reset, Code::truncated};
  for (const Side side : {Side::client, Side::server}) {
    for (const Event event : {Event::connected, Event::closed}) {
      scenario.expectations.push_back(expect(side, {}, event, any_end));
    }
  }
  scenario.reaches.push_back({.counter = "destroyed_itself", .at_least = 6});
  return scenario;
}

}  // namespace

const Suite& destroy_in_callback_suite() {
  static const Suite suite{.name = "destroy_in_callback",
                           .sentence = "every callback destroys its own socket, or another one of the same loop",
                           .unfit = fits,
                           .make = make};
  return suite;
}

}  // namespace rig
