// Agenda: which scenarios a `tlsrig run` consists of, and in which order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "harness/cli/options.h"
#include "harness/scenario/verdict.h"

namespace rig::cli {

// Agenda hands out the cases, seed by seed. In the lab a suite of few cells gets more seeds than one of many, unless
// the command says which. In mixed order the suites take turns. Where allocations are to fail, each green case is
// followed by its runs without memory: one for each place that allocates, and each mode.
class Agenda {
 public:
  // `command` must outlive it.
  Agenda(const RunCommand& command, std::vector<Case> cases);

  // expected is how many there will be; 0 if time or what the runs show decides.
  std::size_t expected() const;

  // next is what comes after `seconds` of running; nothing if all is handed out.
  std::optional<Scenario> next(double seconds);

  // follow hears how a scenario has ended; follows says that this has made more of them.
  void follow(const Scenario& scenario, const Verdict& verdict);
  bool follows() const { return !following_.empty(); }

 private:
  bool by_quota() const;
  Scenario take();
  void step();

  const RunCommand& command_;
  const std::vector<Case> cases_;
  std::vector<std::uint64_t> last_seeds_;  // of each case
  std::deque<Scenario> following_;
  std::size_t at_ = 0;
  std::uint64_t seed_ = 1;
};

}  // namespace rig::cli
