#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_renegotiation_in_flight(cell, abilities), needs_pause(cell, abilities)});
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("renegotiate_in_flight", cell, size, seed);
  // Connection 0 is renegotiated by the client, connection 1 by the server; a tiny one has room for one of them, by the
  // seed. Neither side reads before both have ops that the other's buffers have no room for, so that the handshake has
  // to pass two queues; then more ops follow.
  // Every other seed has ops of which two are more than a layer encrypts ahead: the verb meets one that is partly done.
  const bool large = size != Size::tiny && pick(cell, seed, 2) == 0;
  const std::uint64_t ops_queued = by_size(size, 28, large ? 6 : 60, large ? 60 : 1'000);
  const std::uint64_t bytes_queued = large ? larger_than_a_lane : op_bytes(size);
  const std::uint64_t ops_after = by_size(size, 4, 60, 1'000);
  const std::uint64_t bytes = op_bytes(size);
  const bool tiny = size == Size::tiny;
  const std::uint32_t connections = tiny ? 1 : 2;
  scenario.settings.connections = connections;
  scenario.settings.renegotiation = true;
  tight(scenario);
  for (const Side side : {Side::client, Side::server}) {
    scenario.reactions.push_back(when(side, {}, Event::connected, Verb::pause));
  }
  for (std::uint32_t connection = 0; connection < connections; ++connection) {
    const Side starter = (connection + (tiny ? seed : 0)) % 2 == 0 ? Side::client : Side::server;
    const std::uint64_t queued = 2 * connection;
    const std::uint64_t asked = queued + 1;
    const std::vector<Step> fill{await(Condition::connected), await(Condition::established),
                                 send(ops_queued, bytes_queued, bytes_queued), await(Condition::pending, 1),
                                 align(queued)};
    const std::vector<Step> rest{align(asked), act(Verb::resume), send(ops_after, 1, bytes), await(Condition::sent),
                                 await(Condition::handshakes, 2)};
    const auto side_of = [&](Side side) {
      std::vector<Step> steps = fill;
      if (side == Side::client) {
        steps.insert(steps.begin(), connect());
      }
      if (side == starter) {
        steps.push_back(act(Verb::renegotiate));
      }
      steps.insert(steps.end(), rest.begin(), rest.end());
      return on_loop(side, connection, steps);
    };
    scenario.threads.push_back(side_of(Side::client));
    scenario.threads.push_back(side_of(Side::server));
  }
  scenario.reaches.push_back({.counter = "rekeys_with_pending", .at_least = connections});
  scenario.reaches.push_back({.counter = "peer_rekeys_with_pending", .at_least = connections});
  scenario.reaches.push_back({.counter = "renegotiated_ends", .at_least = 2 * connections});
  return scenario;
}

}  // namespace

const Suite& renegotiate_in_flight_suite() {
  static const Suite suite{.name = "renegotiate_in_flight",
                           .sentence = "either side renegotiates under queued sends of both",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
