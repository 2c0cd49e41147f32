// lab_host: an ordinary program, built as a shared object, runs in the lab. `lab_host --help` has the rest.
#include <dlfcn.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "harness/base/prng.h"
#include "harness/lab/addresses.h"
#include "harness/lab/lab.h"
#include "harness/lab/sync/entropy.h"

namespace {

using namespace rig;

// Descriptors are of the int kind, and there must be room above the first.
constexpr std::uint64_t first_descriptor_max = 1'000'000'000;
constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr int exit_environment = 3;

constexpr const char* help_text =
    R"(usage: lab_host [--seed N] [--policy P] [--first-descriptor N] [--repeat] GUEST.so [ARGUMENT...]

Runs the main() of a shared object in the lab: its threads take turns by the seed, its sockets are virtual.

  --seed N               decides the whole run (default 1)
  --policy P             how the next thread is chosen: by_seed (default), uniform, sticky10, sticky1, pct, none
  --first-descriptor N   the lowest number that a virtual descriptor gets (default 1000)
  --repeat               does it in two processes, one after the other, and compares them
  GUEST.so               must hold a slash; it is linked against what it needs, and exports main

The last line on standard output says what the run came to:

  exit=0 policy=uniform points=N events=N switches=N sockets=N order=H schedule=H bytes=H addresses=fixed

order covers who did what, schedule that and the lengths and the seed, bytes ciphertext and random bytes as well. With
addresses=random the system refused fixed addresses, and bytes may differ from process to process.

Exit codes: 0 all is well; 1 the guest failed, got stuck, ended the process or used no socket, or two runs differ;
2 wrong usage, or a guest that cannot be loaded; 3 the lab is not in place of the system's functions.
)";

using Main = int (*)(int, char**);

// Asked is what the command line says.
struct Asked {
  lab::Options options;
  bool repeat = false;
  int guest_at = 0;  // the index of the guest in argv
};

[[noreturn, gnu::format(printf, 2, 3)]] void give_up(int code, const char* format, ...) {
  std::fflush(stdout);
  std::fputs("lab_host: ", stderr);
  std::va_list list;
  va_start(list, format);
  std::vfprintf(stderr, format, list);
  va_end(list);
  std::fputc('\n', stderr);
  std::_Exit(code);
}

std::uint64_t number_of(const char* option, std::string_view text, std::uint64_t max) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number > max) {
    give_up(exit_usage, "%s must be a number from 0 to %" PRIu64 ", not '%s'", option, max, std::string(text).c_str());
  }
  return number;
}

void take_option(Asked& asked, std::string_view option, const char* value) {
  if (option == "--seed") {
    asked.options.seed = number_of("--seed", value, UINT64_MAX);
  } else if (option == "--first-descriptor") {
    asked.options.first_descriptor = static_cast<int>(number_of("--first-descriptor", value, first_descriptor_max));
  } else {
    const auto policy = lab::policy_from_word(value);
    if (!policy) {
      give_up(exit_usage, "there is no policy '%s'; see --help", value);
    }
    asked.options.policy = *policy;
  }
}

Asked read_arguments(int argc, char** argv) {
  Asked asked;
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; ++at) {
    const std::string_view option = argv[at];
    if (option == "--help") {
      std::fputs(help_text, stdout);
      std::exit(0);
    }
    if (option == "--repeat") {
      asked.repeat = true;
      continue;
    }
    if (option != "--seed" && option != "--first-descriptor" && option != "--policy") {
      give_up(exit_usage, "there is no option '%s'; see --help", argv[at]);
    }
    if (at + 1 == argc) {
      give_up(exit_usage, "%s needs a value", argv[at]);
    }
    take_option(asked, option, argv[at + 1]);
    ++at;
  }
  if (at == argc) {
    give_up(exit_usage, "say which guest to run; see --help");
  }
  if (std::strchr(argv[at], '/') == nullptr) {
    give_up(exit_usage, "'%s' must hold a slash", argv[at]);
  }
  asked.guest_at = at;
  return asked;
}

Main load(const char* guest) {
  void* const module = dlopen(guest, RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    give_up(exit_usage, "the guest cannot be loaded: %s", dlerror());
  }
  void* const found = dlsym(module, "main");
  if (found == nullptr) {
    give_up(exit_usage, "the guest exports no main: %s", dlerror());
  }
  return reinterpret_cast<Main>(found);
}

void stuck(const lab::Stuck& what) {
  give_up(exit_failed, "the run is stuck\n%s", what.report.c_str());
}

bool guest_is_running = false;

// The guest called exit(): there is no result of a run then, and the guest's exit code must not look like one.
void at_exit() {
  if (guest_is_running) {
    give_up(exit_failed, "the guest ended the process within the run");
  }
}

bool is_of_sockets(lab::Op op) {
  using lab::Op;
  return op == Op::socket || op == Op::listen || op == Op::accept || op == Op::connect || op == Op::send ||
         op == Op::recv;
}

// Order is what a run's threads did, one after the other: without lengths, and without the seed.
struct Order {
  std::uint64_t hash = 0;
  std::uint64_t sockets = 0;
};

Order order_of(const std::vector<lab::Event>& trace) {
  Order order;
  for (const lab::Event& event : trace) {
    order.hash = mix64(order.hash ^ (static_cast<std::uint64_t>(event.thread) << 8) ^ static_cast<unsigned>(event.op));
    order.sockets += is_of_sockets(event.op) ? 1 : 0;
  }
  return order;
}

int run_guest(const Asked& asked, bool fixed, int argc, char** argv) {
  lab::fix_entropy(asked.options.seed);
  const Main guest = load(argv[asked.guest_at]);
  if (const Status interposed = lab::interposed(); !interposed) {
    give_up(exit_environment, "%s", std::string(interposed.error().detail()).c_str());
  }
  std::atexit(at_exit);
  int code = 0;
  guest_is_running = true;
  const lab::Outcome outcome =
      lab::run(asked.options, [&] { code = guest(argc - asked.guest_at, argv + asked.guest_at); }, stuck);
  guest_is_running = false;
  const Order order = order_of(outcome.trace);
  const std::string policy(lab::word(outcome.policy));
  std::printf("exit=%d policy=%s points=%" PRIu64 " events=%" PRIu64 " switches=%zu sockets=%" PRIu64
              " order=%016" PRIx64 " schedule=%016" PRIx64 " bytes=%016" PRIx64 " addresses=%s\n",
              code, policy.c_str(), outcome.points, outcome.events, outcome.switches.size(), order.sockets, order.hash,
              outcome.schedule_hash, outcome.byte_hash, fixed ? "fixed" : "random");
  if (code != 0) {
    std::fprintf(stderr, "lab_host: the guest failed\n");
  } else if (order.sockets == 0) {
    std::fprintf(stderr, "lab_host: vacuous: the guest used no socket of the lab\n");
  }
  return code == 0 && order.sockets > 0 ? 0 : exit_failed;
}

// Pass is one run in a process of its own.
struct Pass {
  int code = 0;
  std::string line;  // the last one of its standard output
};

Pass run_in_process(char** arguments) {
  std::array<int, 2> ends{};
  posix_spawn_file_actions_t actions;
  pid_t child = 0;
  if (pipe(ends.data()) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
      posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) != 0 ||
      posix_spawn_file_actions_addclose(&actions, ends[0]) != 0 ||
      posix_spawn_file_actions_addclose(&actions, ends[1]) != 0 ||
      posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments, environ) != 0) {
    give_up(exit_environment, "no process for a run: %s", std::strerror(errno));
  }
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string said;
  std::array<char, 4096> part;
  for (ssize_t size; (size = read(ends[0], part.data(), part.size())) > 0;) {
    said.append(part.data(), static_cast<std::size_t>(size));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  while (!said.empty() && said.back() == '\n') {
    said.pop_back();
  }
  const std::size_t before = said.rfind('\n');
  return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : exit_failed,
          .line = before == std::string::npos ? said : said.substr(before + 1)};
}

// comparable is a pass's line as far as it must be the same in the next process.
std::string comparable(const Pass& pass, bool fixed) {
  return fixed ? pass.line : pass.line.substr(0, pass.line.find(" bytes="));
}

int run_twice(bool fixed, int argc, char** argv) {
  // The first such word is ours; behind the guest it would be the guest's own.
  std::vector<char*> arguments(argv, argv + argc);
  arguments.erase(std::ranges::find(arguments, std::string_view("--repeat")));
  arguments.push_back(nullptr);
  const Pass first = run_in_process(arguments.data());
  const Pass second = run_in_process(arguments.data());
  std::printf("%s\n", first.line.c_str());
  if (first.code != second.code || comparable(first, fixed) != comparable(second, fixed)) {
    std::printf("%s\n", second.line.c_str());
    give_up(exit_failed, "DIVERGED: two runs of the same seed differ");
  }
  return first.code;
}

}  // namespace

int main(int argc, char** argv) {
  Asked asked = read_arguments(argc, argv);
  const auto randomised = lab::fix_addresses();
  if (randomised) {
    std::fprintf(stderr, "lab_host: %s; bytes may differ from process to process\n", randomised->c_str());
  }
  if (asked.repeat) {
    return run_twice(!randomised, argc, argv);
  }
  asked.options.record = true;
  return run_guest(asked, !randomised, argc, argv);
}
