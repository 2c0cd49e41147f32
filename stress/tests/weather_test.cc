#include "stress/weather.h"

#include <gtest/gtest.h>

namespace rig {
namespace {

Scenario in_lab(std::uint64_t seed) {
  Scenario scenario;
  scenario.cell.world = World::lab;
  scenario.seed = seed;
  return scenario;
}

Weather weather_of(const Scenario& scenario) {
  const bool adversarial = scenario.lab.profile == lab::Profile::adversarial;
  return !scenario.lab.random_faults ? Weather::calm : adversarial ? Weather::adversarial : Weather::strict;
}

TEST(Weather, three_seeds_bring_all_of_it) {
  const Weather expected[] = {Weather::calm, Weather::strict, Weather::adversarial};
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Scenario scenario = in_lab(seed);
    set_weather(Weather::by_seed, scenario);
    EXPECT_EQ(weather_of(scenario), expected[(seed - 1) % 3]) << seed;
  }
}

TEST(Weather, what_is_asked_for_is_what_every_seed_has) {
  for (const Weather asked : {Weather::calm, Weather::strict, Weather::adversarial}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      Scenario scenario = in_lab(seed);
      set_weather(asked, scenario);
      EXPECT_EQ(weather_of(scenario), asked) << seed;
    }
  }
}

TEST(Weather, a_scenario_that_has_chosen_for_itself_is_left_alone) {
  const auto spared = [](auto choose) {
    Scenario scenario = in_lab(1);
    choose(scenario);
    const Scenario before = scenario;
    set_weather(Weather::adversarial, scenario);
    return scenario.lab == before.lab;
  };
  EXPECT_TRUE(spared([](Scenario& scenario) { scenario.cell.world = World::loopback; }));
  EXPECT_TRUE(spared([](Scenario& scenario) { scenario.memory_may_fail = true; }));
  EXPECT_TRUE(spared([](Scenario& scenario) { scenario.lab.faults.emplace_back(); }));
  EXPECT_TRUE(spared([](Scenario& scenario) { scenario.lab.policy = lab::PolicyKind::none; }));
  EXPECT_TRUE(spared([](Scenario& scenario) { scenario.settings.handshake_timeout_us = 1; }));
  EXPECT_FALSE(spared([](Scenario&) {}));
}

TEST(Weather, where_a_peer_is_told_by_an_alert_no_send_would_block) {
  Scenario scenario = in_lab(1);
  scenario.settings.strangers = true;
  set_weather(Weather::adversarial, scenario);
  EXPECT_EQ(weather_of(scenario), Weather::strict);
}

}  // namespace
}  // namespace rig
