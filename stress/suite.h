// Suite: a generator of scenarios for one class of situation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/scenario/scenario.h"
#include "harness/subjects/subject.h"

namespace rig {

// Abilities is what the two sides of a cell can do: rig_subject::capabilities() of either library.
struct Abilities {
  std::uint32_t client = 0;
  std::uint32_t server = 0;
};

// Suite makes the scenario of a cell. Each lives in stress/NAME.cc and is listed by a stress_suite(NAME) line.
struct Suite {
  std::string_view name;
  std::string_view sentence;  // what situation it makes, for `tlsrig list suites`
  // unfit is why the suite does not apply to a cell (in words), or nothing if it does. Cells that do not apply are not
  // part of the matrix.
  std::optional<std::string> (*unfit)(const Cell& cell, const Abilities& abilities);
  // make is the scenario for a cell, a size and a seed: the same for the same arguments, always.
  Scenario (*make)(const Cell& cell, Size size, std::uint64_t seed);
  bool has_tiny = true;  // false: its situation is one of much data, and its tiny size is as large as its quick one
};

// suites lists them all, by name. Defined by the build from stress_suite() lines.
std::span<const Suite* const> suites();

// find_suite is the suite with that name, or null.
const Suite* find_suite(std::string_view name);

// Case is one point of the matrix: a suite at a cell.
struct Case {
  const Suite* suite;
  Cell cell;
};

// case_name is "send_load.openssl~gnutls.tls12.epoll.fast_off": suite and cell_name().
std::string case_name(const Case& one);

// name_hash is what is spread over cells by their name: always the same for a name.
std::uint64_t name_hash(std::string_view name);

// Row is a part of the matrix that has a name: every suite at one pairing, poller and fast track, in the build of one
// CMake preset.
struct Row {
  std::string name;
  std::string preset;
  std::string client;
  std::string server;
  PollerChoice poller = PollerChoice::epoll;
  bool fast_track = true;

  // has says whether `cell` is one of the row, in whichever build.
  bool has(const Cell& cell) const;
};

// rows lists those of ci/matrix.json.
const std::vector<Row>& rows();

// Matrix is which cells are taken: `quick` covers every pair of axis values, every suite on every backend and every
// cell of a named row, `full` is every suite x fast track x poller x client~server pairing x version that applies.
enum class Matrix : std::uint8_t { quick, full };

// cases lists the matrix of `subject` in `world`, in a fixed order without doubles; its cells do not name a world yet.
// Authentication and nodelay on either side are spread over the cells by a fixed rule of the name.
std::vector<Case> cases(Matrix matrix, const rig_subject& subject, World world = World::loopback);

}  // namespace rig
