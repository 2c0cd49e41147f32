#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/cli/agenda.h"
#include "harness/cli/children.h"
#include "harness/cli/failure.h"
#include "harness/cli/progress.h"
#include "harness/cli/selection.h"
#include "harness/cli/verbs.h"
#include "harness/cli/words.h"
#include "harness/scenario/lab_world.h"
#include "reports/report.h"

namespace rig::cli {
namespace {

constexpr std::chrono::milliseconds turn{100};
constexpr const char* kept_in_report = "failures";

// Interrupts turns SIGINT, SIGTERM and SIGHUP into a readable descriptor for as long as it lives.
class Interrupts {
 public:
  Interrupts() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      ::sigaddset(&signals, signal);
    }
    ::sigprocmask(SIG_BLOCK, &signals, &before_);
    descriptor_ = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  }
  ~Interrupts() {
    ::close(descriptor_);
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int descriptor() const { return descriptor_; }
  bool came() const {
    signalfd_siginfo info{};
    return ::read(descriptor_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info));
  }

 private:
  sigset_t before_{};
  int descriptor_ = -1;
};

// Running is a case under way. In the lab each runs twice; `first` is how it ended the first time.
struct Running {
  Scenario scenario;
  std::optional<Finished> first;
};

// Two runs of one seed must be the same run; where they are not, something in the process is not of the seed, and
// nothing that the first run showed can be replayed.
void compare(const Verdict& first, Verdict& second, bool fixed_addresses) {
  if (!first.lab.has_value() || !second.lab.has_value()) {
    return;
  }
  const bool same_schedule = first.lab->schedule_hash == second.lab->schedule_hash;
  const bool same_bytes = !fixed_addresses || first.lab->byte_hash == second.lab->byte_hash;
  if (first.kind == second.kind && same_schedule && same_bytes) {
    return;
  }
  second.reason = std::string("two runs of one seed differ in ") +
                  (!same_schedule ? "their schedules"
                   : same_bytes   ? "their verdicts"
                                  : "their bytes") +
                  " (" + std::to_string(first.lab->events) + " and " + std::to_string(second.lab->events) + " events)" +
                  (second.reason.empty() ? "" : "; " + second.reason);
  second.kind = VerdictKind::fail;
}

// Session is one `tlsrig run` from the first case to the report.
class Session {
 public:
  Session(const RunCommand& command, const rig_subject& subject, std::vector<Case> cases, bool fixed_addresses)
      : command_(command),
        subject_(subject),
        fixed_addresses_(fixed_addresses),
        agenda_(command, std::move(cases)),
        progress_(command.json ? stderr : stdout, agenda_.expected()),
        children_(command.case_limit, interrupts_.descriptor()) {
    children_.watch(command.laws);
  }

  int run() {
    const auto stopped = run_all();
    children_.kill_all();
    if (stopped.has_value() && stopped->code == exit_lacking) {
      return refuse(*stopped);  // a report of the part that ran would replace a whole one
    }
    if (const auto refusal = finish(); refusal.has_value()) {
      return refuse(*refusal);
    }
    if (stopped.has_value()) {
      return exit_interrupted;
    }
    if (tally_.pass == 0 && tally_.bad() == 0) {
      return refuse({exit_not_green, "nothing was tested: every case was skipped"});
    }
    return tally_.bad() == 0 ? exit_green : exit_not_green;
  }

 private:
  std::optional<Refusal> run_all() {
    bool more = true;
    while (more || agenda_.follows() || children_.running() > 0) {
      more = more || agenda_.follows();
      while (more && children_.running() < command_.jobs) {
        auto scenario = agenda_.next(progress_.seconds());
        more = scenario.has_value();
        if (!more) {
          break;
        }
        if (auto refusal = start({std::move(*scenario), std::nullopt}); refusal.has_value()) {
          return refusal;
        }
      }
      for (Finished& finished : children_.collect(turn)) {
        Running running = std::move(running_.extract(finished.id).mapped());
        if (running.scenario.cell.world == World::lab && finished.verdict.lab.has_value() && !running.first &&
            !command_.once) {
          running.first = std::move(finished);
          if (auto refusal = start(std::move(running)); refusal.has_value()) {
            return refusal;
          }
          continue;
        }
        if (running.first.has_value()) {
          compare(running.first->verdict, finished.verdict, fixed_addresses_);
        }
        if (!finished.verdict.lacking.empty()) {
          return Refusal{exit_lacking, finished.verdict.lacking};
        }
        agenda_.follow(running.scenario, finished.verdict);
        take(finished, running.scenario);
        if (command_.stop_first && tally_.bad() > 0) {
          return std::nullopt;  // what still runs has no verdict
        }
      }
      if (interrupts_.came()) {
        progress_.line("interrupted: the cases that still run are stopped");
        return Refusal{exit_interrupted, {}};
      }
      progress_.update(tally_);
    }
    return std::nullopt;
  }

  std::optional<Refusal> start(Running running) {
    const std::size_t id = next_id_++;
    if (const Status started = children_.start(id, running.scenario, subject_); !started.has_value()) {
      return Refusal{exit_lacking, std::string(started.error().detail())};
    }
    running_.emplace(id, std::move(running));
    return std::nullopt;
  }

  void take(Finished& finished, const Scenario& scenario) {
    Verdict& verdict = finished.verdict;
    tally_.add(verdict.kind);
    if (verdict.kind == VerdictKind::skip) {
      ++skip_reasons_[verdict.reason];
    } else if (verdict.kind != VerdictKind::pass) {
      keep(finished, scenario);
      show_verdict(progress_, finished);
    }
    if (command_.json) {
      std::printf("%s\n", verdict_json(verdict).c_str());
      std::fflush(stdout);
    }
    if (command_.report_folder.has_value()) {
      report_.verdicts.push_back(std::move(verdict));
    }
  }

  // Into the folder that was named, else into the report, which comes into being as a whole at the end.
  void keep(Finished& finished, const Scenario& scenario) {
    std::vector<ReportFile> files = failure_files(finished, scenario);
    std::string folder = command_.keep_folder.value_or("tlsrig-failures");
    if (!command_.keep_folder.has_value() && command_.report_folder.has_value()) {
      folder = *command_.report_folder + "/" + kept_in_report;
      for (const ReportFile& file : files) {
        report_.files.push_back({std::string(kept_in_report) + "/" + file.name, file.content});
      }
    } else if (const Status kept = keep_files(files, folder); !kept.has_value()) {
      progress_.line("the scenario could not be kept: " + std::string(kept.error().detail()));
      return;
    }
    finished.verdict.repro = "tlsrig replay " + shell_word(folder + "/" + files.front().name);
  }

  // The skips with their reasons, the report, and the summary as the last line.
  std::optional<Refusal> finish() {
    for (const auto& [reason, count] : skip_reasons_) {
      progress_.line("skipped " + std::to_string(count) + ": " + reason);
    }
    std::optional<Refusal> refusal;
    if (command_.report_folder.has_value()) {
      report_.made_at = made_at();
      if (const Status written = write_report(report_, *command_.report_folder); !written.has_value()) {
        refusal = Refusal{exit_lacking, std::string(written.error().detail())};
      } else {
        progress_.line("report: " + *command_.report_folder + "/index.html");
      }
    }
    const std::string text = summary(tally_, progress_.seconds());
    progress_.line(tally_.bad() == 0 ? progress_.good(text) : progress_.bad(text));
    return refusal;
  }

  const RunCommand& command_;
  const rig_subject& subject_;
  const bool fixed_addresses_;
  Interrupts interrupts_;
  Agenda agenda_;
  Progress progress_;
  Children children_;
  std::size_t next_id_ = 0;
  Tally tally_;
  std::map<std::size_t, Running> running_;
  std::map<std::string, std::size_t> skip_reasons_;
  Report report_;
};

// A folder that cannot be written is said before the run, not after it.
std::optional<Refusal> check_folders(const RunCommand& command) {
  if (command.report_folder.has_value()) {
    if (const Status checked = check_report_folder(*command.report_folder); !checked.has_value()) {
      return Refusal{exit_lacking, std::string(checked.error().detail())};
    }
  }
  if (command.keep_folder.has_value()) {
    std::error_code failed;
    std::filesystem::create_directories(*command.keep_folder, failed);
    if (!failed && ::access(command.keep_folder->c_str(), W_OK | X_OK) != 0) {
      failed = std::error_code(errno, std::generic_category());
    }
    if (failed) {
      return Refusal{exit_lacking, "cannot write into '" + *command.keep_folder + "': " + failed.message()};
    }
  }
  return std::nullopt;
}

}  // namespace

int run_cases(const RunCommand& command) {
  const auto subject = load_subject(command.selection.subject);
  if (!subject.has_value()) {
    return refuse(subject.error());
  }
  auto cases = select_cases(command.selection, **subject);
  if (!cases.has_value()) {
    return refuse(cases.error());
  }
  if (const auto refusal = check_folders(command); refusal.has_value()) {
    return refuse(*refusal);
  }
  bool fixed_addresses = false;
  if (command.selection.world == World::lab) {
    const auto entered = enter_lab();
    if (!entered.has_value()) {
      return refuse({exit_lacking, std::string(entered.error().detail())});
    }
    fixed_addresses = !entered->has_value();
    if (!fixed_addresses) {
      std::fprintf(stderr, "tlsrig: schedules repeat, bytes may not: %s\n", (*entered)->c_str());
    }
  }
  Session session(command, **subject, std::move(*cases), fixed_addresses);
  return session.run();
}

}  // namespace rig::cli
