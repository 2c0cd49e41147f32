#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("plaintext_caller", cell, size, seed);
  static_cast<void>(size);
  scenario.settings.peer = Peer::plaintext_client;
  scenario.settings.connections = 2;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.threads.push_back(on_loop(Side::server, {}, {await(Condition::closed)}));
  for (const Event event : {Event::connected, Event::closed}) {
    scenario.expectations.push_back(expect(Side::server, {}, event, {Code::protocol}));
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = 2});
  return scenario;
}

}  // namespace

const Suite& plaintext_caller_suite() {
  static const Suite suite{.name = "plaintext_caller",
                           .sentence = "a server meets a client that talks plain text",
                           .unfit = needs_tls,
                           .make = make};
  return suite;
}

}  // namespace rig
