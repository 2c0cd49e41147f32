#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// While a server does not read, its clients send more than a layer may read from one socket before the others of the
// loop have their turn. Then it reads on, from all of them at once. The clients' own buffers are small: what was sent
// lies on the server's side.
Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("deep_backlogs", cell, size, seed);
  const std::uint64_t ops = by_size(size, 17, 17, 48);
  constexpr std::uint64_t bytes = 65536;
  constexpr std::uint32_t connections = 2;
  scenario.settings.connections = connections;
  scenario.settings.kernel_send_bytes = bytes;
  scenario.settings.kernel_recv_bytes = 2 * ops * bytes;
  scenario.reactions.push_back(when(Side::server, {}, Event::accepted, Verb::pause));
  scenario.threads.push_back(
      on_loop(Side::client, {},
              {connect(), await(Condition::connected), send(ops, bytes, bytes), await(Condition::sent), align(0)}));
  scenario.threads.push_back(on_loop(Side::server, {}, {align(0), act(Verb::resume), await(Condition::received)}));
  scenario.reaches.push_back({.counter = "unread_at_resume", .at_least = connections * ops * bytes});
  return scenario;
}

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_lab(cell, abilities), needs_pause(cell, abilities)});
}

}  // namespace

const Suite& deep_backlogs_suite() {
  static const Suite suite{
      .name = "deep_backlogs",
      .sentence = "more than a megabyte lies unread at each of two sockets of a loop, which are then read side by side",
      .unfit = unfit,
      .make = make,
      .has_tiny = false};
  return suite;
}

}  // namespace rig
