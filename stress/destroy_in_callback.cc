#include "stress/recipe.h"

#include <array>
#include <utility>
#include <vector>

namespace rig {
namespace {

using namespace recipe;

constexpr std::uint32_t queue_ops = 4;

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  if (!both(abilities, RIG_CAN_LIMIT_QUEUE)) {
    return "without a bound of the queue `writable` never comes: " + cell.client + "~" + cell.server;
  }
  return needs_half_close(cell, abilities);
}

// Planter adds the connections of an event, and counts what must have happened when all are through.
class Planter {
 public:
  Planter(Scenario& scenario, std::uint64_t ops) : scenario_(scenario), ops_(ops) {}

  // plant adds three connections: the first destroys itself inside `event`; the second destroys the third, which is
  // idle, and then closes itself by abort.
  void plant(Side side, Event event) {
    const std::uint32_t alone = connections_;
    const std::uint32_t killer = alone + 1;
    const std::uint32_t victim = alone + 2;
    connections_ += 3;
    scenario_.reactions.push_back(when(side, alone, event, Verb::destroy, 1));
    scenario_.reactions.push_back(when(side, killer, event, Verb::destroy_other, 1));
    scenario_.reactions.push_back(when(side, killer, event, Verb::close_abort, 1));
    provoke(side, event, alone, {});
    provoke(side, event, killer, {align(killer)});
    scenario_.threads.push_back(on_loop(Side::client, victim,
                                        {connect(), await(Condition::connected), await(Condition::established),
                                         align(killer), await(Condition::closed), await(Condition::peer_closed)}));
    ++destroyed_;
    aborted_ += event == Event::closed ? 0 : 1;
  }

  void finish() {
    scenario_.settings.connections = connections_;
    scenario_.reaches.push_back({.counter = "destroyed_itself", .at_least = destroyed_});
    scenario_.reaches.push_back({.counter = "destroyed_other", .at_least = destroyed_});
    scenario_.reaches.push_back({.counter = "aborted_itself", .at_least = aborted_});
  }

 private:
  // provoke makes the event come on `side` of `connection`, whose client begins with `before`.
  void provoke(Side side, Event event, std::uint32_t connection, std::vector<Step> before) {
    std::vector<Step> own;
    std::vector<Step> others{await(Condition::connected)};
    switch (event) {
      case Event::data:
        others.push_back(send_more(ops_, 600));
        break;
      case Event::ended:
        others.push_back(act(Verb::half_close));
        break;
      case Event::sent:
        own.push_back(send_more(ops_, 600));  // before `connected`, so that they are queued
        break;
      case Event::writable:
        own.push_back(send(queue_ops + 1, 600, 600));  // one more than the queue takes before `connected`
        break;
      case Event::closed:
        own.insert(own.end(), {await(Condition::connected), act(Verb::close_graceful)});
        break;
      default:
        others.clear();
        break;
    }
    own.push_back(await(Condition::closed));
    before.push_back(connect());
    std::vector<Step>& client = side == Side::client ? own : others;
    client.insert(client.begin(), before.begin(), before.end());
    scenario_.threads.push_back(on_loop(Side::client, connection, client));
    scenario_.threads.push_back(on_loop(Side::server, connection, side == Side::client ? others : own));
    if (scenario_.threads.back().steps.empty()) {
      scenario_.threads.pop_back();
    }
  }

  Scenario& scenario_;
  const std::uint64_t ops_;
  std::uint32_t connections_ = 0;
  std::uint64_t destroyed_ = 0;
  std::uint64_t aborted_ = 0;
};

// Whose callback, and which. Each is three connections, and each of these a handshake: where a run is to be short the
// seed takes every third.
std::vector<std::pair<Side, Event>> asked(const Cell& cell, Size size, std::uint64_t seed) {
  constexpr std::array all{std::pair{Side::client, Event::connected}, std::pair{Side::client, Event::data},
                           std::pair{Side::client, Event::sent},      std::pair{Side::client, Event::writable},
                           std::pair{Side::client, Event::ended},     std::pair{Side::client, Event::closed},
                           std::pair{Side::server, Event::accepted},  std::pair{Side::server, Event::connected},
                           std::pair{Side::server, Event::data},      std::pair{Side::server, Event::ended},
                           std::pair{Side::server, Event::closed}};
  if (size != Size::tiny) {
    return {all.begin(), all.end()};
  }
  constexpr std::size_t stride = 3;
  std::vector<std::pair<Side, Event>> some;
  for (std::size_t place = pick(cell, seed, stride); place < all.size(); place += stride) {
    some.push_back(all[place]);
  }
  return some;
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("destroy_in_callback", cell, size, seed);
  scenario.settings.queue_ops = queue_ops;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  Planter planter(scenario, by_size(size, 3, 20, 200));
  for (const auto& [side, event] : asked(cell, size, seed)) {
    planter.plant(side, event);
  }
  planter.finish();
  scenario.reactions.push_back(when(Side::server, 0, Event::accepted, Verb::stop_listening));
  const std::vector<std::optional<Code>> any_end{std::nullopt, Code::aborted, Code::reset, Code::truncated};
  for (const Side side : {Side::client, Side::server}) {
    for (const Event event : {Event::connected, Event::closed}) {
      scenario.expectations.push_back(expect(side, {}, event, any_end));
    }
  }
  return scenario;
}

}  // namespace

const Suite& destroy_in_callback_suite() {
  static const Suite suite{
      .name = "destroy_in_callback",
      .sentence = "every callback closes or destroys its own socket, and destroys another one of the same loop",
      .unfit = unfit,
      .make = make};
  return suite;
}

}  // namespace rig
