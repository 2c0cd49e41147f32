// What the matrix promises: its size, what it covers, its names; and that suites are pure.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "harness/scenario/scenario_check.h"
#include "harness/scenario/text.h"
#include "harness/subjects/house.h"
#include "stress/matrix_json.h"
#include "stress/suite.h"

namespace rig {
namespace {

std::vector<Case> house_cases(Matrix matrix) {
  return cases(matrix, *house_subject());
}

// in_both_worlds are the cells of either world, each with its name. What only the lab has in hand is there alone.
std::vector<Case> in_both_worlds(Matrix matrix, const rig_subject& subject) {
  std::vector<Case> all;
  for (const World world : {World::loopback, World::lab}) {
    for (Case& one : cases(matrix, subject, world)) {
      one.cell.world = world;
      all.push_back(std::move(one));
    }
  }
  return all;
}

std::set<std::string> names(const std::vector<Case>& all) {
  std::set<std::string> found;
  for (const Case& one : all) {
    found.insert(case_name(one));
  }
  return found;
}

const char* on_off(bool value) {
  return value ? "on" : "off";
}

// axis_values is a case as the list of its value on each axis. It is written anew here, and not asked of the matrix.
std::vector<std::string> axis_values(const Case& one) {
  const Cell& cell = one.cell;
  return {"suite=" + std::string(one.suite->name),
          "client=" + cell.client,
          "server=" + cell.server,
          "tls=" + std::string(word(cell.tls)),
          "poller=" + std::string(word(cell.poller)),
          std::string("fast_track=") + on_off(cell.fast_track),
          "auth=" + std::string(word(cell.auth)),
          std::string("nodelay_client=") + on_off(cell.nodelay_client),
          std::string("nodelay_server=") + on_off(cell.nodelay_server),
          std::string("ipv6=") + on_off(cell.ipv6)};
}

using ValuePairs = std::map<std::pair<std::string, std::string>, std::string>;  // and a case that has them

ValuePairs value_pairs(const std::vector<Case>& all) {
  ValuePairs found;
  for (const Case& one : all) {
    const std::vector<std::string> values = axis_values(one);
    for (std::size_t i = 0; i < values.size(); ++i) {
      for (std::size_t j = i + 1; j < values.size(); ++j) {
        found.try_emplace({values[i], values[j]}, case_name(one));
      }
    }
  }
  return found;
}

TEST(MatrixSize, TheQuickOneHas400CellsWithAllThreeLibraries) {
  const std::string libraries = " " + std::string(house_subject()->libraries) + " ";
  for (const std::string library : {"openssl", "gnutls", "mbedtls", "null"}) {
    ASSERT_TRUE(libraries.contains(" " + library + " ")) << library << " is not built in";
  }
  const std::size_t quick = house_cases(Matrix::quick).size();
  const std::size_t full = house_cases(Matrix::full).size();
  std::cout << "quick matrix: " << quick << " cells, full matrix: " << full << " cells, " << suites().size()
            << " suites\n";
  EXPECT_GE(quick, 400u);
  EXPECT_GT(full, quick);
}

TEST(MatrixCover, EveryPairOfAxisValuesOfTheFullOneIsInTheQuickOne) {
  const ValuePairs quick = value_pairs(house_cases(Matrix::quick));
  for (const auto& [pair, example] : value_pairs(house_cases(Matrix::full))) {
    EXPECT_TRUE(quick.contains(pair)) << pair.first << " with " << pair.second << ", as in " << example;
  }
}

TEST(MatrixCover, EverySuiteIsOnEachBackendThatItFitsOnEitherSide) {
  const ValuePairs quick = value_pairs(in_both_worlds(Matrix::quick, *house_subject()));
  std::set<std::string> suites_met;
  for (const Case& one : in_both_worlds(Matrix::full, *house_subject())) {
    const std::string suite = "suite=" + std::string(one.suite->name);
    suites_met.insert(suite);
    EXPECT_TRUE(quick.contains({suite, "client=" + one.cell.client})) << suite << " " << one.cell.client;
    EXPECT_TRUE(quick.contains({suite, "server=" + one.cell.server})) << suite << " " << one.cell.server;
  }
  EXPECT_EQ(suites_met.size(), suites().size()) << "a suite fits no cell at all";
}

TEST(MatrixCover, ASubjectIsAskedOnThePollersThatItHasInEverySuite) {
  rig_subject of_poll_alone = *house_subject();
  of_poll_alone.pollers = RIG_POLLER_POLL;
  std::set<std::string_view> suites_that_fit;
  for (const Case& one : in_both_worlds(Matrix::full, *house_subject())) {
    if (one.cell.poller == PollerChoice::poll) {
      suites_that_fit.insert(one.suite->name);
    }
  }
  for (const Matrix matrix : {Matrix::full, Matrix::quick}) {
    std::set<std::string_view> suites_met;
    for (const Case& one : in_both_worlds(matrix, of_poll_alone)) {
      suites_met.insert(one.suite->name);
      EXPECT_EQ(one.cell.poller, PollerChoice::poll) << case_name(one);
    }
    EXPECT_EQ(suites_met, suites_that_fit);
  }
}

TEST(MatrixCover, TheQuickOneIsPartOfTheFullOne) {
  std::map<std::string, Cell> full;
  for (const Case& one : house_cases(Matrix::full)) {
    full.emplace(case_name(one), one.cell);
  }
  for (const Case& one : house_cases(Matrix::quick)) {
    ASSERT_TRUE(full.contains(case_name(one))) << case_name(one);
    EXPECT_EQ(full.at(case_name(one)), one.cell) << case_name(one);
  }
}

TEST(MatrixCover, EveryCellOfANamedRowIsInTheQuickOne) {
  const auto matrix = nlohmann::json::parse(matrix_json);
  const std::set<std::string> quick = names(house_cases(Matrix::quick));
  std::set<std::string> rows_met;
  for (const auto& row : matrix.at("rows")) {
    rows_met.insert(row.at("name"));
    EXPECT_EQ(row.at("preset"), "asan") << row.at("name");
    std::set<std::string> suites_met;
    for (const Case& one : house_cases(Matrix::full)) {
      if (one.cell.client == row.at("client").get<std::string>() &&
          one.cell.server == row.at("server").get<std::string>() &&
          word(one.cell.poller) == row.at("poller").get<std::string>() &&
          on_off(one.cell.fast_track) == row.at("fast_track").get<std::string>()) {
        suites_met.insert(std::string(one.suite->name));
        EXPECT_TRUE(quick.contains(case_name(one))) << row.at("name") << " has " << case_name(one);
      }
    }
    EXPECT_GE(suites_met.size(), 15u) << row.at("name");
  }
  EXPECT_EQ(rows_met, (std::set<std::string>{"select-openssl-fast-off-asan", "epoll-gnutls-fast-off-asan"}));
}

TEST(MatrixRows, AreThoseOfTheFileAndHaveTheirOwnCellsOnly) {
  ASSERT_EQ(rows().size(), 2u);
  const Row& row = rows().front();
  EXPECT_EQ(row.name, "select-openssl-fast-off-asan");
  EXPECT_EQ(row.preset, "asan");
  Cell cell;
  cell.client = cell.server = "openssl";
  cell.poller = PollerChoice::select;
  cell.fast_track = false;
  EXPECT_TRUE(row.has(cell));
  EXPECT_FALSE(rows().back().has(cell));
  Cell other_client = cell;
  other_client.client = "gnutls";
  Cell other_server = cell;
  other_server.server = "gnutls";
  Cell other_poller = cell;
  other_poller.poller = PollerChoice::poll;
  Cell other_track = cell;
  other_track.fast_track = true;
  for (const Cell& other : {other_client, other_server, other_poller, other_track}) {
    EXPECT_FALSE(row.has(other)) << cell_name(other);
  }
}

TEST(MatrixNames, AreUniqueAndAlwaysTheSame) {
  for (const Matrix matrix : {Matrix::quick, Matrix::full}) {
    const std::vector<Case> first = house_cases(matrix);
    const std::vector<Case> second = house_cases(matrix);
    EXPECT_EQ(names(first).size(), first.size());
    EXPECT_TRUE(std::ranges::equal(
        first, second, [](const Case& a, const Case& b) { return a.suite == b.suite && a.cell == b.cell; }));
  }
}

// Work is what the threads of a scenario ask for, at the largest sizes, over all connections and both directions.
struct Work {
  std::uint64_t ops = 0;
  std::uint64_t plain_bytes = 0;
};

// echoed says that the other side of `connection` sends back what `side` sends: then it is work twice.
bool echoed(const Scenario& scenario, Side side, std::uint32_t connection) {
  return std::ranges::any_of(scenario.reactions, [&](const Reaction& reaction) {
    return (reaction.verb == Verb::echo || reaction.verb == Verb::echo_elsewhere) && reaction.side != side &&
           reaction.connection.value_or(connection) == connection;
  });
}

Work work_of(const Scenario& scenario) {
  Work work;
  for (const Thread& thread : scenario.threads) {
    for (std::uint32_t connection = 0; connection < scenario.settings.connections; ++connection) {
      if (thread.connection.value_or(connection) != connection) {
        continue;
      }
      const std::uint64_t times = thread.copies * (echoed(scenario, thread.side, connection) ? 2u : 1u);
      for (const Step& step : thread.steps) {
        if (step.verb == Verb::send) {
          work.ops += times * step.count;
          work.plain_bytes += times * step.count * step.size_max;
        }
      }
    }
  }
  return work;
}

TEST(Suites, AskForLittleAtTheTinySize) {
  for (const Case& one : in_both_worlds(Matrix::full, *house_subject())) {
    const Work work = work_of(one.suite->make(one.cell, Size::tiny, 1));
    if (!one.suite->has_tiny) {
      EXPECT_EQ(work.plain_bytes, work_of(one.suite->make(one.cell, Size::quick, 1)).plain_bytes) << case_name(one);
      continue;
    }
    EXPECT_LE(work.ops, 64u) << case_name(one);
    EXPECT_LE(work.plain_bytes, 256u * 1024) << case_name(one);
  }
}

TEST(Suites, AreCountedWithEveryConnectionCopyAndEcho) {
  Scenario scenario;
  scenario.settings.connections = 3;
  Step send;
  send.verb = Verb::send;
  send.count = 5;
  send.size_min = 1;
  send.size_max = 100;
  scenario.threads.push_back({.side = Side::client, .connection = {}, .copies = 2, .steps = {send}});
  scenario.threads.push_back({.side = Side::server, .connection = 1, .copies = 1, .steps = {send}});
  EXPECT_EQ(work_of(scenario).ops, 35u);
  EXPECT_EQ(work_of(scenario).plain_bytes, 3500u);
  scenario.reactions.push_back({.side = Side::server, .connection = 2, .event = Event::data, .verb = Verb::echo});
  EXPECT_EQ(work_of(scenario).ops, 45u);
  EXPECT_EQ(work_of(scenario).plain_bytes, 4500u);
}

// listed_tests are the tests that the GoogleTest program of the suites lists.
std::set<std::string> listed_tests(const std::string& environment) {
  const std::string command = environment + " \"" RIG_STRESS_PROGRAM "\" --gtest_list_tests";
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  std::string text;
  for (char chunk[4096]; pipe != nullptr && std::fgets(chunk, sizeof chunk, pipe) != nullptr;) {
    text += chunk;
  }
  EXPECT_EQ(pipe != nullptr ? ::pclose(pipe) : -1, 0) << command;
  std::set<std::string> found;
  std::istringstream lines(text);
  std::string suite;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  ")) {
      found.insert(suite + line.substr(2));
    } else {
      suite = line;
    }
  }
  return found;
}

// exit_code_of is how the program of the suites ends, in a shell's words.
int exit_code_of(const std::string& environment, const std::string& arguments) {
  const std::string command = environment + " \"" RIG_STRESS_PROGRAM "\" " + arguments + " >/dev/null 2>&1";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(StressProgram, RefusesASeedThatIsNoNumber) {
  const std::string one = "--gtest_filter=send_load.null~null.plain.epoll.fast_on";
  EXPECT_EQ(exit_code_of("TLSRIG_MATRIX=full TLSRIG_SIZE=tiny TLSRIG_SEED=18446744073709551615", one), 0);
  for (const char* seed : {"abc", "1x", "-1", "18446744073709551616"}) {
    EXPECT_EQ(exit_code_of("TLSRIG_MATRIX=full TLSRIG_SIZE=tiny TLSRIG_SEED=" + std::string(seed), one), 2) << seed;
  }
}

TEST(StressProgram, RefusesAFilterThatMatchesNothing) {
  EXPECT_EQ(exit_code_of("", "--gtest_filter=no_such_suite.*"), 2);
  EXPECT_EQ(exit_code_of("GTEST_TOTAL_SHARDS=2 GTEST_SHARD_INDEX=0", "--gtest_filter=no_such_suite.*"), 0);
}

TEST(MatrixNames, AreThoseOfTheGoogleTests) {
  EXPECT_EQ(listed_tests("TLSRIG_MATRIX=quick"), names(house_cases(Matrix::quick)));
  EXPECT_EQ(listed_tests("TLSRIG_MATRIX=full"), names(house_cases(Matrix::full)));
}

TEST(Suites, AreFoundByTheirNamesOnly) {
  for (const Suite* suite : suites()) {
    EXPECT_EQ(find_suite(suite->name), suite);
    EXPECT_FALSE(suite->sentence.empty());
  }
  EXPECT_EQ(find_suite("no_such_suite"), nullptr);
}

TEST(Suites, ArePureAndTheirScenariosMeanSomethingAndSurviveTheText) {
  for (const Case& one : in_both_worlds(Matrix::full, *house_subject())) {
    for (const Size size : {Size::tiny, Size::quick, Size::full}) {
      const Scenario scenario = one.suite->make(one.cell, size, 7);
      ASSERT_EQ(scenario, one.suite->make(one.cell, size, 7)) << case_name(one);
      EXPECT_EQ(scenario.suite, one.suite->name);
      EXPECT_EQ(scenario.cell, one.cell) << case_name(one);
      EXPECT_EQ(scenario.size, size) << case_name(one);
      EXPECT_EQ(scenario.seed, 7u) << case_name(one);
      EXPECT_FALSE(scenario.reaches.empty()) << case_name(one) << " demands no situation";
      EXPECT_EQ(check_scenario(scenario), std::nullopt) << case_name(one);
      const auto parsed = parse_scenario(print_scenario(scenario));
      ASSERT_TRUE(parsed.has_value()) << case_name(one) << ", line " << parsed.error().line << ": "
                                      << parsed.error().message;
      ASSERT_EQ(*parsed, scenario) << print_scenario(scenario);
    }
  }
}

}  // namespace
}  // namespace rig
