#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  if (cell.tls != TlsChoice::tls13) {
    return "key updates are a thing of TLS 1.3";
  }
  if (!both(abilities, RIG_CAN_UPDATE_KEYS)) {
    return "keys cannot be updated by " + cell.client + "~" + cell.server;
  }
  return std::nullopt;
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("update_keys", cell, size, seed);
  const std::uint64_t ops = by_size(size, 8, 60, 1'000);
  const std::vector<Step> load{
      await(Condition::connected), await(Condition::established), send(ops, 0, size_max(size)),
      act(Verb::update_keys),      send(ops, 0, size_max(size)),  act(Verb::update_keys),
      send(ops, 0, 512),           await(Condition::sent),        await(Condition::key_updates, 2)};
  std::vector<Step> client{connect()};
  client.insert(client.end(), load.begin(), load.end());
  scenario.threads.push_back(on_loop(Side::client, {}, client));
  scenario.threads.push_back(on_loop(Side::server, {}, load));
  scenario.reaches.push_back({.counter = "key_updates_in", .at_least = 2});
  scenario.reaches.push_back({.counter = "key_updates_out", .at_least = 2});
  return scenario;
}

}  // namespace

const Suite& update_keys_suite() {
  static const Suite suite{.name = "update_keys",
                           .sentence = "both sides update their keys in the middle of a load in both directions",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
