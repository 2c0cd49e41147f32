// An arbitrary Scenario, for property tests: any value within TextLimits that can be run.
#pragma once

#include <rapidcheck.h>

#include <iosfwd>

#include "harness/scenario/scenario.h"

namespace rig {

// arbitrary_scenario generates scenarios in which every member takes every value that it can have.
rc::Gen<Scenario> arbitrary_scenario();

// showValue lets rapidcheck print a counterexample as a text.
void showValue(const Scenario& scenario, std::ostream& out);

}  // namespace rig
