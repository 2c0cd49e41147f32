// The canary of X1 about time: a layer that takes one unit of time for another must turn a run red, in the lab.
#include <gtest/gtest.h>

#include <cstdint>

#include "harness/scenario/runner.h"
#include "harness/subjects/house.h"
#include "stress/suite.h"

namespace rig {
namespace {

// What the layer makes of each limit of a connection.
struct Scale {
  std::uint64_t times = 1;
  std::uint64_t parts = 1;
};
Scale scale;

rig_socket_config scaled(const rig_socket_config& config) {
  rig_socket_config changed = config;
  for (std::uint64_t* limit : {&changed.connect_timeout_us, &changed.handshake_timeout_us, &changed.close_timeout_us}) {
    *limit = *limit * scale.times / scale.parts;
  }
  return changed;
}

const rig_subject* make_scaled(Scale wanted) {
  static rig_subject table;
  scale = wanted;
  table = *house_subject();
  table.connect = [](rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                     const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                     rig_socket** socket, rig_error* error) {
    const rig_socket_config changed = scaled(*config);
    return house_subject()->connect(loop, context, host, port, &changed, callbacks, user, socket, error);
  };
  table.listen = [](rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                    const rig_socket_config* config, const rig_listener_callbacks* callbacks, void* user,
                    rig_listener** listener, rig_error* error) {
    const rig_socket_config changed = scaled(*config);
    return house_subject()->listen(loop, context, host, port, &changed, callbacks, user, listener, error);
  };
  return &table;
}

Verdict run_scaled(const char* suite, std::uint64_t seed, Scale wanted) {
  Cell cell;
  cell.world = World::lab;
  return run_scenario(find_suite(suite)->make(cell, Size::tiny, seed), {.subject = make_scaled(wanted)});
}

struct Limited {
  const char* suite;
  std::uint64_t seed = 1;
};
// In both seeds of the first one another deadline counts.
constexpr Limited suites[] = {
    {"connect_deadline", 1}, {"connect_deadline", 2}, {"handshake_deadline"}, {"close_deadline"}};

TEST(Deadlines, X1_ATimeThatIsCountedInAnotherUnitIsReported) {
  for (const Scale wanted : {Scale{.times = 1, .parts = 4}, Scale{.times = 10, .parts = 1}}) {
    for (const Limited& one : suites) {
      SCOPED_TRACE(std::string(one.suite) + (wanted.times > 1 ? " late" : " early"));
      const Verdict verdict = run_scaled(one.suite, one.seed, wanted);
      EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
      ASSERT_FALSE(verdict.violations.empty()) << verdict_json(verdict);
      for (const Violation& violation : verdict.violations) {
        EXPECT_EQ(violation.law, Law::x1_outcome) << violation.message;
      }
    }
  }
}

TEST(CanaryDual, ADeadlineThatIsKeptIsSilent) {
  for (const Limited& one : suites) {
    const Verdict verdict = run_scaled(one.suite, one.seed, {});
    EXPECT_EQ(verdict.kind, VerdictKind::pass) << verdict_json(verdict);
  }
}

}  // namespace
}  // namespace rig
