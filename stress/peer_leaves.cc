#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("peer_leaves", cell, size, seed);
  // Client and server take turns, and so do the ways to leave: a graceful close, an abort.
  constexpr Verb ways[] = {Verb::close_graceful, Verb::close_abort};
  const std::uint32_t rounds = by_size(size, 1, 4, 25);
  scenario.settings.connections = rounds * 4;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  constexpr std::uint64_t ops = 3;
  const std::uint64_t bytes = by_size(size, 512, 4096, 4096);
  std::uint32_t number = 0;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    for (const Side leaver : {Side::client, Side::server}) {
      for (const Verb way : ways) {
        std::vector<Step> client{connect(), await(Condition::connected), await(Condition::established),
                                 send(ops, bytes, bytes), await(Condition::received, ops * bytes)};
        std::vector<Step> server{await(Condition::connected), await(Condition::established), send(ops, bytes, bytes),
                                 await(Condition::received, ops * bytes)};
        std::vector<Step>& steps = leaver == Side::client ? client : server;
        std::vector<Step>& others = leaver == Side::client ? server : client;
        steps.push_back(align(number));
        others.push_back(align(number));
        steps.push_back(act(way));
        others.push_back(await(Condition::closed));
        scenario.threads.push_back(on_loop(Side::client, number, std::move(client)));
        scenario.threads.push_back(on_loop(Side::server, number, std::move(server)));
        const bool abort = way == Verb::close_abort;
        const Side stays = leaver == Side::client ? Side::server : Side::client;
        scenario.expectations.push_back(
            expect(stays, number, Event::closed, {abort ? std::optional(Code::reset) : std::nullopt}));
        ++number;
      }
    }
  }
  scenario.reaches.push_back({.counter = "ended", .at_least = rounds * 2});
  return scenario;
}

}  // namespace

const Suite& peer_leaves_suite() {
  static const Suite suite{
      .name = "peer_leaves",
      .sentence = "either side closes, or aborts, and the other, which wants nothing, is told which",
      .unfit = fits,
      .make = make};
  return suite;
}

}  // namespace rig
