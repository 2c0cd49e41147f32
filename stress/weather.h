// Weather: what the lab's kernel does to a case besides its schedule.
#pragma once

#include <cstdint>

#include "harness/scenario/scenario.h"

namespace rig {

// Weather is calm: what it must. strict: calls are cut short and interrupted as Linux does it, where the seed says so.
// adversarial: also what only POSIX allows (errno noise, spurious readiness, a call that is interrupted though it would
// not wait, a connect that is done at once). by_seed:
// each of them in turn.
enum class Weather : std::uint8_t { by_seed, calm, strict, adversarial };

// set_weather gives a scenario for the lab random faults, unless its suite has chosen the faults or the schedule
// itself, or means its handshakes to meet a deadline: weather costs time. An alert has one try, so where the peer is to
// be told by one, no send would block that need not.
void set_weather(Weather weather, Scenario& scenario);

}  // namespace rig
