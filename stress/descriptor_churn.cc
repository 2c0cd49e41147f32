#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// Each wave begins where the one before has given its descriptors back, on the same loop: what is still on its way to
// an old owner must not reach a new one, and nothing of a handshake that failed may stay.
constexpr std::uint32_t per_wave = 4;

void plan_wave(Scenario& scenario, std::uint32_t wave, bool last) {
  const Size size = scenario.size;
  const std::uint32_t refused = wave * per_wave;  // the server aborts it in its handshake
  const std::uint32_t fled = refused + 1;         // the client aborts it while bytes are on their way to it
  const std::uint32_t sound = refused + 2;
  const std::uint32_t stillborn = refused + 3;  // the client aborts it at once
  const auto run = [&](std::uint32_t connection, const std::vector<Step>& middle) {
    std::vector<Step> steps;
    if (wave > 0) {
      steps.push_back(align(wave));
    }
    steps.push_back(connect());
    steps.insert(steps.end(), middle.begin(), middle.end());
    if (!last) {
      steps.push_back(align(wave + 1));
    }
    scenario.threads.push_back(on_loop(Side::client, connection, steps));
  };
  const std::uint64_t bytes = by_size(size, 1024, 16'384, 16'384);
  run(refused, {await(Condition::closed)});
  run(fled, {await(Condition::received, 1), act(Verb::close_abort), await(Condition::closed)});
  run(sound, {await(Condition::connected), send(2, 1, bytes), await(Condition::received), act(Verb::close_graceful),
              await(Condition::closed)});
  run(stillborn, {act(Verb::close_abort), await(Condition::closed)});
  scenario.threads.push_back(on_loop(Side::server, fled, {await(Condition::connected), send(4, bytes, bytes)}));
  scenario.reactions.push_back(when(Side::server, refused, Event::accepted, Verb::close_abort));
  scenario.reactions.push_back(when(Side::server, sound, Event::data, Verb::echo));

  const std::vector<std::optional<Code>> gone{Code::reset, Code::truncated, Code::aborted};
  const std::vector<std::optional<Code>> aborted{Code::aborted};
  for (const Event event : {Event::connected, Event::closed}) {
    scenario.expectations.push_back(expect(Side::client, refused, event, {Code::reset}));
    scenario.expectations.push_back(expect(Side::server, refused, event, aborted));
    scenario.expectations.push_back(expect(Side::client, stillborn, event, aborted));
    scenario.expectations.push_back(expect(Side::server, stillborn, event, gone));
  }
  scenario.expectations.push_back(expect(Side::client, fled, Event::closed, aborted));
  scenario.expectations.push_back(expect(Side::server, fled, Event::closed, gone));
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("descriptor_churn", cell, size, seed);
  const auto waves = static_cast<std::uint32_t>(by_size(size, 3, 20, 500));
  scenario.settings.connections = waves * per_wave;
  scenario.settings.one_loop = true;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  for (std::uint32_t wave = 0; wave < waves; ++wave) {
    plan_wave(scenario, wave, wave + 1 == waves);
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = waves * std::uint64_t{2}});
  scenario.reaches.push_back({.counter = "connected", .at_least = waves * std::uint64_t{4}});
  return scenario;
}

}  // namespace

const Suite& descriptor_churn_suite() {
  static const Suite suite{
      .name = "descriptor_churn",
      .sentence =
          "wave after wave of connections fails in the handshake, aborts under way, or talks, on used descriptors",
      .unfit = needs_tls,
      .make = make};
  return suite;
}

}  // namespace rig
