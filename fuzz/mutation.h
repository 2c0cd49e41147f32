// Mutations of scenarios that know what a scenario is made of.
#pragma once

#include "harness/base/prng.h"
#include "harness/scenario/scenario.h"

namespace rig {

// mutate changes one to four things: a step, a thread, a reaction, a setting, the cell, a fault, a switch, the seed.
// What comes of it may be impossible to run (fitted() repairs it).
void mutate(Scenario& scenario, Prng& prng);

// crossed is `one` with parts of `other`: threads, reactions, faults or switches.
Scenario crossed(Scenario one, const Scenario& other, Prng& prng);

}  // namespace rig
