#include "harness/scenario/shrink.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "harness/cli/children.h"
#include "harness/cli/progress.h"
#include "harness/cli/scenario_file.h"
#include "harness/cli/selection.h"
#include "harness/cli/verbs.h"
#include "harness/cli/words.h"
#include "harness/scenario/lab_world.h"
#include "harness/scenario/text.h"

namespace rig::cli {
namespace {

constexpr std::string_view ending = ".scn";

std::string output_path(const ShrinkCommand& command) {
  if (!command.output.empty()) {
    return command.output;
  }
  std::string stem = command.file;
  if (stem.ends_with(ending)) {
    stem.resize(stem.size() - ending.size());
  }
  return stem + ".small" + std::string(ending);
}

Verdict run_once(const Scenario& scenario, const rig_subject& subject, std::chrono::milliseconds limit) {
  Children children(limit, -1);
  if (const Status started = children.start(0, scenario, subject); !started.has_value()) {
    Verdict verdict;
    verdict.kind = VerdictKind::skip;
    verdict.reason = std::string(started.error().detail());
    return verdict;
  }
  std::vector<Finished> finished;
  while (finished.empty()) {
    finished = children.collect(std::chrono::seconds(1));
  }
  return std::move(finished.front().verdict);
}

}  // namespace

int shrink(const ShrinkCommand& command) {
  auto scenario = read_scenario(command.file);
  if (!scenario.has_value()) {
    return refuse(scenario.error());
  }
  if (!command.subject.empty()) {
    scenario->cell.subject = command.subject;
  }
  const auto subject = load_subject(scenario->cell.subject);
  if (!subject.has_value()) {
    return refuse({exit_lacking, subject.error().sentence});
  }
  if (const auto entered = enter_lab(); !entered.has_value()) {
    return refuse({exit_lacking, std::string(entered.error().detail())});
  }
  const ShrinkTools tools{
      .run = [&](const Scenario& candidate) { return run_once(candidate, **subject, command.case_limit); },
      .said = [](const std::string& sentence) { std::printf("%s\n", sentence.c_str()), std::fflush(stdout); }};
  const auto shrunk = shrink(*scenario, tools);
  if (!shrunk.has_value()) {
    return refuse({exit_usage, command.file + ": " + std::string(shrunk.error().detail())});
  }
  const std::string path = output_path(command);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << print_scenario(shrunk->scenario);
  file.close();
  if (!file) {
    return refuse({exit_lacking, "cannot write " + path});
  }
  std::printf("%s: %zu threads, %zu faults, %zu switches, after %llu runs\n  %s\n  tlsrig replay %s\n", path.c_str(),
              shrunk->scenario.threads.size(), shrunk->scenario.lab.faults.size(), shrunk->scenario.lab.switches.size(),
              static_cast<unsigned long long>(shrunk->runs), shrunk->verdict.reason.c_str(), shell_word(path).c_str());
  return exit_green;
}

}  // namespace rig::cli
