#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// A set of select's ends at 1023. The loops and listeners stay below, and one connection after the other takes two
// more numbers, so that the last that fits is the client's or the server's, as the seed says.
constexpr std::uint32_t beyond_select = 1024;
constexpr std::uint32_t connections = 8;
constexpr std::uint32_t standing = connections + 2;  // a listener each, and what wakes the two loops

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  if (cell.poller != PollerChoice::select) {
    return "only select has such a limit";
  }
  // Without a handshake nothing tells a client that its server was not made.
  return first_of({needs_tls(cell, abilities), needs_lab(cell, abilities)});
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("select_limit", cell, size, seed);
  constexpr std::uint32_t left_min = 4;
  constexpr std::uint32_t left_choices = 8;
  scenario.lab.first_descriptor =
      beyond_select - standing - left_min - static_cast<std::uint32_t>(pick(cell, seed, left_choices));
  scenario.settings.connections = connections;
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo));
  const std::uint64_t ops = by_size(size, 3, 20, 100);
  const std::uint64_t most = by_size(size, 4096, size_max(size), size_max(size));
  for (std::uint32_t connection = 0; connection < connections; ++connection) {
    std::vector<Step> steps{connect(), await(Condition::connected), await(Condition::established), send(ops, 0, most),
                            await(Condition::received)};
    if (connection > 0) {
      steps.insert(steps.begin(), align(connection - 1));
    }
    if (connection + 1 < connections) {
      steps.push_back(align(connection));
    }
    scenario.threads.push_back(on_loop(Side::client, connection, steps));
  }
  // Its own number is refused to a client in words, and its server finds itself alone if it was accepted by then; a
  // server's, and the client does.
  for (const Event event : {Event::connected, Event::closed}) {
    scenario.expectations.push_back(
        expect(Side::client, {}, event, {std::nullopt, Code::no_descriptors, Code::reset, Code::truncated}));
    scenario.expectations.push_back(expect(Side::server, {}, event, {std::nullopt, Code::reset, Code::truncated}));
  }
  scenario.reaches.push_back({.counter = "connected", .at_least = left_min});
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = 1});
  return scenario;
}

}  // namespace

const Suite& select_limit_suite() {
  static const Suite suite{
      .name = "select_limit",
      .sentence = "descriptors pass what select takes: what is beyond is refused, the rest goes on",
      .unfit = unfit,
      .make = make};
  return suite;
}

}  // namespace rig
