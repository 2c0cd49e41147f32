// What there is to see of a run that no library may decide: for the comparison of libraries.
#pragma once

#include <map>
#include <string>

#include "harness/scenario/scenario.h"
#include "harness/subjects/subject.h"

namespace rig {

// Outcomes are words by what they are of: "client connected" is "ok" or the class of an error, "server ended" is "yes";
// and the counters of a verdict that say what went through.
using Outcomes = std::map<std::string, std::string>;

// record_outcomes wraps `inner`, which must outlive its use, and notes how `connected`, `ended` and `closed` come on
// the first socket of each side, as new for each call. Thread: while no run is under way; there is one in the process.
const rig_subject* record_outcomes(const rig_subject* inner);
// recorded is what was noted since. Thread: after the run.
Outcomes recorded();

// comparable is what of `scenario` leaves no choice to the length of a record or of a flight: one connection, one
// sender, no faults, and at most one thing that ends it, or changes its keys, at a time when everything is quiet.
Scenario comparable(Scenario scenario);

// has_end says that `scenario` ends the connection and waits until the other side has ended as well. Where it does not,
// and behind a half close, the run closes both sides at its end, and whether either of them still hears the other one's
// goodbye is a matter of time.
bool has_end(const Scenario& scenario);

// excused says that two libraries may differ so: the table of differences, each of which has been looked at, has a row
// for it (outcomes.cc).
bool excused(const Scenario& scenario, const std::string& what, const std::string& one, const std::string& other);

}  // namespace rig
