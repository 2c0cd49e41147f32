// The canary of X1 about time: a layer that takes one unit of time for another must turn a run red, in the lab.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "harness/scenario/runner.h"
#include "stress/suite.h"
#include "stress/tests/doctored_subject.h"

namespace rig {
namespace {

Verdict run_doctored(const char* suite, std::uint64_t seed, Doctoring doctoring) {
  Cell cell;
  cell.world = World::lab;
  return run_scenario(find_suite(suite)->make(cell, Size::tiny, seed), {.subject = make_doctored(doctoring)});
}

struct Limited {
  const char* suite;
  std::uint64_t seed = 1;
};
// In both seeds of the first one another deadline counts.
constexpr Limited limited_suites[] = {
    {"connect_deadline", 1}, {"connect_deadline", 2}, {"handshake_deadline"}, {"close_deadline"}};

TEST(Deadlines, X1_ATimeThatIsCountedInAnotherUnitIsReported) {
  for (const Doctoring doctoring : {Doctoring::hurries, Doctoring::dawdles}) {
    for (const Limited& one : limited_suites) {
      SCOPED_TRACE(std::string(one.suite) + (doctoring == Doctoring::dawdles ? " late" : " early"));
      const Verdict verdict = run_doctored(one.suite, one.seed, doctoring);
      EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
      ASSERT_FALSE(verdict.violations.empty()) << verdict_json(verdict);
      for (const Violation& violation : verdict.violations) {
        EXPECT_EQ(violation.law, Law::x1_outcome) << violation.message;
      }
    }
  }
}

TEST(CanaryDual, ADeadlineThatIsKeptIsSilent) {
  for (const Limited& one : limited_suites) {
    const Verdict verdict = run_doctored(one.suite, one.seed, Doctoring::nothing);
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  }
}

}  // namespace
}  // namespace rig
