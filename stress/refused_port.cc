#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("refused_port", cell, size, seed);
  scenario.settings.peer = Peer::nobody;
  nobody_answers(scenario, 3, Code::refused);
  return scenario;
}

}  // namespace

const Suite& refused_port_suite() {
  static const Suite suite{.name = "refused_port",
                           .sentence = "nobody listens at the port: each connection is refused, once",
                           .unfit = fits,
                           .make = make};
  return suite;
}

}  // namespace rig
