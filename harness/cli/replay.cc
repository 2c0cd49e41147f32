#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "harness/cli/children.h"
#include "harness/cli/failure.h"
#include "harness/cli/progress.h"
#include "harness/cli/scenario_file.h"
#include "harness/cli/selection.h"
#include "harness/cli/verbs.h"
#include "harness/cli/words.h"
#include "harness/scenario/lab_world.h"
#include "harness/scenario/runner.h"
#include "harness/scenario/scenario_check.h"

namespace rig::cli {
namespace {

std::expected<Finished, Refusal> run_one(const ReplayCommand& command, const Scenario& scenario,
                                         const rig_subject& subject) {
  if (command.in_process) {
    RunOptions options;
    options.subject = &subject;
    options.trace_file = command.trace_file;
    return Finished{.id = 0, .verdict = run_scenario(scenario, options), .output = {}};
  }
  Children children(command.case_limit, -1);
  children.trace_next(command.trace_file);
  if (const Status started = children.start(0, scenario, subject); !started.has_value()) {
    return std::unexpected(Refusal{exit_lacking, std::string(started.error().detail())});
  }
  std::vector<Finished> finished;
  while (finished.empty()) {
    finished = children.collect(std::chrono::seconds(1));
  }
  return std::move(finished.front());
}

// divergence says how a run differs from the one that the file has recorded; empty if it does not, or if none is.
std::string divergence(const Scenario& scenario, const Verdict& verdict) {
  const LabPart& then = scenario.lab;
  if (then.events == 0 || !verdict.lab.has_value()) {
    return {};
  }
  const LabPart& now = *verdict.lab;
  if (now.schedule_hash != then.schedule_hash || now.events != then.events) {
    return "the schedule is another than the recorded one (" + std::to_string(now.events) + " events, recorded were " +
           std::to_string(then.events) + "): the program, a library or the scenario has changed";
  }
  if (then.byte_hash != 0 && now.byte_hash != then.byte_hash) {
    return "the schedule is the recorded one, the bytes are others: the program or a library has changed";
  }
  return {};
}

// Executes gdb with this program, which runs the scenario in its own process.
int under_gdb(const ReplayCommand& command) {
  std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<std::string> words{"gdb", "--args", program, "replay", "--in-process", command.file};
  if (!command.subject.empty()) {
    words.insert(words.end(), {"--subject", command.subject});
  }
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  ::execvp("gdb", arguments.data());
  return refuse({exit_lacking, std::string("gdb cannot be executed: ") + std::strerror(errno) + "; install gdb"});
}

}  // namespace

int replay(const ReplayCommand& command) {
  auto scenario = read_scenario(command.file);
  if (!scenario.has_value()) {
    return refuse(scenario.error());
  }
  if (const auto wrong = check_scenario(*scenario); wrong.has_value()) {
    return refuse({exit_usage, command.file + ": " + *wrong});
  }
  if (!command.subject.empty()) {
    scenario->cell.subject = command.subject;
  }
  const bool in_lab = scenario->cell.world == World::lab;
  if (!in_lab && !command.trace_file.empty()) {
    return refuse({exit_usage,
                   "--trace: only a run in the lab has events to write; " + command.file + " runs on the real kernel"});
  }
  const auto subject = load_subject(scenario->cell.subject);
  if (!subject.has_value()) {
    return refuse({exit_lacking, subject.error().sentence});
  }
  if (command.debugger) {
    return under_gdb(command);
  }
  if (in_lab) {
    const auto entered = enter_lab();
    if (!entered.has_value()) {
      return refuse({exit_lacking, std::string(entered.error().detail())});
    }
    if (entered->has_value()) {
      scenario->lab.byte_hash = 0;  // is not compared
      std::fprintf(stderr, "tlsrig: the schedule repeats, the bytes may not: %s\n", (*entered)->c_str());
    }
  }
  auto finished = run_one(command, *scenario, **subject);
  if (!finished.has_value()) {
    return refuse(finished.error());
  }
  Verdict& verdict = finished->verdict;
  if (!verdict.lacking.empty()) {
    return refuse({exit_lacking, verdict.lacking});
  }
  const std::string diverged = divergence(*scenario, verdict);
  if (!diverged.empty()) {
    std::fprintf(stderr, "DIVERGED: %s\n", diverged.c_str());
  }
  verdict.repro = "tlsrig replay " + shell_word(command.file);
  if (command.json) {
    std::printf("%s\n", verdict_json(verdict).c_str());
  } else {
    Progress progress(stdout, 1);
    show_verdict(progress, *finished);
  }
  if (verdict.kind == VerdictKind::hang && command.in_process) {
    std::fflush(nullptr);
    std::_Exit(exit_not_green);  // threads are stuck: nothing can be taken down in order
  }
  return verdict.kind == VerdictKind::pass   ? exit_green
         : verdict.kind == VerdictKind::skip ? exit_lacking
                                             : exit_not_green;
}

}  // namespace rig::cli
