// Hunting a planted bug: seed after seed in a process of its own, then the smallest list of switches, then replays.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/lab/lab.h"

namespace rig::lab {

// Prey is a small program with a bug in it. It runs as the body of a lab run and answers whether all was well; it may
// also crash, or get stuck.
using Prey = bool (*)();

// Sighting is how one run of a prey ended.
struct Sighting {
  enum class Kind : std::uint8_t { well, wrong, stuck, crashed } kind = Kind::well;
  std::uint64_t events = 0;
  std::uint64_t schedule_hash = 0;
  std::vector<Switch> switches;
  std::string output;  // what it said: the report of a stuck run, or of a sanitizer
  bool bad() const { return kind != Kind::well; }
};

// look runs the prey once, in a child of this process.
Sighting look(Prey prey, const Options& options);

// Catch is a bug that was found.
struct Catch {
  std::uint64_t seed = 0;
  std::uint64_t runs_to_find = 0;
  double cpu_seconds = 0;  // of all processes, until it was found
  Sighting first;
  std::vector<Switch> switches;  // as few as were found to suffice
};

// hunt looks at seed after seed, at most `seeds_max`, and shrinks the first bad one. Nothing: none was bad.
std::optional<Catch> hunt(Prey prey, std::uint64_t seeds_max);

}  // namespace rig::lab
