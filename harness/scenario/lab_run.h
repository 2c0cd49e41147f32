// A scenario's run in the lab: what the lab is asked for, and what it came to.
#pragma once

#include <functional>
#include <string>

#include "harness/scenario/runner.h"
#include "harness/scenario/scenario.h"
#include "harness/scenario/verdict.h"

namespace rig {

// run_in_lab runs `body`, which fills `verdict`, under the lab's scheduler and on its virtual kernel, and adds to the
// verdict what the schedule was. A run that is stuck ends in RunOptions::stuck, with what `stall_report` says of it (it
// is asked outside of the lab, while all threads of the run stand still). If the scenario says what an earlier run came
// to, one that comes to something else has failed: it has diverged.
void run_in_lab(const Scenario& scenario, const RunOptions& options, const std::function<void()>& body,
                const std::function<std::string()>& stall_report, Verdict& verdict);

// recovered is what a run did that ended with its process, as far as it came.
LabPart recovered(const Scenario& scenario, const lab::FlightRecorder& recorder);

}  // namespace rig
