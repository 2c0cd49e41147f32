// Verbs: what the command does. Each writes its result to standard output and its refusals to standard error, one
// sentence each, and returns the exit code.
#pragma once

#include <string>

#include "harness/cli/options.h"

namespace rig::cli {

// run_cases runs what was selected, each case in a process of its own. Nothing is written into the report folder before
// the run has ended; an interrupted one writes what it has.
int run_cases(const RunCommand& command);

// replay runs the scenario of one file.
int replay(const ReplayCommand& command);

// shrink writes the smallest scenario it finds that fails as that of the file does.
int shrink(const ShrinkCommand& command);

// list prints what is in this build.
int list(const ListCommand& command);

// doctor prints what was found here, what is missing and how to get it.
int doctor(const DoctorCommand& command);

// rewrite_report renders a report folder anew from its verdicts.
int rewrite_report(const ReportCommand& command);

// probe runs a program with the probe preloaded and says what it found. Its exit code: 1 if there was a violation, else
// 3 if no call of a TLS library came through a door, else the program's own, 128 + N if signal N ended it.
int probe(const ProbeCommand& command);

// made_at says when and where a report is made: "2025-11-20 14:03 UTC on Linux 6.1.0 x86_64, tlsrig 0.1.0".
std::string made_at();

// refuse prints the sentence and returns the exit code.
int refuse(const Refusal& refusal);

}  // namespace rig::cli
