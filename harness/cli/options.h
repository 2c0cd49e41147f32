// Options: the command line, checked. Only options.cc knows CLI11.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "harness/cli/words.h"
#include "harness/scenario/runner.h"
#include "harness/scenario/scenario.h"
#include "stress/suite.h"
#include "stress/weather.h"

namespace rig::cli {

// ExitCode is how the command ends, as scripts see it.
enum ExitCode : int {
  exit_green = 0,          // all as expected
  exit_not_green = 1,      // a violation, a crash, a hang or a vacuous run
  exit_usage = 2,          // wrong usage
  exit_lacking = 3,        // the environment lacks something
  exit_interrupted = 130,  // SIGINT, SIGTERM or SIGHUP
};

// Refusal is why a command cannot be done: one sentence for a person, and the exit code.
struct Refusal {
  ExitCode code = exit_usage;
  std::string sentence;
};

// Selection is which cases of the matrix are meant; what is empty does not narrow it.
struct Selection {
  std::vector<std::string> suites;
  std::string client;
  std::string server;
  std::string backend;  // on either side
  std::optional<TlsChoice> tls;
  std::optional<PollerChoice> poller;
  std::optional<bool> fast_track;
  std::optional<Auth> auth;  // in the place of what each cell has
  Matrix matrix = Matrix::quick;
  std::string subject = "house";
  World world = World::loopback;
};

// NoMemory is how allocations fail: one alone, or each from there on, or both in turn.
enum class NoMemory : std::uint8_t { once, sticky, both };

// Order is how the cases of one seed follow each other. mixed: the suites take turns, and the cells of each come as the
// first seed shuffles them, so that a short run meets a bit of everything.
enum class Order : std::uint8_t { listed, mixed };

// RunCommand is `tlsrig run`.
struct RunCommand {
  Selection selection;
  Size size = Size::quick;
  Seeds seeds;
  LawScope laws = LawScope::all;
  bool seeds_given = false;  // else, in the lab, as many as make `runs_per_suite`
  std::uint64_t runs_per_suite = 100;
  Weather weather = Weather::by_seed;                 // in the lab
  bool once = false;                                  // in the lab: nothing is run a second time and compared
  std::size_t no_memory_every = 1;                    // only each so manieth of the places of no_memory
  std::optional<NoMemory> no_memory;                  // in the lab: each allocation of the subject fails in turn
  std::optional<std::chrono::milliseconds> duration;  // seed after seed until it has passed
  Order order = Order::listed;
  bool stop_first = false;  // the first verdict that is not green ends the run
  std::size_t jobs = 1;
  std::optional<std::string> report_folder;
  std::optional<std::string> keep_folder;
  std::chrono::milliseconds case_limit{};
  bool json = false;
};

// ListCommand is `tlsrig list`.
struct ListCommand {
  std::string what;
  Selection selection;
  std::string ctest_program;  // not empty: write ctest lines that run this program
  std::string output;         // empty: standard output
  bool json = false;
};

// ReplayCommand is `tlsrig replay`.
struct ReplayCommand {
  std::string file;
  std::string subject;  // empty: the one that the file names
  std::chrono::milliseconds case_limit{};
  bool in_process = false;
  std::string trace_file;  // of a run in the lab
  bool debugger = false;   // under gdb
  bool json = false;
};

// ShrinkCommand is `tlsrig shrink`.
struct ShrinkCommand {
  std::string file;
  std::string subject;  // empty: the one that the file names
  std::string output;   // empty: beside the file
  std::chrono::milliseconds case_limit{};
};

// DoctorCommand is `tlsrig doctor`.
struct DoctorCommand {
  bool json = false;
};

// ReportCommand is `tlsrig report`.
struct ReportCommand {
  std::string folder;
};

// ProbeCommand is `tlsrig probe`.
struct ProbeCommand {
  bool poison = false;
  bool json = false;
  std::vector<std::string> program;  // with its arguments
};

// HelpCommand prints a text that was asked for.
struct HelpCommand {
  std::string text;
};

// Command is what the command line asks for.
using Command = std::variant<RunCommand, ListCommand, ReplayCommand, ShrinkCommand, DoctorCommand, ReportCommand,
                             ProbeCommand, HelpCommand>;

// parse_command_line reads it. Words that depend on the build (suites, libraries, subjects) are checked later.
std::expected<Command, Refusal> parse_command_line(int argc, const char* const* argv);

}  // namespace rig::cli
