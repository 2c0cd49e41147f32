#include "harness/scenario/scenario_check.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "harness/scenario/text.h"
#include "harness/scenario/text_grammar.h"

namespace rig {
namespace {

using Wrong = std::optional<std::string>;
using Amount = std::uint64_t;

constexpr Amount amount_max = std::numeric_limits<Amount>::max();

Amount plus(Amount a, Amount b) {
  return a > amount_max - b ? amount_max : a + b;
}

Amount times(Amount a, Amount b) {
  return b != 0 && a > amount_max / b ? amount_max : a * b;
}

// Doings is what the threads of a side do on one connection.
struct Doings {
  Amount ops = 0;
  Amount plain_bytes = 0;  // at the largest sizes
  Amount connects = 0;
  bool needs_socket = false;

  void add(const Doings& other) {
    ops = plus(ops, other.ops);
    plain_bytes = plus(plain_bytes, other.plain_bytes);
    connects = plus(connects, other.connects);
    needs_socket = needs_socket || other.needs_socket;
  }
};

// Sums is what the threads of a side do, by connection, and the least of it on any of them.
struct Sums {
  std::vector<Doings> at;
  Doings least;
};

bool orders_the_relay(Verb verb) {
  return verb == Verb::relay_stall || verb == Verb::relay_flow || verb == Verb::relay_reset || verb == Verb::relay_fin;
}

Doings doings_of(const Thread& thread) {
  Doings doings;
  for (const Step& step : thread.steps) {
    if (step.verb == Verb::send) {
      doings.ops = plus(doings.ops, times(thread.copies, step.count));
      doings.plain_bytes = plus(doings.plain_bytes, times(thread.copies, times(step.count, step.size_max)));
    }
    doings.connects += step.verb == Verb::connect ? thread.copies : 0;
    doings.needs_socket = doings.needs_socket || (step.verb != Verb::align && !orders_the_relay(step.verb));
  }
  return doings;
}

bool is_echo(Verb verb) {
  return verb == Verb::echo || verb == Verb::echo_elsewhere;
}

// What a reaction sends is not counted here.
bool sends_inside(Verb verb) {
  return is_echo(verb) || verb == Verb::say;
}

Side other(Side side) {
  return side == Side::client ? Side::server : Side::client;
}

std::string of(Side side, const std::optional<std::uint32_t>& connection) {
  return std::string(word(side)) + (connection.has_value() ? " " + std::to_string(*connection) : "");
}

// ScenarioCheck goes through a scenario part by part, and stops at the first thing that is wrong. Each wrong_ answers
// what is wrong with its part, without saying where.
class ScenarioCheck {
 public:
  explicit ScenarioCheck(const Scenario& scenario) : scenario_(scenario) {}
  Wrong check();

 private:
  Wrong wrong_settings() const;
  Wrong wrong_place(Side side, const std::optional<std::uint32_t>& connection) const;
  Wrong wrong_reaction(const Reaction& reaction) const;
  Wrong wrong_thread(const Thread& thread) const;
  Wrong wrong_step(const Thread& thread, const Step& step) const;
  Wrong wrong_await(const Thread& thread, const Step& step) const;
  Wrong wrong_control(Verb verb) const;
  Wrong wrong_expectation(std::size_t index) const;
  Wrong wrong_connects() const;
  Wrong wrong_lab() const;
  template <class Item, class Look>
  Wrong first_wrong(const std::vector<Item>& items, std::string_view name, Look look) const;

  void sum_up();
  bool plays(Side side) const;
  // plays also says whether it is on that side of all connections of a thread.
  bool plays(const Thread& thread, Side side) const;
  bool echoes(Side side) const;
  bool anybody_does(Verb verb) const;
  // least is the least that a side does on the connections of a thread.
  Amount least(Side side, const Thread& thread, Amount Doings::* what) const;

  const Scenario& scenario_;
  Sums client_;
  Sums server_;
};

template <class Item, class Look>
Wrong ScenarioCheck::first_wrong(const std::vector<Item>& items, std::string_view name, Look look) const {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (Wrong wrong = look(i); wrong.has_value()) {
      return std::string(name) + " " + std::to_string(i) + " (" + of(items[i].side, items[i].connection) +
             "): " + *wrong;
    }
  }
  return std::nullopt;
}

Wrong ScenarioCheck::check() {
  if (Wrong wrong = wrong_settings(); wrong.has_value()) {
    return wrong;
  }
  sum_up();
  const auto& threads = scenario_.threads;
  const auto& reactions = scenario_.reactions;
  const auto& expectations = scenario_.expectations;
  Wrong wrong = first_wrong(threads, "thread", [&](std::size_t i) { return wrong_thread(threads[i]); });
  if (!wrong.has_value()) {
    wrong = first_wrong(reactions, "reaction", [&](std::size_t i) { return wrong_reaction(reactions[i]); });
  }
  if (!wrong.has_value()) {
    wrong = first_wrong(expectations, "expectation", [&](std::size_t i) { return wrong_expectation(i); });
  }
  if (!wrong.has_value()) {
    wrong = wrong_connects();
  }
  return wrong.has_value() ? wrong : wrong_lab();
}

Wrong ScenarioCheck::wrong_settings() const {
  const std::uint32_t connections = scenario_.settings.connections;
  if (connections == 0) {
    return "there is nothing to test without a connection, and 'connections' is 0";
  }
  if (connections > TextLimits::connections) {
    return "there are at most " + std::to_string(TextLimits::connections) + " connections, and 'connections' is " +
           std::to_string(connections);
  }
  if (const std::uint32_t refused = scenario_.settings.refused; refused > 0) {
    if (refused > connections) {
      return "'refused' is " + std::to_string(refused) + ", and there are " + std::to_string(connections) +
             " connections";
    }
    if (scenario_.settings.peer != Peer::subject) {
      return "'refused' takes the listener from some connections of the subject's, and with 'peer " +
             std::string(word(scenario_.settings.peer)) + "' it has none";
    }
  }
  if (scenario_.settings.strangers && scenario_.cell.tls == TlsChoice::none) {
    return "plain TCP trusts everybody: there are no strangers";
  }
  if (scenario_.settings.strangers && scenario_.settings.peer != Peer::subject) {
    return "strangers are two sides of the subject's, and with 'peer " + std::string(word(scenario_.settings.peer)) +
           "' there is one";
  }
  for (const Reach& reach : scenario_.reaches) {
    if (reach.at_least == 0) {
      return "'reach " + reach.counter + " >= 0' demands nothing: every run reaches it";
    }
  }
  return std::nullopt;
}

void ScenarioCheck::sum_up() {
  const auto sum = [this](Side side) {
    Doings each;
    Sums sums{.at = std::vector<Doings>(scenario_.settings.connections), .least = {}};
    for (const Thread& thread : scenario_.threads) {
      if (thread.side == side && thread.connection.value_or(0) < sums.at.size()) {
        (thread.connection.has_value() ? sums.at[*thread.connection] : each).add(doings_of(thread));
      }
    }
    for (Doings& doings : sums.at) {
      doings.add(each);
    }
    sums.least.ops = std::ranges::min(sums.at, {}, &Doings::ops).ops;
    sums.least.plain_bytes = std::ranges::min(sums.at, {}, &Doings::plain_bytes).plain_bytes;
    return sums;
  };
  client_ = sum(Side::client);
  server_ = sum(Side::server);
}

bool ScenarioCheck::plays(Side side) const {
  return rig::plays(scenario_.settings.peer, side);
}

// The last connections are the refused ones.
bool ScenarioCheck::plays(const Thread& thread, Side side) const {
  return rig::plays(scenario_.settings, thread.connection.value_or(scenario_.settings.connections - 1), side);
}

bool ScenarioCheck::echoes(Side side) const {
  return std::ranges::any_of(scenario_.reactions,
                             [side](const Reaction& one) { return one.side == side && sends_inside(one.verb); });
}

bool ScenarioCheck::anybody_does(Verb verb) const {
  const auto does = [verb](const auto& one) { return one.verb == verb; };
  return std::ranges::any_of(scenario_.reactions, does) ||
         std::ranges::any_of(scenario_.threads,
                             [&](const Thread& thread) { return std::ranges::any_of(thread.steps, does); });
}

Amount ScenarioCheck::least(Side side, const Thread& thread, Amount Doings::* what) const {
  const Sums& sums = side == Side::client ? client_ : server_;
  return (thread.connection.has_value() ? sums.at[*thread.connection] : sums.least).*what;
}

Wrong ScenarioCheck::wrong_place(Side side, const std::optional<std::uint32_t>& connection) const {
  const std::uint32_t connections = scenario_.settings.connections;
  if (connection.value_or(0) >= connections) {
    return "there is no connection " + std::to_string(*connection) + ": the scenario has " +
           std::to_string(connections) + ", counted from 0";
  }
  if (!plays(side)) {
    return "with 'peer " + std::string(word(scenario_.settings.peer)) + "' the " + std::string(word(side)) +
           (scenario_.settings.peer == Peer::nobody || scenario_.settings.peer == Peer::deaf
                ? " is not there"
                : " is a raw program, and not the subject");
  }
  if (connection.has_value() && !rig::plays(scenario_.settings, *connection, side)) {
    return "nobody listens for connection " + std::to_string(*connection) + ": the last " +
           std::to_string(scenario_.settings.refused) + " are refused";
  }
  return std::nullopt;
}

Wrong ScenarioCheck::wrong_control(Verb verb) const {
  const TlsChoice tls = scenario_.cell.tls;
  if (verb == Verb::renegotiate && tls != TlsChoice::tls12) {
    return "only TLS 1.2 is renegotiated, and the cell has tls=" + std::string(word(tls));
  }
  if (verb == Verb::renegotiate && !scenario_.settings.renegotiation) {
    return "without 'set renegotiation on' a renegotiation is refused";
  }
  if (verb == Verb::update_keys && tls != TlsChoice::tls13) {
    return "only TLS 1.3 updates its keys, and the cell has tls=" + std::string(word(tls));
  }
  return std::nullopt;
}

Wrong ScenarioCheck::wrong_reaction(const Reaction& reaction) const {
  if (Wrong wrong = wrong_place(reaction.side, reaction.connection); wrong.has_value()) {
    return wrong;
  }
  const std::string verb(word(reaction.verb));
  const Settings& settings = scenario_.settings;
  if (!form_of(reaction.verb).in_reactions) {
    return "'" + verb + "' is a step, and no reaction";
  }
  if (reaction.event == Event::accepted && reaction.side == Side::client) {
    return "only a server's socket is accepted";
  }
  if (is_echo(reaction.verb) && reaction.event != Event::data) {
    return "'" + verb + "' sends received bytes back, and the event '" + std::string(word(reaction.event)) +
           "' brings none";
  }
  if (reaction.verb == Verb::destroy_other && settings.connections < 2) {
    return "'destroy_other' needs a second connection";
  }
  if (reaction.verb == Verb::destroy_other && reaction.side == Side::client && settings.loop_per_client) {
    return "'destroy_other' reaches sockets of its own loop only, and with 'loop_per_client' each has another";
  }
  if (reaction.verb == Verb::stop_listening && reaction.side == Side::client && !settings.one_loop) {
    return "the listener is the server's, on another loop; only with 'one_loop' may the client close it";
  }
  if (reaction.verb == Verb::open_another && !plays(Side::server)) {
    return "'open_another' listens as the server does, and the server is not the subject";
  }
  return wrong_control(reaction.verb);
}

Wrong ScenarioCheck::wrong_thread(const Thread& thread) const {
  if (Wrong wrong = wrong_place(thread.side, thread.connection); wrong.has_value()) {
    return wrong;
  }
  if (thread.copies == 0 || thread.copies > TextLimits::copies) {
    return "it has " + std::to_string(thread.copies) + " copies, and 1 to " + std::to_string(TextLimits::copies) +
           " can be";
  }
  std::set<std::uint64_t> labels;
  for (std::size_t i = 0; i < thread.steps.size(); ++i) {
    const Step& step = thread.steps[i];
    Wrong wrong = wrong_step(thread, step);
    if (step.verb == Verb::align && !labels.insert(step.count).second) {
      wrong = "it aligns with number " + std::to_string(step.count) + " for the second time, and would wait for itself";
    }
    if (wrong.has_value()) {
      return "step " + std::to_string(i + 1) + ", " + std::string(word(step.verb)) + ": " + *wrong;
    }
  }
  return std::nullopt;
}

Wrong ScenarioCheck::wrong_step(const Thread& thread, const Step& step) const {
  if (!form_of(step.verb).in_steps) {
    return "it is a reaction, and no step";
  }
  if (step.verb == Verb::connect && thread.side == Side::server) {
    return "a server does not connect";
  }
  if (step.verb == Verb::connect && thread.where == Where::beside) {
    return "a connection is opened on its loop's thread, and this one runs beside it";
  }
  if (step.verb == Verb::destroy && thread.where == Where::beside) {
    return "a socket is destroyed on its loop's thread, and this one runs beside it";
  }
  if (step.verb == Verb::send && (step.size_min > step.size_max || step.size_max > TextLimits::op_bytes)) {
    return "no op has " + std::to_string(step.size_min) + " to " + std::to_string(step.size_max) + " bytes";
  }
  if (orders_the_relay(step.verb) && !scenario_.settings.relay) {
    return "there is no relay without 'set relay on'";
  }
  if (orders_the_relay(step.verb) && !plays(thread, Side::server)) {
    return "a relay would take the connection that is to be refused";
  }
  return step.verb == Verb::await ? wrong_await(thread, step) : wrong_control(step.verb);
}

Wrong ScenarioCheck::wrong_await(const Thread& thread, const Step& step) const {
  const Side side = thread.side;
  const Side peer = other(side);
  const std::string condition = "'" + std::string(word(step.condition)) + "'";
  const auto beyond = [&](Amount most, const char* what) {
    return condition + " waits for " + std::to_string(step.count) + " " + what + ", and at most " +
           std::to_string(most) + " will come";
  };
  switch (step.condition) {
    case Condition::established:
    case Condition::peer_closed:
      return plays(thread, peer) ? std::nullopt
                                 : Wrong(condition + " asks the other side, which is " +
                                         (plays(peer) ? "not there: the connection is refused" : "a raw program"));
    case Condition::sent: {
      const Amount ops = least(side, thread, &Doings::ops);
      return !echoes(side) && step.count > ops ? Wrong(beyond(ops, "ops")) : std::nullopt;
    }
    case Condition::received: {
      if (!plays(thread, peer)) {
        return plays(peer)       ? Wrong(condition + " waits for a side that is not there: the connection is refused")
               : step.count != 0 ? std::nullopt
                                 : Wrong(condition + " says no number, and how much a raw program sends is not known");
      }
      const Amount bytes = least(peer, thread, &Doings::plain_bytes);
      return !echoes(peer) && step.count > bytes ? Wrong(beyond(bytes, "bytes")) : std::nullopt;
    }
    case Condition::pending: {
      const Amount ops = least(side, thread, &Doings::ops);
      const Amount wanted = std::max<Amount>(1, step.count);
      return !echoes(side) && wanted > ops ? Wrong(beyond(ops, "ops")) : std::nullopt;
    }
    case Condition::handshakes:
    case Condition::key_updates: {
      const bool handshakes = step.condition == Condition::handshakes;
      const Verb verb = handshakes ? Verb::renegotiate : Verb::update_keys;
      if (step.count == 0) {
        return condition + " says no number, and 0 is always there";
      }
      if (handshakes && scenario_.cell.tls == TlsChoice::none) {
        return "plain TCP has no handshake";
      }
      return handshakes && step.count == 1 ? std::nullopt
             : anybody_does(verb)          ? std::nullopt
                                           : Wrong("nobody does " + std::string(word(verb)));
    }
    case Condition::connected:
    case Condition::ended:
    case Condition::closed:
      return std::nullopt;
  }
  return std::nullopt;
}

// The first expectation that concerns an end is the one that is asked.
Wrong ScenarioCheck::wrong_expectation(std::size_t index) const {
  const Expectation& one = scenario_.expectations[index];
  if (Wrong wrong = wrong_place(one.side, one.connection); wrong.has_value()) {
    return wrong;
  }
  if (one.event != Event::connected && one.event != Event::closed) {
    return "the event '" + std::string(word(one.event)) + "' has no outcome: 'connected' and 'closed' have";
  }
  if (one.outcomes.empty()) {
    return "it has no outcome, so that nothing fulfils it";
  }
  for (std::size_t i = 0; i < index; ++i) {
    const Expectation& earlier = scenario_.expectations[i];
    if (earlier.side == one.side && earlier.event == one.event &&
        (!earlier.connection.has_value() || earlier.connection == one.connection)) {
      return "it is never asked: expectation " + std::to_string(i) + " is about the same '" +
             std::string(word(one.event)) + "'";
    }
  }
  return std::nullopt;
}

Wrong ScenarioCheck::wrong_connects() const {
  if (!plays(Side::client)) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < client_.at.size(); ++i) {
    if (client_.at[i].connects > 1) {
      return "client " + std::to_string(i) + " connects " + std::to_string(client_.at[i].connects) +
             " times, and a connection is opened once";
    }
    if (client_.at[i].connects == 0 && (client_.at[i].needs_socket || server_.at[i].needs_socket)) {
      return "client " + std::to_string(i) + " never connects, and steps wait for its connection";
    }
  }
  return std::nullopt;
}

Wrong ScenarioCheck::wrong_lab() const {
  const LabPart& lab = scenario_.lab;
  if (scenario_.cell.world != World::lab && (!lab.faults.empty() || !lab.switches.empty())) {
    return std::string("the real kernel takes no ") + (lab.faults.empty() ? "switches" : "faults") +
           ": they need world=lab in the cell";
  }
  for (const lab::Fault& fault : lab.faults) {
    if (fault.connection.value_or(0) >= scenario_.settings.connections) {
      return "fault " + std::to_string(fault.number) + ": there is no connection " + std::to_string(*fault.connection);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> check_scenario(const Scenario& scenario) {
  return ScenarioCheck(scenario).check();
}

}  // namespace rig
