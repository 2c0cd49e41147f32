#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("renegotiate_quiescent", cell, size, seed);
  // Connection 0 is renegotiated by the client, connection 1 by the server.
  const std::uint64_t ops = by_size(size, 8, 40, 500);
  const std::uint64_t bytes = ops * 512;
  scenario.settings.connections = 2;
  scenario.settings.renegotiation = true;
  scenario.threads.push_back(on_loop(Side::client, 0,
                                     {connect(), await(Condition::connected), await(Condition::established),
                                      send(ops, 512, 512), await(Condition::sent), align(0), act(Verb::renegotiate),
                                      await(Condition::handshakes, 2), send(ops, 512, 512), await(Condition::sent)}));
  scenario.threads.push_back(
      on_loop(Side::server, 0, {await(Condition::received, bytes), align(0), await(Condition::handshakes, 2)}));
  scenario.threads.push_back(
      on_loop(Side::client, 1,
              {connect(), await(Condition::connected), send(ops, 512, 512), await(Condition::sent),
               await(Condition::handshakes, 2), send(ops, 512, 512), await(Condition::sent)}));
  scenario.threads.push_back(on_loop(
      Side::server, 1, {await(Condition::received, bytes), act(Verb::renegotiate), await(Condition::handshakes, 2)}));
  scenario.reaches.push_back({.counter = "renegotiated_ends", .at_least = 4});
  return scenario;
}

}  // namespace

const Suite& renegotiate_quiescent_suite() {
  static const Suite suite{
      .name = "renegotiate_quiescent",
      .sentence = "either side renegotiates while nothing is under way, and traffic goes on afterwards",
      .unfit = needs_renegotiation,
      .make = make};
  return suite;
}

}  // namespace rig
