#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("plaintext_peer", cell, size, seed);
  scenario.settings.peer = Peer::plaintext;
  scenario.settings.connections = 2;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.threads.push_back(
      on_loop(Side::client, {}, {connect(), send(by_size(size, 2, 5, 20), 512, 512), await(Condition::closed)}));
  for (const Event event : {Event::connected, Event::closed}) {
    scenario.expectations.push_back(expect(Side::client, {}, event, {Code::protocol}));
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = 2});
  scenario.reaches.push_back({.counter = "plaintext_answers", .at_least = 2});
  return scenario;
}

}  // namespace

const Suite& plaintext_peer_suite() {
  static const Suite suite{.name = "plaintext_peer",
                           .sentence = "a client meets a server that answers in plain text",
                           .unfit = needs_tls,
                           .make = make};
  return suite;
}

}  // namespace rig
