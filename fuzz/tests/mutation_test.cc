// What mutation makes of scenarios can always be run.
#include "fuzz/mutation.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "fuzz/fitted.h"
#include "harness/scenario/scenario_check.h"
#include "harness/scenario/text.h"
#include "harness/subjects/subjects.h"

namespace rig {
namespace {

class Mutation : public testing::TestWithParam<const char*> {};

void expect_fit(const Scenario& scenario, const std::string& backend) {
  const std::string text = print_scenario(scenario);
  EXPECT_EQ(check_scenario(scenario).value_or(""), "") << text;
  const auto read = parse_scenario(text);
  ASSERT_TRUE(read.has_value()) << text << read.error().message;
  EXPECT_TRUE(*read == scenario) << text << "is read as\n" << print_scenario(*read);
  EXPECT_TRUE(fitted(scenario, backend) == scenario) << text << "is fitted to\n"
                                                     << print_scenario(fitted(scenario, backend));
  EXPECT_LE(scenario.settings.connections, FuzzLimits::connections);
  EXPECT_EQ(scenario.cell.world, World::lab);
}

TEST_P(Mutation, WhatComesOfItIsRepairedOnceAndThenStays) {
  Prng prng(7);
  Scenario scenario = opening(GetParam());
  expect_fit(scenario, GetParam());
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    const Scenario before = scenario;
    mutate(scenario, prng);
    if (i % 5 == 0) {
      scenario = crossed(std::move(scenario), before, prng);
    }
    scenario = fitted(std::move(scenario), GetParam());
    expect_fit(scenario, GetParam());
  }
}

TEST_P(Mutation, ComesToEveryVerbFaultAndWayToWait) {
  Prng prng(1);
  Scenario scenario = opening(GetParam());
  std::set<Verb> verbs;
  std::set<Condition> conditions;
  std::set<lab::FaultKind> faults;
  std::size_t calm = 0;
  for (int i = 0; i < 20'000; ++i) {
    mutate(scenario, prng);
    scenario = fitted(std::move(scenario), GetParam());
    calm += is_calm(scenario) ? 1 : 0;
    for (const Reaction& reaction : scenario.reactions) {
      verbs.insert(reaction.verb);
    }
    for (const Thread& thread : scenario.threads) {
      for (const Step& step : thread.steps) {
        verbs.insert(step.verb);
        conditions.insert(step.condition);
      }
    }
    for (const lab::Fault& fault : scenario.lab.faults) {
      faults.insert(fault.kind);
    }
    if (i % 50 == 0) {
      scenario = opening(GetParam());
    }
  }
  const bool tls = std::string(GetParam()) != "null";
  const bool tls13 = std::string(GetParam()) != "mbedtls" && tls;
  EXPECT_EQ(verbs.size() + (tls ? 0 : 1) + (tls13 ? 0 : 1), words<Verb>().size());
  EXPECT_EQ(conditions.size() + (tls ? 0 : 1) + (tls13 ? 0 : 1), words<Condition>().size());
  EXPECT_EQ(faults.size() + 1, words<lab::FaultKind>().size());  // without no_memory
  EXPECT_GT(calm, 1000U);
}

INSTANTIATE_TEST_SUITE_P(, Mutation, testing::Values("openssl", "null"),
                         [](const testing::TestParamInfo<const char*>& one) { return one.param; });

// settings_met is what stands behind `set` in what mutation makes.
std::set<std::string> settings_met(const std::string& library) {
  Prng prng(3);
  Scenario scenario = opening(library);
  std::set<std::string> met;
  for (int i = 0; i < 10'000; ++i) {
    mutate(scenario, prng);
    scenario = fitted(std::move(scenario), library);
    std::istringstream text(print_scenario(scenario));
    for (std::string word, name; text >> word;) {
      if (word == "set" && text >> name) {
        met.insert(name);
      }
    }
  }
  return met;
}

TEST(Settings, ComesToEachThatAFuzzerMayTurn) {
  std::set<std::string> wanted{"close_timeout_us",
                               "connections",
                               "handshake_timeout_us",
                               "kernel_recv_bytes",
                               "kernel_send_bytes",
                               "loop_per_client",
                               "one_loop",
                               "peer",
                               "queue_bytes",
                               "queue_ops",
                               "relay",
                               "renegotiation",
                               "strangers"};
  EXPECT_EQ(settings_met("gnutls"), wanted);
  wanted.erase("strangers");
  EXPECT_EQ(settings_met("null"), wanted) << "without TLS nobody is a stranger";
}

TEST(Calm, WhatMayKeepARunFromWorkingIsNotCalm) {
  Scenario scenario = opening("openssl");
  EXPECT_TRUE(is_calm(scenario));
  const auto with = [&scenario](auto change) {
    Scenario changed = scenario;
    change(changed);
    return is_calm(fitted(std::move(changed), "openssl"));
  };
  const auto strikes = [](lab::FaultKind kind) {
    return [kind](Scenario& s) { s.lab.faults.emplace_back().kind = kind; };
  };
  const auto reacts = [](Verb verb) { return [verb](Scenario& s) { s.reactions.emplace_back().verb = verb; }; };
  EXPECT_TRUE(with(strikes(lab::FaultKind::short_write)));
  EXPECT_TRUE(with(reacts(Verb::echo)));
  EXPECT_FALSE(with(strikes(lab::FaultKind::reset)));
  EXPECT_FALSE(with(reacts(Verb::pause)));
  EXPECT_FALSE(with([](Scenario& s) { s.threads[0].steps.emplace_back().verb = Verb::close_graceful; }));
  EXPECT_FALSE(with([](Scenario& s) { s.settings.queue_ops = 1; }));
}

}  // namespace
}  // namespace rig
