// LabPart: what a scenario says of the lab. On the real kernel it says nothing.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "harness/lab/fault.h"
#include "harness/lab/lab.h"

namespace rig {

// LibraryPoints says whether calls from inside a TLS library are points of the schedule.
enum class LibraryPoints : std::uint8_t { by_seed, on, off };

// LabPart is the schedule and the weather of a run in the lab.
struct LabPart {
  // policy `none` takes the switches, and the default order where none is listed; any other makes its own.
  lab::PolicyKind policy = lab::PolicyKind::by_seed;
  lab::Profile profile = lab::Profile::strict;
  std::uint32_t first_descriptor = 100;
  LibraryPoints library_points = LibraryPoints::by_seed;
  bool random_faults = false;
  std::vector<lab::Fault> faults;
  std::vector<lab::Switch> switches;
  // What a run came to when it was recorded; `events` 0: it was not. A replay compares.
  std::uint64_t schedule_hash = 0;
  std::uint64_t byte_hash = 0;
  std::uint64_t events = 0;
  friend bool operator==(const LabPart&, const LabPart&) = default;
};

// word is the word in texts.
std::string_view word(LibraryPoints points) noexcept;

}  // namespace rig
