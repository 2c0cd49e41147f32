// Writes seed corpora from the suites: the tiny scenario of each, as it would be run in the lab.
//
//   fuzz_seeds completion|scenario_text FOLDER
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "fuzz/fitted.h"
#include "harness/scenario/text.h"
#include "harness/subjects/subjects.h"
#include "stress/suite.h"

namespace {

using rig::Cell;

constexpr int exit_usage = 2;
constexpr std::string_view library = "openssl";

// The cells take turns, so that each version and way of completion is there with half of the suites.
Cell cell_number(std::size_t number) {
  Cell cell;
  cell.client = cell.server = library;
  cell.world = rig::World::lab;
  cell.tls = number % 2 == 0 ? rig::TlsChoice::tls12 : rig::TlsChoice::tls13;
  cell.fast_track = number % 4 < 2;
  return cell;
}

// The first cell from `number` on that the suite fits; none if it fits none.
const Cell* find_cell(const rig::Suite& suite, std::size_t number, const rig::Abilities& abilities, Cell& found) {
  for (std::size_t i = 0; i < 4; ++i) {
    found = cell_number(number + i);
    if (!suite.unfit(found, abilities).has_value()) {
      return &found;
    }
  }
  return nullptr;
}

bool write(const std::filesystem::path& folder, const rig::Scenario& scenario, std::string_view name) {
  std::ofstream file(folder / (std::string(name) + ".scn"), std::ios::binary);
  file << rig::print_scenario(scenario);
  return static_cast<bool>(file);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view target = argc == 3 ? argv[1] : "";
  if (target != "completion" && target != "scenario_text") {
    std::fprintf(stderr, "usage: fuzz_seeds completion|scenario_text FOLDER\n");
    return exit_usage;
  }
  const auto house = rig::find_subject("house");
  if (!house.has_value()) {
    return EXIT_FAILURE;
  }
  const std::uint32_t can = (*house)->capabilities(std::string(library).c_str());
  std::filesystem::create_directories(argv[2]);
  std::size_t number = 0;
  for (const rig::Suite* suite : rig::suites()) {
    Cell cell;
    if (find_cell(*suite, number++, {.client = can, .server = can}, cell) == nullptr) {
      continue;
    }
    rig::Scenario scenario = suite->make(cell, rig::Size::tiny, 1);
    if (target == "completion") {
      scenario = rig::fitted(std::move(scenario), library);
    }
    if (!write(argv[2], scenario, suite->name)) {
      std::fprintf(stderr, "%s cannot be written to\n", argv[2]);
      return EXIT_FAILURE;
    }
  }
  return EXIT_SUCCESS;
}
