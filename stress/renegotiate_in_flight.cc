#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  if (cell.tls != TlsChoice::tls12) {
    return "renegotiation is a thing of TLS 1.2";
  }
  if ((abilities.client & RIG_CAN_RENEGOTIATE_AS_CLIENT) == 0) {
    return cell.client + " cannot start a renegotiation as a client";
  }
  if ((abilities.server & RIG_CAN_RENEGOTIATE_AS_SERVER) == 0) {
    return cell.server + " cannot start a renegotiation as a server";
  }
  if (!both(abilities, RIG_CAN_RENEGOTIATE_IN_FLIGHT)) {
    return "renegotiation with data under way is not supported by " + cell.client + "~" + cell.server;
  }
  return std::nullopt;
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("renegotiate_in_flight", cell, size, seed);
  // Connection 0 is renegotiated by the client, connection 1 by the server, each in the middle of its own load.
  const std::uint64_t ops = by_size(size, 8, 60, 1'000);
  const std::uint64_t largest = op_bytes(size);
  scenario.settings.connections = 2;
  scenario.settings.renegotiation = true;
  for (std::uint32_t connection = 0; connection < 2; ++connection) {
    const std::vector<Step> load{await(Condition::connected), await(Condition::established), send(ops, 512, largest)};
    std::vector<Step> starter = load;
    starter.insert(starter.end(), {act(Verb::renegotiate), send(ops, 512, largest), await(Condition::sent),
                                   await(Condition::handshakes, 2)});
    std::vector<Step> other = load;
    other.insert(other.end(), {send(ops, 512, largest), await(Condition::sent), await(Condition::handshakes, 2)});
    std::vector<Step>& client = connection == 0 ? starter : other;
    client.insert(client.begin(), connect());
    scenario.threads.push_back(on_loop(Side::client, connection, client));
    scenario.threads.push_back(on_loop(Side::server, connection, connection == 0 ? other : starter));
  }
  scenario.reaches.push_back({.counter = "renegotiated_ends", .at_least = 4});
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
