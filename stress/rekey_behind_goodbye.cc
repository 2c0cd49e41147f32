#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_key_updates(cell, abilities), needs_pause(cell, abilities)});
}

// The server hears nothing while the client says goodbye, and asks for new keys: the library of the client is to
// answer behind its own close_notify, and cannot. On connection 1 it is the other way round.
Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("rekey_behind_goodbye", cell, size, seed);
  const std::uint64_t ops = by_size(size, 4, 20, 100);
  scenario.settings.connections = 2;
  for (std::uint32_t connection = 0; connection < scenario.settings.connections; ++connection) {
    const Side leaver = connection == 0 ? Side::client : Side::server;
    const Side asker = connection == 0 ? Side::server : Side::client;
    const std::uint64_t deaf = 2 * connection;
    const std::uint64_t gone = deaf + 1;
    scenario.reactions.push_back(when(asker, connection, Event::connected, Verb::pause));
    const auto steps_of = [&](Side side) {
      std::vector<Step> steps{await(Condition::connected), await(Condition::established), align(deaf)};
      if (side == Side::client) {
        steps.insert(steps.begin(), connect());
      }
      const std::vector<Step> rest =
          side == leaver
              ? std::vector<Step>{send(ops, 0, 512), act(Verb::close_graceful), align(gone), await(Condition::closed)}
              : std::vector<Step>{align(gone), act(Verb::update_keys), act(Verb::resume), await(Condition::ended),
                                  act(Verb::close_graceful)};
      steps.insert(steps.end(), rest.begin(), rest.end());
      return on_loop(side, connection, steps);
    };
    scenario.threads.push_back(steps_of(Side::client));
    scenario.threads.push_back(steps_of(Side::server));
  }
  scenario.reaches.push_back({.counter = "ended", .at_least = scenario.settings.connections});
  return scenario;
}

}  // namespace

const Suite& rekey_behind_goodbye_suite() {
  static const Suite suite{.name = "rekey_behind_goodbye",
                           .sentence = "new keys are asked of a side that has said its goodbye already",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
