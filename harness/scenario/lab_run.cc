#include "harness/scenario/lab_run.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "harness/lab/lab.h"
#include "harness/scenario/trace_file.h"

namespace rig {
namespace {

// The longest stretch of a run that is in order is far below a tenth of this.
constexpr std::uint64_t idle_points_max = 1'000'000;

bool fails_memory(const std::vector<lab::Fault>& faults) {
  return std::ranges::any_of(faults, [](const lab::Fault& fault) { return fault.kind == lab::FaultKind::no_memory; });
}

lab::Options lab_options(const Scenario& scenario, const RunOptions& options) {
  const LabPart& part = scenario.lab;
  lab::Options asked;
  asked.seed = scenario.seed;
  asked.policy = part.policy;
  if (part.policy == lab::PolicyKind::none) {
    asked.switches = part.switches;
  }
  asked.profile = part.profile;
  asked.first_descriptor = static_cast<int>(part.first_descriptor);
  asked.faults = part.faults;
  asked.random_faults = part.random_faults;
  asked.random_faults_spare_rig = true;
  if (part.library_points != LibraryPoints::by_seed) {
    asked.library_points = part.library_points == LibraryPoints::on;
  }
  if (options.steps_max != 0) {
    asked.steps_max = options.steps_max;
  }
  asked.idle_points_max = idle_points_max;
  asked.allocation_sites = scenario.memory_may_fail && !fails_memory(part.faults);
  asked.recorder = options.recorder;
  asked.record = !options.trace_file.empty();
  asked.crew = options.one_process;
  asked.watchdog = !options.one_process;
  return asked;
}

// What the run did, so that a scenario with it does the same without a policy and without a draw.
LabPart as_it_was(const Scenario& scenario, const lab::Outcome& outcome) {
  LabPart part = scenario.lab;
  part.policy = lab::PolicyKind::none;
  part.random_faults = false;
  part.library_points = outcome.library_points ? LibraryPoints::on : LibraryPoints::off;
  part.switches = outcome.switches;
  part.faults = outcome.faults;
  part.events = outcome.events;
  part.schedule_hash = outcome.schedule_hash;
  part.byte_hash = outcome.byte_hash;
  return part;
}

void note(const Scenario& scenario, const lab::Outcome& outcome, Verdict& verdict) {
  verdict.lab = as_it_was(scenario, outcome);
  verdict.trace_hash = outcome.schedule_hash;
  verdict.counters["lab_points"] = outcome.points;
  verdict.counters["lab_events"] = outcome.events;
  verdict.counters["lab_switches"] = outcome.switches.size();
  verdict.counters["lab_faults"] = outcome.faults.size();
  verdict.counters["lab_allocations"] = outcome.allocations;
  for (const lab::AllocationSite& site : outcome.allocation_sites) {
    verdict.allocation_sites.push_back(site.nth);
  }
  verdict.counters["lab_threads"] = outcome.threads;
  verdict.counters["lab_virtual_us"] = static_cast<std::uint64_t>(outcome.virtual_ns / 1000);
}

// A fault that has struck nothing shows nothing.
void judge_memory(const Scenario& scenario, const lab::Outcome& outcome, Verdict& verdict) {
  if (verdict.kind == VerdictKind::pass && fails_memory(scenario.lab.faults) && !fails_memory(outcome.faults)) {
    verdict.kind = VerdictKind::vacuous;
    verdict.reason = "the allocation that was to fail was not reached: there were " +
                     std::to_string(outcome.allocations) + " in all";
  }
}

void write_events(const RunOptions& options, const lab::Outcome& outcome, Verdict& verdict) {
  if (options.trace_file.empty()) {
    return;
  }
  if (const Status written = write_trace(options.trace_file, outcome.trace); !written.has_value()) {
    verdict.kind = VerdictKind::fail;
    verdict.reason += (verdict.reason.empty() ? "" : "; ") + std::string(written.error().detail());
  }
}

void end_stuck(const Verdict& verdict) {
  std::fprintf(stderr, "%s\n", verdict_json(verdict).c_str());
  ::_exit(1);
}

}  // namespace

LabPart recovered(const Scenario& scenario, const lab::FlightRecorder& recorder) {
  lab::Outcome outcome;
  outcome.library_points = recorder.library_points != 0;
  outcome.switches.assign(recorder.switches,
                          recorder.switches + std::min(recorder.switch_count, lab::FlightRecorder::switches_max));
  outcome.faults.assign(recorder.faults,
                        recorder.faults + std::min(recorder.fault_count, lab::FlightRecorder::faults_max));
  outcome.events = recorder.events;
  outcome.schedule_hash = recorder.schedule_hash;
  outcome.byte_hash = recorder.byte_hash;
  return as_it_was(scenario, outcome);
}

void run_in_lab(const Scenario& scenario, const RunOptions& options, const std::function<void()>& body,
                const std::function<std::string()>& stall_report, Verdict& verdict) {
  if (const Status interposed = lab::interposed(); !interposed.has_value()) {
    verdict.kind = VerdictKind::fail;
    verdict.reason = "the lab cannot reach this program: " + std::string(interposed.error().detail());
    return;
  }
  const auto stuck = [&](const lab::Stuck& what) {
    note(scenario, what.outcome, verdict);
    write_events(options, what.outcome, verdict);
    const std::string stalled = verdict.kind == VerdictKind::hang ? verdict.reason : stall_report();
    verdict.reason = (stalled.empty() ? "" : stalled + "; ") + what.report;
    verdict.kind = VerdictKind::hang;
    options.stuck ? options.stuck(verdict) : end_stuck(verdict);
  };
  const lab::Outcome outcome = lab::run(lab_options(scenario, options), body, stuck);
  note(scenario, outcome, verdict);
  judge_memory(scenario, outcome, verdict);
  write_events(options, outcome, verdict);
}

}  // namespace rig
