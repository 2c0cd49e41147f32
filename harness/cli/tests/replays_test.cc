// Replays: on each library, one seed is one run, down to the bytes. The first argument is how often each is made (10).
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "harness/cli/children.h"
#include "harness/cli/selection.h"
#include "harness/engine/backend.h"
#include "harness/scenario/lab_world.h"
#include "harness/scenario/runner.h"

namespace rig::cli {
namespace {

constexpr std::chrono::minutes limit{2};
constexpr std::size_t at_once = 2;

Scenario scenario_with(const Backend& backend) {
  Cell cell;
  cell.world = World::lab;
  cell.client = cell.server = backend.name();
  cell.tls = backend.capabilities().tls13 ? TlsChoice::tls13 : TlsChoice::tls12;
  return find_suite("bidir")->make(cell, Size::tiny, 7);
}

// Hashes is what the runs of one scenario came to.
struct Hashes {
  std::size_t runs = 0;
  std::set<std::uint64_t> schedules;
  std::set<std::uint64_t> bytes;
  std::string trouble;  // the first run that was not green
};

Hashes run_often(const Scenario& scenario, const rig_subject& subject, std::size_t count) {
  Hashes hashes;
  Children children(limit, -1);
  std::size_t started = 0;
  while (hashes.runs < count && hashes.trouble.empty()) {
    while (started < count && children.running() < at_once) {
      if (const Status status = children.start(started, scenario, subject); !status.has_value()) {
        hashes.trouble = status.error().detail();
        break;
      }
      ++started;
    }
    for (const Finished& one : children.collect(std::chrono::seconds(1))) {
      ++hashes.runs;
      if (one.verdict.kind != VerdictKind::pass || !one.verdict.lab.has_value()) {
        hashes.trouble = one.verdict.reason + "; " + one.output;
      } else {
        hashes.schedules.insert(one.verdict.lab->schedule_hash);
        hashes.bytes.insert(one.verdict.lab->byte_hash);
      }
    }
  }
  children.kill_all();
  return hashes;
}

// judge prints a line, and says whether all runs were one. The schedule's hash in it is to be the same in each build.
bool judge(const Backend& backend, const Hashes& hashes, bool fixed_addresses) {
  const std::string name(backend.name());
  if (!hashes.trouble.empty()) {
    std::printf("%s: a run was not green: %s\n", name.c_str(), hashes.trouble.c_str());
    return false;
  }
  std::printf("%s: %zu runs, %zu schedules (the first %016" PRIx64 "), %zu different bytes\n", name.c_str(),
              hashes.runs, hashes.schedules.size(), *hashes.schedules.begin(), hashes.bytes.size());
  std::fflush(stdout);
  return hashes.schedules.size() == 1 && (!fixed_addresses || hashes.bytes.size() == 1);
}

int replays(std::size_t count) {
  const auto entered = enter_lab();
  if (!entered.has_value()) {
    std::printf("the lab cannot be entered: %s\n", std::string(entered.error().detail()).c_str());
    return 3;
  }
  if (entered->has_value()) {
    std::printf("addresses are random here, so that bytes are not compared: %s\n", (*entered)->c_str());
  }
  const auto subject = load_subject("house");
  bool all_the_same = subject.has_value();
  for (const Backend* const backend : backends()) {
    const Capabilities& can = backend->capabilities();
    if (all_the_same && (can.tls12 || can.tls13)) {
      all_the_same = judge(*backend, run_often(scenario_with(*backend), **subject, count), !entered->has_value());
    }
  }
  return all_the_same ? 0 : 1;
}

}  // namespace
}  // namespace rig::cli

int main(int argc, char** argv) {
  if (const auto code = rig::run_as_child(argc, argv); code.has_value()) {
    return *code;
  }
  const std::size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10;
  if (count < 2) {
    std::printf("to compare takes two runs at least\n");
    return 2;
  }
  return rig::cli::replays(count);
}
