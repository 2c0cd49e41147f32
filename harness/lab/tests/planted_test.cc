// The lab finds planted bugs, shrinks their schedules and repeats them; and it is silent about the mended programs.
#include "harness/lab/tests/planted.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <regex>
#include <string>

#include "harness/lab/tests/hunt.h"

namespace rig::lab {
namespace {

// A hunt that needs more seeds than this has lost its nose: most bugs below are met within ten.
constexpr std::uint64_t seeds_max = 1000;
constexpr std::size_t switches_max = 3;
constexpr int replays = 100;
constexpr std::uint64_t silent_seeds = 200;

struct Planted {
  const char* name;
  Prey bug;
  Prey mended;
  Sighting::Kind kind;
  const char* said;  // what the output must hold
};

void PrintTo(const Planted& planted, std::ostream* out) {
  *out << planted.name;
}

class PlantedBugTest : public testing::TestWithParam<Planted> {};

// What a report says, without the numbers of processes and without addresses: the parent that forks has another heap
// each time, and what lies around a freed block is not part of the run.
std::string essence(const std::string& report) {
  std::string text = report.substr(0, report.find("Shadow bytes around"));
  text = std::regex_replace(text, std::regex("==[0-9]+==|\\b[pt]id=[0-9]+"), "==");
  return std::regex_replace(text, std::regex("0x[0-9a-f]+"), "0x");
}

TEST_P(PlantedBugTest, IsFoundShrunkAndRepeated) {
  const Planted& planted = GetParam();
  const auto caught = hunt(planted.bug, seeds_max);
  ASSERT_TRUE(caught.has_value()) << "not found in " << seeds_max << " seeds";
  RecordProperty("runs_to_find", static_cast<int>(caught->runs_to_find));
  RecordProperty("cpu_ms_to_find", static_cast<int>(caught->cpu_seconds * 1000));
  RecordProperty("switches", static_cast<int>(caught->switches.size()));
  std::printf("%s: found by seed %llu after %.2f s of processor time, %zu switches of %zu\n", planted.name,
              static_cast<unsigned long long>(caught->seed), caught->cpu_seconds, caught->switches.size(),
              caught->first.switches.size());
  EXPECT_LE(caught->switches.size(), switches_max);
  Options options;
  options.seed = caught->seed;
  options.switches = caught->switches;
  // One call site for all runs: a sanitizer's report names its line.
  std::optional<Sighting> first;
  for (int i = 0; i <= replays; ++i) {
    Sighting again = look(planted.bug, options);
    if (!first) {
      first = std::move(again);
      ASSERT_TRUE(first->bad());
      EXPECT_NE(first->output.find(planted.said), std::string::npos) << first->output;
      continue;
    }
    ASSERT_EQ(again.kind, first->kind);
    ASSERT_EQ(again.schedule_hash, first->schedule_hash);
    ASSERT_EQ(again.events, first->events);
    ASSERT_EQ(essence(again.output), essence(first->output));
  }
}

TEST_P(PlantedBugTest, IsNotSeenInTheMendedProgram) {
  const Planted& planted = GetParam();
  for (std::uint64_t seed = 1; seed <= silent_seeds; ++seed) {
    Options options;
    options.seed = seed;
    const Sighting sighting = look(planted.mended, options);
    ASSERT_FALSE(sighting.bad()) << "seed " << seed << ": " << sighting.output;
  }
}

#ifdef RIG_WITH_ASAN
constexpr auto freed_kind = Sighting::Kind::crashed;
constexpr const char* freed_said = "heap-use-after-free";
#else
constexpr auto freed_kind = Sighting::Kind::wrong;
constexpr const char* freed_said = "";
#endif

INSTANTIATE_TEST_SUITE_P(
    Lab, PlantedBugTest,
    testing::Values(Planted{"encrypt_then_flush", encrypt_then_flush, encrypt_and_flush, Sighting::Kind::wrong, ""},
                    Planted{"opposite_locks", opposite_locks, ordered_locks, Sighting::Kind::stuck,
                            "waits in mutex_lock for"},
                    Planted{"freed_in_flight", freed_in_flight, kept_in_flight, freed_kind, freed_said},
#ifdef RIG_MEMORY_HOOKS
                    Planted{"lost_wake_up", lost_wake_up, kept_wake_up, Sighting::Kind::wrong, ""},
#endif
                    Planted{"check_then_act", check_then_act, check_and_act, Sighting::Kind::wrong, ""}),
    [](const auto& param) { return std::string(param.param.name); });

#ifdef RIG_MEMORY_HOOKS
// Without a lock in it, the program has no other points than its atomics.
TEST(MemoryHooks, MakeEachAtomicAPoint) {
  Options options;
  options.seed = 1;
  options.record = true;
  const Outcome outcome = run(options, [] { kept_wake_up(); });
  EXPECT_GE(std::ranges::count(outcome.trace, Op::memory, &Event::op), 20);
}
#endif

}  // namespace
}  // namespace rig::lab
