// Policy: who goes on? Answers from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "harness/base/prng.h"
#include "harness/lab/lab.h"

namespace rig::lab {

// Policy chooses among the threads that can run. PCT is the algorithm of Burckhardt, Kothari, Musuvathi and
// Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding bugs" (2010), with two additions: a
// thread that yields, or that goes on for 1,000 points without waiting, goes behind all others. As published it starves
// a program in which one thread spins until another has done something.
class Policy {
 public:
  // `expected_points` is how long the run may be, for the change points of PCT.
  Policy(PolicyKind kind, Prng prng, std::uint64_t expected_points);

  PolicyKind kind() const { return kind_; }

  // choose answers who goes on at a point of `from`, which is among the threads that can run unless it waits.
  // `by_default` is who would go on without a policy. `threads` are all of the run, at least one of them runnable.
  ThreadId choose(const std::vector<std::unique_ptr<Thread>>& threads, std::size_t runnable, const Thread& from,
                  ThreadId by_default, std::uint64_t point);

  // added says that there is a thread more.
  void added(ThreadId thread);

 private:
  ThreadId any(const std::vector<std::unique_ptr<Thread>>& threads, std::size_t runnable);
  ThreadId highest(const std::vector<std::unique_ptr<Thread>>& threads) const;
  ThreadId by_priority(const std::vector<std::unique_ptr<Thread>>& threads, const Thread& from, std::uint64_t point);

  PolicyKind kind_;
  Prng prng_;
  // PCT: a higher number goes first. Change points are sorted, the next one last.
  std::vector<std::int64_t> priorities_;
  std::vector<std::uint64_t> change_points_;
  std::int64_t lowest_ = 0;
  std::uint64_t since_wait_ = 0;
  ThreadId last_ = 0;
};

// policy_for_seed is the portfolio: uniform finds most in tiny programs, sticky and PCT in long ones. A uniform run has
// several times the switches of the others and takes as much longer, so that its share is below a third.
PolicyKind policy_for_seed(std::uint64_t seed);

}  // namespace rig::lab
