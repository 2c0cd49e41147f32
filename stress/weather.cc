#include "stress/weather.h"

#include <iterator>

namespace rig {

void set_weather(Weather weather, Scenario& scenario) {
  constexpr Weather turns[] = {Weather::adversarial, Weather::calm, Weather::strict};
  if (scenario.cell.world != World::lab || scenario.memory_may_fail || !scenario.lab.faults.empty() ||
      scenario.lab.policy != lab::PolicyKind::by_seed || scenario.settings.handshake_timeout_us != 0) {
    return;
  }
  Weather chosen = weather == Weather::by_seed ? turns[scenario.seed % std::size(turns)] : weather;
  if (chosen == Weather::adversarial && scenario.settings.strangers) {
    chosen = Weather::strict;
  }
  scenario.lab.random_faults = chosen != Weather::calm;
  scenario.lab.profile = chosen == Weather::adversarial ? lab::Profile::adversarial : lab::Profile::strict;
}

}  // namespace rig
