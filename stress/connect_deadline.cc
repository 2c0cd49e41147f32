#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// Whichever of the two deadlines comes first ends it; the other one is far away.
Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("connect_deadline", cell, size, seed);
  const std::uint32_t connections = by_size(size, 2, 3, 5);
  constexpr std::uint64_t far_us = 20'000'000;
  const std::uint64_t near_us = cell.world == World::lab ? 30'000 : 100'000;
  const bool by_connect = seed % 2 != 0;
  scenario.settings.peer = Peer::deaf;
  scenario.settings.connect_timeout_us = by_connect ? near_us : far_us;
  scenario.settings.handshake_timeout_us = by_connect ? far_us : near_us;
  nobody_answers(scenario, connections, Code::timeout);
  return scenario;
}

}  // namespace

const Suite& connect_deadline_suite() {
  static const Suite suite{.name = "connect_deadline",
                           .sentence = "nobody accepts, and the system answers nothing: the deadline ends it, once",
                           .unfit = fits,
                           .make = make};
  return suite;
}

}  // namespace rig
