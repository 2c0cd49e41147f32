// Runs of one workload over many seeds, as the tests of this folder make them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <set>

#include "harness/lab/lab.h"

namespace rig::lab {

inline constexpr std::uint64_t seeds = 200;

inline Options with_seed(std::uint64_t seed) {
  Options options;
  options.seed = seed;
  return options;
}

// pass_time waits in virtual time, until every other thread has come as far as it can. Thread: of a run.
inline void pass_time(std::chrono::nanoseconds span) {
  block({.op = Op::sleep, .keys = {}, .deadline_ns = now_ns() + span.count()});
}

// Schedules is what the runs came to: the number of different schedules, and the largest number of threads.
struct Schedules {
  std::size_t different = 0;
  std::uint32_t threads_max = 0;
};

// run_seeds runs `body` twice with each seed and expects the same schedule both times, and several over all seeds.
// `body` must make all its objects anew.
inline Schedules run_seeds(const std::function<void()>& body) {
  std::set<std::uint64_t> shapes;
  Schedules schedules;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Outcome first = run(with_seed(seed), body);
    const Outcome second = run(with_seed(seed), body);
    EXPECT_EQ(first.schedule_hash, second.schedule_hash) << "seed " << seed;
    EXPECT_EQ(first.points, second.points) << "seed " << seed;
    EXPECT_EQ(first.switches, second.switches) << "seed " << seed;
    if (testing::Test::HasFailure()) {
      break;
    }
    std::uint64_t shape = first.points;
    for (const Switch& entry : first.switches) {
      shape = mix64(shape ^ mix64((entry.step << 16) ^ (static_cast<std::uint64_t>(entry.thread) << 8) ^ entry.next));
    }
    shapes.insert(shape);
    schedules.threads_max = std::max(schedules.threads_max, first.threads);
  }
  schedules.different = shapes.size();
  EXPECT_GT(schedules.different, 1U);
  return schedules;
}

}  // namespace rig::lab
