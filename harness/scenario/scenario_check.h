// Whether a scenario means something: the grammar of texts lets through what no run could do.
#pragma once

#include <optional>
#include <string>

#include "harness/scenario/scenario.h"

namespace rig {

// check_scenario says in one sentence what makes `scenario` impossible to run as it is written, and where (threads,
// reactions and expectations count from 0, steps from 1, as in a stall report); nothing if it can be run. A thread on a
// connection that does not exist, an await of what nobody brings about, a relay's step without a relay: such a run
// would hang, or pass without having done what was asked. What only the subject knows (its libraries, its pollers) is
// not looked at: that is a skip. Whether the situation is reached is not either: that is vacuous.
std::optional<std::string> check_scenario(const Scenario& scenario);

}  // namespace rig
