#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("refused_port", cell, size, seed);
  const std::uint32_t connections = 3;
  scenario.settings.peer = Peer::nobody;
  scenario.settings.connections = connections;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.threads.push_back(
      on_loop(Side::client, {}, {connect(), send(by_size(size, 2, 5, 20), 512, 512), await(Condition::closed)}));
  for (const Event event : {Event::connected, Event::closed}) {
    scenario.expectations.push_back(expect(Side::client, {}, event, {Code::refused}));
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = connections});
  return scenario;
}

}  // namespace

const Suite& refused_port_suite() {
  static const Suite suite{.name = "refused_port",
                           .sentence = "nobody listens at the port: each connection is refused, once",
                           .unfit = fits,
                           .make = make};
  return suite;
}

}  // namespace rig
