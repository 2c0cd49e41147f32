// Failures: how one verdict that is not green is shown and kept.
#pragma once

#include <string>

#include "harness/cli/children.h"
#include "harness/cli/progress.h"
#include "harness/scenario/scenario.h"

namespace rig::cli {

// keep_failure writes the scenario (NAME.scn) and what the process said (NAME.log, if it said anything) into `folder`,
// and puts the line that runs it again into Verdict::repro. Errors: refused_by_system.
Status keep_failure(Finished& finished, const Scenario& scenario, const std::string& folder);

// show_verdict writes what was judged: one line, the first violations, the end of the output, the line that runs it
// again.
void show_verdict(Progress& progress, const Finished& finished);

}  // namespace rig::cli
