#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "harness/cli/children.h"
#include "harness/cli/failure.h"
#include "harness/cli/progress.h"
#include "harness/cli/selection.h"
#include "harness/cli/verbs.h"
#include "harness/cli/words.h"
#include "harness/scenario/runner.h"
#include "harness/scenario/text.h"

namespace rig::cli {
namespace {

constexpr std::size_t scenario_bytes_max = std::size_t{1} << 20;

std::expected<Scenario, Refusal> read_scenario(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(scenario_bytes_max + 1, '\0');
  if (file) {
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
  }
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    return std::unexpected(Refusal{exit_usage, path + ": " + std::strerror(errno == 0 ? EIO : errno)});
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  auto parsed = parse_scenario(text);
  if (!parsed.has_value()) {
    const SyntaxError& error = parsed.error();
    return std::unexpected(Refusal{exit_usage, path + ":" + std::to_string(error.line) + ":" +
                                                   std::to_string(error.column) + ": " + error.message});
  }
  return std::move(*parsed);
}

std::expected<Finished, Refusal> run_one(const ReplayCommand& command, const Scenario& scenario,
                                         const rig_subject& subject) {
  if (command.in_process) {
    RunOptions options;
    options.subject = &subject;
    return Finished{.id = 0, .verdict = run_scenario(scenario, options), .output = {}};
  }
  Children children(command.case_limit, -1);
  if (const Status started = children.start(0, scenario, subject); !started.has_value()) {
    return std::unexpected(Refusal{exit_lacking, std::string(started.error().detail())});
  }
  std::vector<Finished> finished;
  while (finished.empty()) {
    finished = children.collect(std::chrono::seconds(1));
  }
  return std::move(finished.front());
}

}  // namespace

int replay(const ReplayCommand& command) {
  auto scenario = read_scenario(command.file);
  if (!scenario.has_value()) {
    return refuse(scenario.error());
  }
  if (!command.subject.empty()) {
    scenario->cell.subject = command.subject;
  }
  if (scenario->cell.world == World::lab) {
    return refuse({exit_lacking, command.file + " runs in the lab world, which this build does not have"});
  }
  const auto subject = load_subject(scenario->cell.subject);
  if (!subject.has_value()) {
    return refuse({exit_lacking, subject.error().sentence});
  }
  auto finished = run_one(command, *scenario, **subject);
  if (!finished.has_value()) {
    return refuse(finished.error());
  }
  Verdict& verdict = finished->verdict;
  verdict.repro = "tlsrig replay " + shell_word(command.file);
  if (command.json) {
    std::printf("%s\n", verdict_json(verdict).c_str());
  } else {
    Progress progress(stdout, 1);
    show_verdict(progress, *finished);
  }
  if (verdict.kind == VerdictKind::hang && command.in_process) {
    std::fflush(nullptr);
    std::_Exit(exit_not_green);  // threads are stuck: nothing can be taken down in order
  }
  return verdict.kind == VerdictKind::pass   ? exit_green
         : verdict.kind == VerdictKind::skip ? exit_lacking
                                             : exit_not_green;
}

}  // namespace rig::cli
