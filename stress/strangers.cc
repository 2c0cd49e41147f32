#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("strangers", cell, size, seed);
  const std::uint32_t connections = by_size(size, 2, 10, 100);
  const bool certificates = cell.auth == Auth::certificate;
  scenario.settings.strangers = true;
  scenario.settings.connections = connections;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.threads.push_back(on_loop(
      Side::client, {}, {connect(), send(2, 512, 512), await(Condition::closed), await(Condition::peer_closed)}));
  // The side that judges says what it thinks; the other is told by an alert, if that is not overtaken by a reset, and
  // if it can be read already.
  const Side judge = certificates ? Side::client : Side::server;
  const Side judged = certificates ? Side::server : Side::client;
  for (const Event event : {Event::connected, Event::closed}) {
    scenario.expectations.push_back(
        expect(judge, {}, event, {certificates ? Code::verification_failed : Code::handshake_failed}));
    scenario.expectations.push_back(expect(judged, {}, event, {Code::peer_alert, Code::handshake_failed, Code::reset}));
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = std::uint64_t{connections} * 2});
  return scenario;
}

}  // namespace

const Suite& strangers_suite() {
  static const Suite suite{.name = "strangers",
                           .sentence =
                               "the client trusts another authority, or has another key, than the server: "
                               "every handshake fails, and neither side takes that for something else",
                           .unfit = needs_tls,
                           .make = make};
  return suite;
}

}  // namespace rig
