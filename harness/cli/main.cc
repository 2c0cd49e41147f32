// The tlsrig command.
#include <cstdio>
#include <exception>
#include <type_traits>
#include <variant>

#include "harness/cli/options.h"
#include "harness/cli/verbs.h"
#include "harness/scenario/runner.h"

namespace rig::cli {

int refuse(const Refusal& refusal) {
  std::fprintf(stderr, "tlsrig: %s\n", refusal.sentence.c_str());
  return refusal.code;
}

namespace {

// Doer calls the verb of a command.
struct Doer {
  int operator()(const RunCommand& command) const { return run_cases(command); }
  int operator()(const ListCommand& command) const { return list(command); }
  int operator()(const ReplayCommand& command) const { return replay(command); }
  int operator()(const ShrinkCommand& command) const { return shrink(command); }
  int operator()(const DoctorCommand& command) const { return doctor(command); }
  int operator()(const ReportCommand& command) const { return rewrite_report(command); }
  int operator()(const ProbeCommand& command) const { return probe(command); }
  int operator()(const HelpCommand& command) const {
    std::fputs(command.text.c_str(), stdout);
    return exit_green;
  }
};

int do_all(int argc, char** argv) {
  const auto command = parse_command_line(argc, argv);
  return command.has_value() ? std::visit(Doer{}, *command) : refuse(command.error());
}

}  // namespace
}  // namespace rig::cli

int main(int argc, char** argv) {
  if (const auto code = rig::run_as_child(argc, argv); code.has_value()) {
    return *code;
  }
  try {
    const int code = rig::cli::do_all(argc, argv);
    if (std::fflush(stdout) != 0) {
      std::fputs("tlsrig: standard output cannot be written\n", stderr);
      return rig::cli::exit_lacking;
    }
    return code;
  } catch (const std::exception& error) {  // the command's own memory has run out
    return rig::cli::refuse({rig::cli::exit_lacking, error.what()});
  }
}
