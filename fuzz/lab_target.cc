#include "fuzz/lab_target.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "fuzz/finding.h"
#include "fuzz/fitted.h"
#include "fuzz/mutation.h"
#include "harness/lab/lab.h"
#include "harness/scenario/lab_world.h"
#include "harness/scenario/runner.h"
#include "harness/scenario/text.h"

namespace rig {
namespace {

// A hang in the steps may be what the scenario asks for, or what it waits for never comes. One of a close never is.
bool is_finding(const Scenario& scenario, const Verdict& verdict) {
  if (verdict.violation_count > 0) {
    return true;
  }
  switch (verdict.kind) {
    case VerdictKind::fail:
      return is_calm(scenario);
    case VerdictKind::hang:
      return is_calm(scenario) || !verdict.hangs_in_steps;
    case VerdictKind::pass:
    case VerdictKind::vacuous:
    case VerdictKind::skip:
      return false;
  }
  return false;
}

bool holds_back(const Scenario& scenario) {
  return std::ranges::count(scenario.lab.faults, lab::FaultKind::coalesce, &lab::Fault::kind) > 0;
}

// libFuzzer would take the time of an input from a clock that is the lab's while it runs. So it is not asked: its alarm
// comes here. It comes after each half of the time that an input may take; one that three of them meet is a hang.
std::atomic<std::uint64_t> runs_begun{0};
std::atomic<bool> runs{false};

void on_alarm(int) {
  constexpr std::string_view sentence = "FOUND: an input takes longer than it may\n";
  static std::uint64_t met_run = 0;
  static int met = 0;
  const std::uint64_t run = runs_begun.load();
  met = runs.load() && run == met_run ? met + 1 : 1;
  met_run = run;
  if (runs.load() && met == 3) {
    static_cast<void>(::write(STDERR_FILENO, sentence.data(), sentence.size()));
    std::abort();
  }
}

class UnderWay {
 public:
  UnderWay() {
    ++runs_begun;
    runs = true;
  }
  ~UnderWay() { runs = false; }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;
};

[[noreturn]] void report(const Scenario& scenario, const Verdict& verdict) {
  std::fprintf(stderr, "%s\n%s\n", print_scenario(scenario).c_str(), verdict_json(verdict).c_str());
  found(std::string(verdict_kind_name(verdict.kind)) + ": " + verdict.reason);
}

}  // namespace

void enter_lab_or_end() {
  if (const auto entered = enter_lab(); !entered.has_value()) {
    std::fprintf(stderr, "%s\n", std::string(entered.error().detail()).c_str());
    std::exit(EXIT_FAILURE);
  }
  // Whose handler is there already is not replaced by libFuzzer.
  struct sigaction action{};
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  static_cast<void>(::sigaction(SIGALRM, &action, nullptr));
}

void on_one_thread(const std::function<void()>& body, std::vector<lab::Fault> faults) {
  const UnderWay under_way;
  lab::Options options;
  options.policy = lab::PolicyKind::none;
  options.crew = true;
  options.watchdog = false;
  options.faults = std::move(faults);
  lab::run(options, body);
}

void found_if_broken(const ViolationLog& log) {
  if (log.count() > 0) {
    const Violation violation = log.kept().front();
    found(std::string(law_name(violation.law)) + ", " + violation.where + ": " + violation.message);
  }
}

bool is_blank(const std::uint8_t* data, std::size_t size) {
  return std::string_view(reinterpret_cast<const char*>(data), size).find_first_not_of(" \n") == std::string_view::npos;
}

std::optional<Scenario> scenario_of(const std::uint8_t* data, std::size_t size, std::string_view library) {
  auto scenario = parse_scenario({reinterpret_cast<const char*>(data), size});
  return scenario.has_value() ? std::optional(fitted(std::move(*scenario), library)) : std::nullopt;
}

std::size_t text_of(const Scenario& scenario, std::uint8_t* data, std::size_t room) {
  const std::string text = print_scenario(scenario);
  if (text.size() > room) {
    return 0;
  }
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

std::size_t mutate_text(std::uint8_t* data, std::size_t size, std::size_t room, unsigned int seed,
                        std::string_view library, const std::function<Scenario(Scenario)>& prepare) {
  Prng prng(seed);
  Scenario scenario = scenario_of(data, size, library).value_or(opening(library));
  mutate(scenario, prng);
  const std::size_t written = text_of(prepare(std::move(scenario)), data, room);
  return written != 0 ? written : size;
}

Verdict run_and_judge(const Scenario& scenario, const rig_subject* subject) {
  const UnderWay under_way;
  RunOptions options;
  options.subject = subject;
  options.stuck = [&scenario](const Verdict& verdict) { report(scenario, verdict); };
  options.one_process = true;
  options.stall_limit_us = holds_back(scenario) ? FuzzLimits::stall_held_back_us : FuzzLimits::stall_us;
  Verdict verdict = run_scenario(scenario, options);
  if (is_finding(scenario, verdict)) {
    report(scenario, verdict);
  }
  return verdict;
}

}  // namespace rig
