#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// From 0, which is no error and then a connection's own (Run::open); across 1023, the last that select takes; across 16
// bits; and far beyond.
constexpr std::uint32_t first_descriptors[] = {0, 1'010, 65'526, 70'000};

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return cell.poller == PollerChoice::select ? std::optional<std::string>("select takes no descriptor above 1023")
                                             : needs_lab(cell, abilities);
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("descriptor_numbers", cell, size, seed);
  scenario.lab.first_descriptor = first_descriptors[pick(cell, seed, std::size(first_descriptors))];
  // The second half begins where the first has given its numbers back.
  constexpr std::uint32_t half = 3;
  scenario.settings.connections = 2 * half;
  const std::uint64_t ops = by_size(size, 3, 20, 100);
  const std::uint64_t most = by_size(size, 4096, size_max(size), size_max(size));
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo));
  for (std::uint32_t connection = 0; connection < half; ++connection) {
    scenario.threads.push_back(
        on_loop(Side::client, connection,
                {connect(), await(Condition::connected), send(ops, 0, most), await(Condition::received),
                 act(Verb::close_graceful), await(Condition::closed), await(Condition::peer_closed), align(0)}));
    scenario.threads.push_back(
        on_loop(Side::client, half + connection,
                {align(0), connect(), await(Condition::connected), send(ops, 0, most), await(Condition::received)}));
  }
  scenario.reaches.push_back({.counter = "connected", .at_least = 4 * half});
  scenario.reaches.push_back({.counter = "ops", .at_least = 2 * half * ops});
  return scenario;
}

}  // namespace

const Suite& descriptor_numbers_suite() {
  static const Suite suite{.name = "descriptor_numbers",
                           .sentence = "descriptors are numbered from 0, across 1023, across 16 bits and far beyond",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
