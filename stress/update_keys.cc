#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_key_updates(cell, abilities), needs_pause(cell, abilities)});
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("update_keys", cell, size, seed);
  // Neither side reads until both have updated twice, each time behind ops that the other's buffers have no room for.
  // Every other seed has ops of which two are more than a layer encrypts ahead: the verb meets one that is partly done.
  const bool large = size != Size::tiny && pick(cell, seed, 2) == 0;
  const std::uint64_t ops_queued = by_size(size, 16, large ? 6 : 60, large ? 60 : 1'000);
  const std::uint64_t bytes_queued = large ? larger_than_a_lane : op_bytes(size);
  const std::uint64_t ops_after = by_size(size, 8, 60, 1'000);
  const std::uint64_t bytes = op_bytes(size);
  tight(scenario);
  for (const Side side : {Side::client, Side::server}) {
    scenario.reactions.push_back(when(side, {}, Event::connected, Verb::pause));
  }
  const std::vector<Step> load{await(Condition::connected),
                               await(Condition::established),
                               send(ops_queued, bytes_queued, bytes_queued),
                               await(Condition::pending, 1),
                               align(0),
                               act(Verb::update_keys),
                               send(ops_after, 0, bytes),
                               act(Verb::update_keys),
                               align(1),
                               act(Verb::resume),
                               send(ops_after, 0, by_size(size, 512, size_max(size), size_max(size))),
                               await(Condition::sent),
                               await(Condition::key_updates, 2)};
  std::vector<Step> client{connect()};
  client.insert(client.end(), load.begin(), load.end());
  scenario.threads.push_back(on_loop(Side::client, {}, client));
  scenario.threads.push_back(on_loop(Side::server, {}, load));
  scenario.reaches.push_back({.counter = "rekeys_with_pending", .at_least = 4});
  scenario.reaches.push_back({.counter = "peer_rekeys_with_pending", .at_least = 4});
  scenario.reaches.push_back({.counter = "key_updated_ends", .at_least = 2});
  return scenario;
}

}  // namespace

const Suite& update_keys_suite() {
  static const Suite suite{.name = "update_keys",
                           .sentence = "both sides update their keys under queued sends of both",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
