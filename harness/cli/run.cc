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

#include "harness/cli/children.h"
#include "harness/cli/failure.h"
#include "harness/cli/progress.h"
#include "harness/cli/selection.h"
#include "harness/cli/verbs.h"
#include "harness/cli/words.h"
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

// Agenda hands out the cases, seed by seed.
class Agenda {
 public:
  Agenda(const RunCommand& command, std::vector<Case> cases) : command_(command), cases_(std::move(cases)) {
    seed_ = command.seeds.first;
  }

  // expected is how many there will be; 0 if time decides.
  std::size_t expected() const {
    return command_.duration.has_value() ? 0 : cases_.size() * (command_.seeds.last - command_.seeds.first + 1);
  }

  std::optional<Scenario> next(double seconds) {
    const bool out_of_time =
        command_.duration.has_value() && seconds >= std::chrono::duration<double>(*command_.duration).count();
    if (out_of_time || at_end_) {
      return std::nullopt;
    }
    const Case& one = cases_[at_];
    Scenario scenario = one.suite->make(one.cell, command_.size, seed_);
    if (++at_ == cases_.size()) {
      at_ = 0;
      at_end_ = !command_.duration.has_value() && seed_ == command_.seeds.last;
      ++seed_;
    }
    return scenario;
  }

 private:
  const RunCommand& command_;
  const std::vector<Case> cases_;
  std::size_t at_ = 0;
  std::uint64_t seed_ = 1;
  bool at_end_ = false;
};

// Session is one `tlsrig run` from the first case to the report.
class Session {
 public:
  Session(const RunCommand& command, const rig_subject& subject, std::vector<Case> cases)
      : command_(command),
        subject_(subject),
        agenda_(command, std::move(cases)),
        progress_(command.json ? stderr : stdout, agenda_.expected()),
        children_(command.case_limit, interrupts_.descriptor()) {}

  int run() {
    const auto stopped = run_all();
    children_.kill_all();
    if (const auto refusal = finish(); refusal.has_value()) {
      return refuse(*refusal);
    }
    if (stopped.has_value()) {
      return stopped->code == exit_interrupted ? exit_interrupted : refuse(*stopped);
    }
    if (tally_.pass == 0 && tally_.bad() == 0) {
      return refuse({exit_not_green, "nothing was tested: every case was skipped"});
    }
    return tally_.bad() == 0 ? exit_green : exit_not_green;
  }

 private:
  std::optional<Refusal> run_all() {
    bool more = true;
    while (more || children_.running() > 0) {
      while (more && children_.running() < command_.jobs) {
        auto scenario = agenda_.next(progress_.seconds());
        more = scenario.has_value();
        if (!more) {
          break;
        }
        const std::size_t id = next_id_++;
        if (const Status started = children_.start(id, *scenario, subject_); !started.has_value()) {
          return Refusal{exit_lacking, std::string(started.error().detail())};
        }
        running_.emplace(id, std::move(*scenario));
      }
      for (Finished& finished : children_.collect(turn)) {
        take(finished);
      }
      if (interrupts_.came()) {
        progress_.line("interrupted: the cases that still run are stopped");
        return Refusal{exit_interrupted, {}};
      }
      progress_.update(tally_);
    }
    return std::nullopt;
  }

  void take(Finished& finished) {
    Verdict& verdict = finished.verdict;
    const auto running = running_.find(finished.id);
    tally_.add(verdict.kind);
    if (verdict.kind == VerdictKind::skip) {
      ++skip_reasons_[verdict.reason];
    } else if (verdict.kind != VerdictKind::pass) {
      keep(finished, running->second);
      show_verdict(progress_, finished);
    }
    running_.erase(running);
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
  Interrupts interrupts_;
  Agenda agenda_;
  Progress progress_;
  Children children_;
  std::size_t next_id_ = 0;
  Tally tally_;
  std::map<std::size_t, Scenario> running_;
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
  Session session(command, **subject, std::move(*cases));
  return session.run();
}

}  // namespace rig::cli
