#include "harness/lab/tests/hunt.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "harness/base/check.h"
#include "harness/base/ddmin.h"

namespace rig::lab {
namespace {

enum ExitCode : int { exit_well = 0, exit_wrong = 10, exit_stuck = 11 };

FlightRecorder& recorder() {
  static auto* const shared = static_cast<FlightRecorder*>(::mmap(
      nullptr, sizeof(FlightRecorder), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  RIG_CHECK(shared != MAP_FAILED);
  return *shared;
}

[[noreturn]] void be_the_prey(Prey prey, Options options, int output) {
  ::dup2(output, STDERR_FILENO);
  options.recorder = &recorder();
  bool well = false;
  run(
      options, [&] { well = prey(); },
      [](const Stuck& stuck) {
        std::fprintf(stderr, "%s\n", stuck.report.c_str());
        ::_exit(exit_stuck);
      });
  ::_exit(well ? exit_well : exit_wrong);
}

std::string read_from_start(int file) {
  std::string text(static_cast<std::size_t>(std::max<off_t>(0, ::lseek(file, 0, SEEK_END))), '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(file, text.data(), text.size(), 0))));
  return text;
}

double cpu_seconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    ::getrusage(who, &used);
    for (const timeval& part : {used.ru_utime, used.ru_stime}) {
      sum += static_cast<double>(part.tv_sec) + static_cast<double>(part.tv_usec) / 1e6;
    }
  }
  return sum;
}

}  // namespace

Sighting look(Prey prey, const Options& options) {
  FlightRecorder& flight = recorder();
  flight.events = 0;
  flight.switch_count = 0;
  const int output = ::memfd_create("output", MFD_CLOEXEC);
  RIG_CHECK(output >= 0);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  RIG_CHECK(child >= 0);
  if (child == 0) {
    be_the_prey(prey, options, output);
  }
  int status = 0;
  RIG_CHECK(::waitpid(child, &status, 0) == child);
  Sighting sighting;
  sighting.kind = !WIFEXITED(status)                  ? Sighting::Kind::crashed
                  : WEXITSTATUS(status) == exit_well  ? Sighting::Kind::well
                  : WEXITSTATUS(status) == exit_wrong ? Sighting::Kind::wrong
                  : WEXITSTATUS(status) == exit_stuck ? Sighting::Kind::stuck
                                                      : Sighting::Kind::crashed;
  sighting.events = flight.events;
  sighting.schedule_hash = flight.schedule_hash;
  sighting.switches.assign(flight.switches,
                           flight.switches + std::min(flight.switch_count, FlightRecorder::switches_max));
  sighting.output = read_from_start(output);
  ::close(output);
  return sighting;
}

std::optional<Catch> hunt(Prey prey, std::uint64_t seeds_max) {
  Catch found;
  const double before = cpu_seconds();
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
    Options options;
    options.seed = seed;
    found.first = look(prey, options);
    if (!found.first.bad()) {
      continue;
    }
    found.seed = seed;
    found.runs_to_find = seed;
    found.cpu_seconds = cpu_seconds() - before;
    found.switches =
        ddmin(found.first.switches, [&](const std::vector<Switch>& fewer) -> std::optional<std::vector<Switch>> {
          options.switches = fewer;
          Sighting again = look(prey, options);
          if (again.kind != found.first.kind) {
            return std::nullopt;
          }
          return std::move(again.switches);
        });
    return found;
  }
  return std::nullopt;
}

}  // namespace rig::lab
