// Failures: how one verdict that is not green is shown and kept.
#pragma once

#include <string>
#include <vector>

#include "harness/cli/children.h"
#include "harness/cli/progress.h"
#include "harness/scenario/scenario.h"
#include "reports/report.h"

namespace rig::cli {

// failure_files are what is kept of a failure: its scenario (NAME.scn), and what the process said (NAME.log) if it said
// anything.
std::vector<ReportFile> failure_files(const Finished& finished, const Scenario& scenario);

// keep_files writes them into `folder`. Errors: refused_by_system with the path.
Status keep_files(const std::vector<ReportFile>& files, const std::string& folder);

// show_verdict writes what was judged: one line, the first violations, the end of the output, the line that runs it
// again.
void show_verdict(Progress& progress, const Finished& finished);

}  // namespace rig::cli
