#include "harness/scenario/runner.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "harness/engine/backend.h"
#include "harness/oracle/hygiene_probe.h"
#include "harness/scenario/environment.h"
#include "harness/scenario/lab_run.h"
#include "harness/scenario/run.h"
#include "harness/scenario/scenario_check.h"
#include "harness/scenario/text.h"
#include "harness/subjects/subjects.h"

extern char** environ;

namespace rig {
namespace {

constexpr const char* child_flag = "--tlsrig-child";
constexpr const char* all_laws_word = "all";
constexpr const char* app_laws_word = "app";

// A verb without its bit may be null.
std::optional<std::string> lacking_verb(const Scenario& scenario, Side side, std::uint32_t can) {
  constexpr std::pair<Verb, std::uint32_t> optional_verbs[] = {
      {Verb::pause, RIG_CAN_PAUSE},
      {Verb::resume, RIG_CAN_PAUSE},
      {Verb::half_close, RIG_CAN_HALF_CLOSE},
      {Verb::update_keys, RIG_CAN_UPDATE_KEYS},
      {Verb::renegotiate, RIG_CAN_RENEGOTIATE_AS_CLIENT | RIG_CAN_RENEGOTIATE_AS_SERVER}};
  for (const auto& [verb, bits] : optional_verbs) {
    const auto reacts = [&](const Reaction& one) { return one.side == side && one.verb == verb; };
    const auto steps = [&](const Thread& one) {
      return one.side == side && std::ranges::find(one.steps, verb, &Step::verb) != one.steps.end();
    };
    const bool asked = std::ranges::any_of(scenario.reactions, reacts) || std::ranges::any_of(scenario.threads, steps);
    if (asked && (can & bits) == 0) {
      return "cannot do " + std::string(word(verb));
    }
  }
  return std::nullopt;
}

// What the subject or this machine cannot do is no failure of the subject, but nothing was tested either.
std::optional<std::string> incapable(const Scenario& scenario, const rig_subject& subject) {
  const Cell& cell = scenario.cell;
  const std::uint32_t poller = cell.poller == PollerChoice::epoll  ? RIG_POLLER_EPOLL
                               : cell.poller == PollerChoice::poll ? RIG_POLLER_POLL
                                                                   : RIG_POLLER_SELECT;
  if ((subject.pollers & poller) == 0) {
    return std::string(subject.name) + " has no " + std::string(word(cell.poller)) + " poller";
  }
  for (const std::string& library : {cell.client, cell.server}) {
    const std::uint32_t can = subject.capabilities(library.c_str());
    if (can == 0) {
      return std::string(subject.name) + " has no library '" + library + "'";
    }
    if ((cell.tls == TlsChoice::tls12 && (can & RIG_CAN_TLS12) == 0) ||
        (cell.tls == TlsChoice::tls13 && (can & RIG_CAN_TLS13) == 0)) {
      return library + " cannot do TLS " + std::string(word(cell.tls));
    }
    const std::uint32_t auth = cell.auth == Auth::psk ? RIG_CAN_PSK : RIG_CAN_CERTIFICATES;
    if (cell.tls != TlsChoice::none && (can & auth) == 0) {
      return library + " cannot authenticate by " + std::string(word(cell.auth));
    }
    if (!cell.fast_track && (can & RIG_CAN_FAST_TRACK_OFF) == 0) {
      return std::string(subject.name) + " cannot switch its fast track off";
    }
  }
  for (const auto& [side, library] : {std::pair(Side::client, cell.client), std::pair(Side::server, cell.server)}) {
    if (const auto lack = lacking_verb(scenario, side, subject.capabilities(library.c_str())); lack.has_value()) {
      return std::string(subject.name) + " with " + library + " " + *lack;
    }
  }
  return cell.ipv6 && cell.world == World::loopback ? ipv6_lacking() : std::nullopt;
}

// In the lab descriptors come from its own kernel.
std::optional<std::string> lacking_before(const Scenario& scenario) {
  return scenario.cell.world == World::loopback ? descriptors_lacking() : std::nullopt;
}

// Law H1 is asked of what the libraries of this build keep per thread. A subject that was loaded from a shared object
// uses the same copies of them.
void register_ambient_sources() {
  for (const Backend* backend : backends()) {
    if (const AmbientSource* source = backend->ambient(); source != nullptr) {
      register_ambient_source(*source);
    }
  }
}

void judge_reached(const Scenario& scenario, Verdict& verdict) {
  if (verdict.kind != VerdictKind::pass || scenario.memory_may_fail) {
    return;
  }
  for (const Reach& reach : scenario.reaches) {
    const auto counter = verdict.counters.find(reach.counter);
    const std::uint64_t value = counter == verdict.counters.end() ? 0 : counter->second;
    if (value < reach.at_least) {
      verdict.kind = VerdictKind::vacuous;
      verdict.reason = "the situation was not reached: " + reach.counter + " is " + std::to_string(value) +
                       ", needed is at least " + std::to_string(reach.at_least);
      return;
    }
  }
}

// abandon keeps for ever what nobody can answer for: threads may be stuck in it, or the subject holds on to it.
void abandon(std::unique_ptr<Run> run) {
  static std::vector<std::unique_ptr<Run>>& abandoned = *new std::vector<std::unique_ptr<Run>>;
  abandoned.push_back(std::move(run));
}

// `under_way` is the run as long as it can be asked.
void run_here(const Scenario& scenario, const rig_subject& subject, const RunOptions& options, const Run*& under_way,
              Verdict& verdict) {
  auto run = std::make_unique<Run>(scenario, subject, options);
  if (const Status opened = run->open(); !opened.has_value()) {
    if (scenario.memory_may_fail && run->give_back_unstarted(opened.error())) {
      verdict.kind = VerdictKind::pass;
      run->audit(verdict);
      return;
    }
    verdict.kind = VerdictKind::fail;
    verdict.reason = "the run could not be set up: " + std::string(opened.error().detail());
    if (scenario.cell.world == World::loopback) {
      verdict.lacking = lack_behind(opened.error()).value_or("");
    }
    abandon(std::move(run));  // what was opened half is not worth a second error
    return;
  }
  run->start();
  under_way = run.get();
  const char* phase = "the steps";
  bool moving = run->wait_for_scripts();
  if (moving) {
    phase = "the delivery of what was sent";
    moving = run->wait_for_delivery();
  }
  verdict.hangs_in_steps = !moving;
  if (moving) {
    phase = "the close";
    moving = run->close();
  }
  if (moving) {
    phase = "giving everything back";
    moving = run->give_back();
  }
  if (moving) {
    verdict.kind = VerdictKind::pass;
    run->audit(verdict);
  } else {
    verdict.kind = VerdictKind::hang;
    verdict.reason = "nothing happened any more during " + std::string(phase) + ": " + run->stall_report();
    run->wind_up();
    run->audit_stalled(verdict);
  }
  under_way = nullptr;
  if (!run->given_back()) {
    abandon(std::move(run));
  }
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t count = ::read(descriptor, chunk.data(), chunk.size());
    if (count > 0) {
      text.append(chunk.data(), static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      return text;
    }
  }
}

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) {
    return std::string("it was ended by signal ") + std::to_string(WTERMSIG(status)) + " (" +
           ::strsignal(WTERMSIG(status)) + ")";
  }
  return "it exited with " + std::to_string(WEXITSTATUS(status));
}

void no_process(const Error& error, Verdict& verdict) {
  verdict.reason = "no fresh process: " + std::string(error.detail());
  verdict.lacking = lack_behind(error).value_or("");
}

// Runs the scenario in a newly executed copy of this program: the text goes in through one pipe, the verdict comes out
// of another. The child has its own watchdog.
void run_in_fresh_process(const Scenario& scenario, const RunOptions& options, Verdict& verdict) {
  verdict.kind = VerdictKind::fail;
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) {
    no_process(system_error("pipe2", errno), verdict);
    return;
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::string stall = std::to_string(options.stall_limit_us);
  std::string flag = child_flag;
  std::string program = "tlsrig";
  std::string laws = options.laws == LawScope::all ? all_laws_word : app_laws_word;
  std::array<char*, 5> arguments{program.data(), flag.data(), stall.data(), laws.data(), nullptr};
  pid_t child = 0;
  const int spawned = ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  if (spawned != 0) {
    no_process(system_error("posix_spawn", spawned), verdict);
  } else {
    const std::string text = print_scenario(scenario);
    static_cast<void>(::write(in[1], text.data(), text.size()));
  }
  ::close(in[1]);
  const std::string answer = spawned == 0 ? read_all(out[0]) : std::string();
  ::close(out[0]);
  if (spawned != 0) {
    return;
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  auto parsed = verdict_from_json(answer);
  if (parsed.has_value()) {
    verdict = std::move(*parsed);
  }
  if (!parsed.has_value()) {
    verdict.kind = VerdictKind::fail;
    verdict.reason = "the fresh process gave no good verdict: " + describe_exit(status);
  } else if (!WIFEXITED(status) || WEXITSTATUS(status) != child_exit_code(verdict.kind)) {
    verdict.reason = "the fresh process did not end well after the verdict '" +
                     std::string(verdict_kind_name(verdict.kind)) + "': " + describe_exit(status) +
                     (verdict.reason.empty() ? "" : " (" + verdict.reason + ")");
    verdict.kind = VerdictKind::fail;
  }
}

}  // namespace

Verdict run_scenario(const Scenario& scenario, const RunOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  register_ambient_sources();
  const Run* under_way = nullptr;
  Verdict verdict;
  verdict.suite = scenario.suite;
  verdict.cell = cell_name(scenario.cell);
  verdict.cell_claimed = scenario.cell;
  verdict.seed = scenario.seed;
  const auto found = options.subject != nullptr ? std::expected<const rig_subject*, Error>(options.subject)
                                                : find_subject(scenario.cell.subject);
  if (const auto wrong = check_scenario(scenario); wrong.has_value()) {
    verdict.kind = VerdictKind::fail;
    verdict.reason = "the scenario cannot be run: " + *wrong;
  } else if (!found.has_value()) {
    verdict.kind = VerdictKind::fail;
    verdict.reason = std::string(found.error().detail());
  } else if (const auto why = incapable(scenario, **found); why.has_value()) {
    verdict.kind = VerdictKind::skip;
    verdict.reason = *why;
  } else if (const auto lack = lacking_before(scenario); lack.has_value()) {
    verdict.kind = VerdictKind::fail;
    verdict.reason = "the run was not begun: " + *lack;
    verdict.lacking = *lack;
  } else if (scenario.settings.fresh_process && !options.child) {
    run_in_fresh_process(scenario, options, verdict);
  } else if (scenario.cell.world == World::lab) {
    run_in_lab(
        scenario, options, [&] { run_here(scenario, **found, options, under_way, verdict); },
        [&] { return under_way != nullptr ? under_way->stall_report() : std::string(); }, verdict);
  } else {
    run_here(scenario, **found, options, under_way, verdict);
  }
  judge_reached(scenario, verdict);  // last: some counters are the lab's
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  verdict.seconds = took.count();
  return verdict;
}

int child_exit_code(VerdictKind kind) {
  return kind == VerdictKind::pass || kind == VerdictKind::skip ? 0 : 10;
}

std::optional<int> run_as_child(int argc, char** argv) {
  if (argc != 4 || std::strcmp(argv[1], child_flag) != 0) {
    return std::nullopt;
  }
  RunOptions options;
  options.child = true;
  options.stall_limit_us = std::strtoll(argv[2], nullptr, 10);
  options.laws = std::strcmp(argv[3], app_laws_word) == 0 ? LawScope::app : LawScope::all;
  const auto scenario = parse_scenario(read_all(STDIN_FILENO));
  if (!scenario.has_value()) {
    return 2;
  }
  const Verdict verdict = run_scenario(*scenario, options);
  const std::string line = verdict_json(verdict) + "\n";
  static_cast<void>(::write(STDOUT_FILENO, line.data(), line.size()));
  if (verdict.kind == VerdictKind::hang) {
    ::_exit(child_exit_code(verdict.kind));  // threads are stuck: nothing can be taken down in order
  }
  return child_exit_code(verdict.kind);
}

std::string scenario_file_name(const Scenario& scenario) {
  std::string name = scenario.suite + "." + cell_name(scenario.cell) + ".seed" + std::to_string(scenario.seed);
  for (const lab::Fault& fault : scenario.lab.faults) {
    if (fault.kind == lab::FaultKind::no_memory) {
      name += (fault.sticky ? ".no_memory_from" : ".no_memory") + std::to_string(fault.nth);
    }
  }
  return name + ".scn";
}

std::expected<std::string, Error> keep_scenario(const Scenario& scenario, const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  const std::string path = folder + "/" + scenario_file_name(scenario);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << print_scenario(scenario);
  file.close();
  if (!file) {
    return std::unexpected(Error(Code::refused_by_system, "cannot write " + path));
  }
  return path;
}

}  // namespace rig
