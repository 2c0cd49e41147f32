// The runner: puts a Scenario into the world, asks the laws, and says how it ended.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>

#include "harness/scenario/scenario.h"
#include "harness/scenario/verdict.h"
#include "harness/subjects/subject.h"

namespace rig {

// LawScope is which laws are asked: those of the app door only, or those of all doors.
enum class LawScope : std::uint8_t { app, all };

// RunOptions is what a run may differ in without being another test.
struct RunOptions {
  // subject stands in for the one that the scenario names (a canary around it, for example). Null: find_subject().
  const rig_subject* subject = nullptr;
  // stall_limit_us is how long nothing at all may happen before the run is called a hang. It is a watchdog, not a
  // measurement: a run that moves, however slowly, is never ended by it.
  std::int64_t stall_limit_us = 30'000'000;
  // steps_max ends a run in the lab that goes on without end; 0: the lab's own bound.
  std::uint64_t steps_max = 0;
  // stuck is called where a run in the lab can neither go on nor be taken apart, with the verdict so far; it must end
  // the process. Null: the verdict goes to standard error as a line, and the process ends with 1.
  std::function<void(const Verdict&)> stuck = {};
  // recorder, if there is one, keeps what a run in the lab does where another process can read it.
  lab::FlightRecorder* recorder = nullptr;
  // trace_file, if it is not empty, is where a run in the lab leaves its events, for a trace viewer.
  std::string trace_file = {};
  // laws says which doors are watched. With `app` the library and the kernel door stay closed, and cost nothing.
  LawScope laws = LawScope::all;
  // one_process says that many runs follow each other in this process: the lab then parks their threads for the next
  // one (lab::Options::crew), and does not watch them from outside.
  bool one_process = false;
  // child is true in a process that was started for one scenario (Settings::fresh_process is then fulfilled).
  bool child = false;
};

// run_scenario runs it in this process, or in a fresh one if the scenario asks for that, and never throws. What the
// subject cannot do (its capabilities) ends as `skip` with the reason; what this machine cannot
// give is said in Verdict::lacking. Sockets are closed, then drained, then the loops
// and contexts are destroyed, whatever happened, as far as the subject lets it: what it does not give back is kept.
// After a hang (Verdict::kind) sockets are closed as well, so that the laws of a close are asked, but the process
// should end: threads may still be stuck in the subject. Thread: one at a time per process where the scenario uses
// process-wide state; the rig runs one at a time.
Verdict run_scenario(const Scenario& scenario, const RunOptions& options = {});

// child_exit_code is how a process that was started for one scenario ends. No sanitizer ends a process with one of
// these codes (they take 1, 23 and 66), so that a report after the verdict shows, also after one that was not green.
int child_exit_code(VerdictKind kind);

// run_as_child is asked by every main() that may run scenarios, before anything else: if the command line says that
// this process was started for one scenario, it runs that and returns the exit code.
std::optional<int> run_as_child(int argc, char** argv);

// scenario_file_name is suite, cell and seed as the name of a file: "bidir.gnutls~gnutls.tls13.poll.fast_on.seed7.scn".
// Where an allocation fails, its number stands in front of the ending.
std::string scenario_file_name(const Scenario& scenario);

// keep_scenario writes the text of a scenario to `folder` under that name, and returns the path. Errors:
// refused_by_system with the path in the sentence.
std::expected<std::string, Error> keep_scenario(const Scenario& scenario, const std::string& folder);

}  // namespace rig
