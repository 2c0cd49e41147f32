#include "harness/cli/children.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "harness/cli/ending.h"
#include "harness/scenario/lab_run.h"
#include "harness/scenario/runner.h"

namespace rig::cli {
namespace {

constexpr std::size_t answer_bytes_max = std::size_t{16} << 20;
constexpr std::size_t output_bytes_max = std::size_t{64} << 10;

// Keeps this process on one processor: a run in the lab hands its token round several times as fast there.
void pin(std::size_t place) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return;
  }
  place %= static_cast<std::size_t>(CPU_COUNT(&allowed));
  for (std::size_t processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(processor, &allowed) && place-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(processor, &one);
      ::sched_setaffinity(0, sizeof one, &one);
      return;
    }
  }
}

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count > 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return;
    }
  }
}

// Reads what is there; at the end of the pipe it is closed and becomes -1.
void drain(int& pipe, std::string& text, std::size_t kept_max) {
  std::array<char, 16384> chunk;
  while (pipe >= 0) {
    const ssize_t count = ::read(pipe, chunk.data(), chunk.size());
    if (count > 0) {
      text.append(chunk.data(), static_cast<std::size_t>(count));
      if (text.size() > 2 * kept_max) {
        text.erase(0, text.size() - kept_max);
      }
    } else if (count == 0) {
      ::close(pipe);
      pipe = -1;
    } else if (errno != EINTR) {
      return;
    }
  }
}

Error cannot_start(std::string_view call, int number) {
  const Error error = system_error(call, number);
  const char* advice = number == EAGAIN || number == ENOMEM ? "; try fewer --jobs" : "; raise the limit (ulimit -n)";
  return Error(error.code(), "no process for a case: " + std::string(error.detail()) + advice, number);
}

}  // namespace

Children::Children(std::chrono::milliseconds limit, int interrupt) : limit_(limit), interrupt_(interrupt) {}

Children::~Children() {
  kill_all();
  for (lab::FlightRecorder* recorder : idle_recorders_) {
    ::munmap(recorder, sizeof *recorder);
  }
}

Status Children::start(std::size_t id, const Scenario& scenario, const rig_subject& subject) {
  std::array<int, 2> verdict{-1, -1};
  std::array<int, 2> output{-1, -1};
  if (::pipe2(verdict.data(), O_CLOEXEC) != 0) {
    return std::unexpected(cannot_start("pipe2", errno));
  }
  if (::pipe2(output.data(), O_CLOEXEC) != 0) {
    const Error error = cannot_start("pipe2", errno);
    ::close(verdict[0]);
    ::close(verdict[1]);
    return std::unexpected(error);
  }
  const bool in_lab = scenario.cell.world == World::lab;
  const Place place{.processor = in_lab ? free_processor() : 0, .recorder = in_lab ? take_recorder() : nullptr};
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(verdict[0]);
    ::close(output[0]);
    run_child(scenario, subject, place, verdict[1], output[1]);
  }
  const int fork_errno = errno;
  ::close(verdict[1]);
  ::close(output[1]);
  if (pid < 0) {
    ::close(verdict[0]);
    ::close(output[0]);
    return std::unexpected(cannot_start("fork", fork_errno));
  }
  // Both sides set the group, so that it stands whoever comes first: a kill then reaches what the child has started.
  ::setpgid(pid, pid);
  const int pid_descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
  if (pid_descriptor < 0) {
    const Error error = cannot_start("pidfd_open", errno);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(verdict[0]);
    ::close(output[0]);
    return std::unexpected(error);
  }
  ::fcntl(verdict[0], F_SETFL, O_NONBLOCK);
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  children_.push_back({.id = id,
                       .pid = pid,
                       .pid_descriptor = pid_descriptor,
                       .verdict_pipe = verdict[0],
                       .output_pipe = output[0],
                       .deadline = std::chrono::steady_clock::now() + limit_,
                       .scenario = scenario,
                       .answer = {},
                       .output = {},
                       .place = place});
  return {};
}

// A recorder that no living child writes to; null if there is no memory for one, and then a crash has no schedule.
lab::FlightRecorder* Children::take_recorder() {
  if (idle_recorders_.empty()) {
    void* const memory = ::mmap(nullptr, sizeof(lab::FlightRecorder), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<lab::FlightRecorder*>(memory);
  }
  lab::FlightRecorder* const recorder = idle_recorders_.back();
  idle_recorders_.pop_back();
  recorder->events = 0;
  return recorder;
}

// The first place that no other child has.
std::size_t Children::free_processor() const {
  for (std::size_t place = 0;; ++place) {
    if (std::ranges::none_of(children_, [place](const Child& child) { return child.place.processor == place; })) {
      return place;
    }
  }
}

// Never returns. The exit is an ordinary one after a verdict, so that the leak check and the exit code of a sanitizer
// have their say; after a hang threads are stuck, and nothing can be taken down in order.
void Children::run_child(const Scenario& scenario, const rig_subject& subject, const Place& place, int verdict_pipe,
                         int output_pipe) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const Child& other : children_) {
    close_all(other);
  }
  if (interrupt_ >= 0) {
    ::close(interrupt_);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output_pipe, STDOUT_FILENO);
  ::dup2(output_pipe, STDERR_FILENO);
  ::close(nothing);
  ::close(output_pipe);
  if (scenario.cell.world == World::lab) {
    pin(place.processor);
  }
  RunOptions options;
  options.subject = &subject;
  options.trace_file = trace_file_;
  options.laws = laws_;
  options.recorder = place.recorder;
  options.stuck = [verdict_pipe](const Verdict& verdict) {
    write_all(verdict_pipe, verdict_json(verdict) + "\n");
    ::_exit(child_exit_code(verdict.kind));
  };
  const Verdict verdict = run_scenario(scenario, options);
  write_all(verdict_pipe, verdict_json(verdict) + "\n");
  if (verdict.kind == VerdictKind::hang) {
    ::_exit(child_exit_code(verdict.kind));
  }
  std::exit(child_exit_code(verdict.kind));
}

void Children::wait_for_news(std::chrono::milliseconds patience) const {
  std::vector<pollfd> watched{{.fd = interrupt_, .events = POLLIN, .revents = 0}};
  auto wait_until = std::chrono::steady_clock::now() + patience;
  for (const Child& child : children_) {
    for (const int descriptor : {child.pid_descriptor, child.verdict_pipe, child.output_pipe}) {
      watched.push_back({.fd = descriptor, .events = POLLIN, .revents = 0});
    }
    wait_until = std::min(wait_until, child.deadline);
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(wait_until - std::chrono::steady_clock::now());
  ::poll(watched.data(), watched.size(), static_cast<int>(std::clamp<long>(left.count(), 0, 60'000)));
}

// The status of a child that has ended. Its descendants are ended while its id is still its own, then it is reaped.
std::optional<int> Children::reap(Child& child) {
  siginfo_t ended{};
  if (::waitid(P_PID, static_cast<id_t>(child.pid), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) {
    return std::nullopt;
  }
  ::kill(-child.pid, SIGKILL);
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::vector<Finished> Children::collect(std::chrono::milliseconds patience) {
  wait_for_news(patience);
  std::vector<Finished> finished;
  for (Child& child : children_) {
    if (std::chrono::steady_clock::now() >= child.deadline && !child.killed) {
      child.killed = true;
      ::kill(-child.pid, SIGKILL);
    }
    const auto status = reap(child);
    drain(child.verdict_pipe, child.answer, answer_bytes_max);
    drain(child.output_pipe, child.output, output_bytes_max);
    if (status.has_value()) {
      close_all(child);
      if (child.place.recorder != nullptr) {
        idle_recorders_.push_back(child.place.recorder);
      }
      finished.push_back(judge(child, *status));
      child.pid = -1;
    }
  }
  std::erase_if(children_, [](const Child& child) { return child.pid < 0; });
  return finished;
}

Finished Children::judge(Child& child, int status) {
  Finished finished{.id = child.id, .verdict = {}, .output = std::move(child.output)};
  Verdict& verdict = finished.verdict;
  auto parsed = verdict_from_json(child.answer);
  const bool answered = parsed.has_value() && child.answer.ends_with('\n');
  if (answered) {
    verdict = std::move(*parsed);
  }
  verdict.suite = child.scenario.suite;
  verdict.cell = cell_name(child.scenario.cell);
  verdict.cell_claimed = child.scenario.cell;
  verdict.seed = child.scenario.seed;
  const bool as_told = WIFEXITED(status) && WEXITSTATUS(status) == child_exit_code(verdict.kind);
  // A process without an answer has only this to say what it did, and the line of a green one leaves it out.
  if (const lab::FlightRecorder* recorder = child.place.recorder; recorder != nullptr && !(answered && as_told)) {
    if (recorder->events != 0) {
      verdict.lab = recovered(child.scenario, *recorder);
      verdict.trace_hash = verdict.lab->schedule_hash;
    }
  }
  const std::string told = telling_line(finished.output);
  if (const auto law = law_of_report(told); law.has_value() && !(answered && as_told)) {
    verdict.violations.push_back({*law, "process", told});
    ++verdict.violation_count;
  }
  if (child.killed && !answered) {
    verdict.kind = VerdictKind::hang;
    verdict.reason = "the process was alive without a verdict at the limit of a case, and was killed";
  } else if (!answered) {
    verdict.kind = VerdictKind::fail;
    verdict.reason = "the process " + how_it_ended(status) + (told.empty() ? "" : ": " + told);
  } else if (!child.killed && !as_told) {
    verdict.reason = "after the verdict '" + std::string(verdict_kind_name(verdict.kind)) + "' the process " +
                     how_it_ended(status) + (told.empty() ? "" : ": " + told) +
                     (verdict.reason.empty() ? "" : " (" + verdict.reason + ")");
    verdict.kind = VerdictKind::fail;
  }
  return finished;
}

void Children::kill_all() {
  for (const Child& child : children_) {
    ::kill(-child.pid, SIGKILL);
    ::kill(child.pid, SIGKILL);
  }
  for (const Child& child : children_) {
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    close_all(child);
  }
  for (const Child& child : children_) {
    if (child.place.recorder != nullptr) {
      idle_recorders_.push_back(child.place.recorder);
    }
  }
  children_.clear();
}

void Children::close_all(const Child& child) {
  for (const int descriptor : {child.pid_descriptor, child.verdict_pipe, child.output_pipe}) {
    if (descriptor >= 0) {
      ::close(descriptor);
    }
  }
}

}  // namespace rig::cli
