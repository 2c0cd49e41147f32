// A scenario from a file that a person named.
#pragma once

#include <expected>
#include <string>

#include "harness/cli/options.h"
#include "harness/scenario/scenario.h"

namespace rig::cli {

// read_scenario reads the scenario of a file. Refusals (wrong usage): a file that cannot be read, with the system's
// words; a text that is no scenario, with line and column.
std::expected<Scenario, Refusal> read_scenario(const std::string& path);

}  // namespace rig::cli
