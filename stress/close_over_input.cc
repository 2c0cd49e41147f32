#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// OpenSSL takes application data behind our own close_notify for a failure; its entry must not meet the next read of
// another connection on the thread (libwebsockets, 2019). 0 and 1 are closed over what still comes; 2 echoes and 3 is
// idle until then.
constexpr std::uint32_t closing = 2;
constexpr std::uint32_t echoing = 2;
constexpr std::uint32_t idle = 3;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("close_over_input", cell, size, seed);
  scenario.settings.connections = 4;
  scenario.settings.one_loop = true;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  const std::uint64_t ops = by_size(size, 12, 60, 200);
  const std::uint64_t bytes = by_size(size, 2048, 16'384, 16'384);
  std::vector<Step> echo{connect(), await(Condition::connected)};
  std::vector<Step> speak{await(Condition::connected)};
  for (std::uint32_t connection = 0; connection < closing; ++connection) {
    scenario.threads.push_back(on_loop(Side::client, connection,
                                       {connect(), await(Condition::received, 1), act(Verb::close_graceful),
                                        align(connection), await(Condition::closed)}));
    scenario.threads.push_back(
        on_loop(Side::server, connection, {await(Condition::connected), send(ops, bytes, bytes)}));
    scenario.expectations.push_back(
        expect(Side::server, connection, Event::closed, {std::nullopt, Code::reset, Code::truncated}));
    echo.insert(echo.end(), {align(connection), send(2, 1, 600), await(Condition::received)});
    speak.insert(speak.end(), {align(connection), send(1, 600, 600)});
  }
  scenario.reactions.push_back(when(Side::server, echoing, Event::data, Verb::echo));
  scenario.threads.push_back(on_loop(Side::client, echoing, echo));
  scenario.threads.push_back(
      on_loop(Side::client, idle, {connect(), await(Condition::connected), await(Condition::received, 600 * closing)}));
  scenario.threads.push_back(on_loop(Side::server, idle, speak));
  scenario.reaches.push_back({.counter = "ops", .at_least = closing * (ops / 2)});
  return scenario;
}

}  // namespace

const Suite& close_over_input_suite() {
  static const Suite suite{
      .name = "close_over_input",
      .sentence = "connections are closed while the peer still sends, and others of the same thread talk on unharmed",
      .unfit = needs_close_over_input,
      .make = make};
  return suite;
}

}  // namespace rig
