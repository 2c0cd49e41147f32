#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// A sender that takes no end meets a reader that has stopped: what is queued stays bounded, the sender is refused, and
// when the reader goes on everything arrives.
Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("endless_sender", cell, size, seed);
  tight(scenario);
  const std::uint64_t bytes = op_bytes(size);
  scenario.settings.queue_ops = static_cast<std::uint32_t>(by_size(size, 8, 16, 64));
  scenario.settings.queue_bytes = scenario.settings.queue_ops * bytes;
  scenario.reactions.push_back(when(Side::server, {}, Event::accepted, Verb::pause));
  scenario.threads.push_back(on_loop(Side::client, {},
                                     {connect(), await(Condition::connected),
                                      send(by_size(size, 56, 200, 5'000), bytes, bytes), await(Condition::sent)}));
  scenario.threads.push_back(
      on_loop(Side::client, {},
              {await(Condition::connected), await(Condition::pending, scenario.settings.queue_ops), align(1)}));
  scenario.threads.push_back(on_loop(Side::server, {}, {align(1), act(Verb::resume), await(Condition::received)}));
  scenario.reaches.push_back({.counter = "sends_refused", .at_least = 1});
  scenario.reaches.push_back({.counter = "writable_events", .at_least = 1});
  return scenario;
}

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return both(abilities, RIG_CAN_LIMIT_QUEUE) ? needs_pause(cell, abilities)
                                              : std::optional<std::string>("its queue has no limit");
}

}  // namespace

const Suite& endless_sender_suite() {
  static const Suite suite{.name = "endless_sender",
                           .sentence = "a sender without end and a reader that has stopped: the queue stays bounded",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
