#include "stress/recipe.h"

#include <algorithm>
#include <utility>

namespace rig::recipe {

Scenario blank(std::string_view suite, const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario;
  scenario.suite = suite;
  scenario.cell = cell;
  scenario.size = size;
  scenario.seed = seed;
  return scenario;
}

std::uint64_t by_size(Size size, std::uint64_t tiny, std::uint64_t quick, std::uint64_t full) {
  return size == Size::tiny ? tiny : size == Size::quick ? quick : full;
}

std::uint64_t size_max(Size size) {
  return size == Size::tiny ? 4096 : 65537;
}

std::uint64_t op_bytes(Size size) {
  return size == Size::tiny ? 4096 : 16384;
}

std::uint64_t pick(const Cell& cell, std::uint64_t seed, std::uint64_t choices) {
  return (name_hash(cell_name(cell)) % choices + seed % choices) % choices;
}

Step connect() {
  return act(Verb::connect);
}

Step await(Condition condition, std::uint64_t count) {
  Step step = act(Verb::await);
  step.condition = condition;
  step.count = count;
  return step;
}

Step send(std::uint64_t ops, std::uint64_t size_min, std::uint64_t size_max) {
  Step step = act(Verb::send);
  step.count = ops;
  step.size_min = size_min;
  step.size_max = size_max;
  return step;
}

Step send_more(std::uint64_t ops, std::uint64_t size) {
  Step step = send(ops, size, size);
  step.more = true;
  return step;
}

Step align(std::uint64_t label) {
  Step step = act(Verb::align);
  step.count = label;
  return step;
}

Step act(Verb verb) {
  Step step;
  step.verb = verb;
  return step;
}

Thread on_loop(Side side, std::optional<std::uint32_t> connection, std::vector<Step> steps) {
  return {.side = side, .connection = connection, .where = Where::loop, .copies = 1, .steps = std::move(steps)};
}

Thread beside(Side side, std::optional<std::uint32_t> connection, std::vector<Step> steps, std::uint32_t copies) {
  return {.side = side, .connection = connection, .where = Where::beside, .copies = copies, .steps = std::move(steps)};
}

Reaction when(Side side, std::optional<std::uint32_t> connection, Event event, Verb verb, std::uint32_t nth) {
  return {.side = side, .connection = connection, .event = event, .nth = nth, .verb = verb};
}

Expectation expect(Side side, std::optional<std::uint32_t> connection, Event event,
                   std::vector<std::optional<Code>> outcomes) {
  return {.side = side, .connection = connection, .event = event, .outcomes = std::move(outcomes)};
}

void demand_async(Scenario& scenario) {
  if (!scenario.cell.fast_track) {
    scenario.reaches.push_back({.counter = "all_ops_async", .at_least = 1});
  }
}

// A known report: N-1 of N echoes arrive with synchronous sends, and all of them once a print is added.
void echo_load(Scenario& scenario, Verb echo) {
  constexpr std::uint64_t bytes = 512;
  using Rounds = std::vector<std::uint64_t>;
  const Rounds rounds = scenario.size == Size::tiny    ? Rounds{30}
                        : scenario.size == Size::quick ? Rounds{100, 200}
                                                       : Rounds{100, 200, 10'000};
  std::vector<Step> steps{connect(), await(Condition::connected)};
  std::uint64_t echoed = 0;
  for (const std::uint64_t ops : rounds) {
    steps.push_back(send(ops, bytes, bytes));
    steps.push_back(await(Condition::received));
    echoed += ops * bytes;
  }
  steps.push_back(await(Condition::sent));
  scenario.reactions.push_back(when(Side::server, {}, Event::data, echo));
  scenario.threads.push_back(on_loop(Side::client, {}, steps));
  scenario.reaches.push_back({.counter = "bytes", .at_least = echoed * 2});
  demand_async(scenario);
}

// Below a loopback segment (64 KiB) the kernel's silly-window rules make each turn of the window cost 200 ms.
void tight(Scenario& scenario) {
  const bool tiny = scenario.size == Size::tiny;
  scenario.settings.kernel_send_bytes = tiny ? 4096 : 64 * 1024;
  scenario.settings.kernel_recv_bytes = tiny ? 4096 : 128 * 1024;
}

void nobody_answers(Scenario& scenario, std::uint32_t connections, Code code) {
  scenario.settings.connections = connections;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  scenario.threads.push_back(on_loop(
      Side::client, {}, {connect(), send(by_size(scenario.size, 2, 5, 20), 512, 512), await(Condition::closed)}));
  for (const Event event : {Event::connected, Event::closed}) {
    scenario.expectations.push_back(expect(Side::client, {}, event, {code}));
  }
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = connections});
}

bool is_tls(const Cell& cell) {
  return cell.tls != TlsChoice::none;
}

bool both(const Abilities& abilities, std::uint32_t bits) {
  return (abilities.client & bits) == bits && (abilities.server & bits) == bits;
}

std::optional<std::string> fits(const Cell&, const Abilities&) {
  return std::nullopt;
}

std::optional<std::string> first_of(std::initializer_list<std::optional<std::string>> reasons) {
  const auto* const found = std::ranges::find_if(reasons, [](const auto& reason) { return reason.has_value(); });
  return found != reasons.end() ? *found : std::nullopt;
}

std::optional<std::string> needs_tls(const Cell& cell, const Abilities&) {
  return is_tls(cell) ? std::nullopt : std::optional<std::string>("plain TCP has no handshake");
}

std::optional<std::string> needs_lab(const Cell& cell, const Abilities&) {
  return cell.world == World::lab ? std::nullopt
                                  : std::optional<std::string>("only the lab has this in hand, not the real kernel");
}

std::optional<std::string> needs_half_close(const Cell&, const Abilities& abilities) {
  return both(abilities, RIG_CAN_HALF_CLOSE) ? std::nullopt
                                             : std::optional<std::string>("one direction cannot be ended by itself");
}

std::optional<std::string> needs_close_over_input(const Cell&, const Abilities& abilities) {
  return both(abilities, RIG_CAN_CLOSE_OVER_INPUT)
             ? std::nullopt
             : std::optional<std::string>("a graceful close is orderly only where the peer has ended, or ends as well");
}

std::optional<std::string> needs_threads(const Cell&, const Abilities& abilities) {
  return both(abilities, RIG_CAN_SEND_FROM_ANY_THREAD)
             ? std::nullopt
             : std::optional<std::string>("sends belong to the loop's thread");
}

std::optional<std::string> needs_pause(const Cell&, const Abilities& abilities) {
  return both(abilities, RIG_CAN_PAUSE) ? std::nullopt : std::optional<std::string>("reading cannot be paused");
}

std::optional<std::string> needs_key_updates(const Cell& cell, const Abilities& abilities) {
  if (cell.tls != TlsChoice::tls13) {
    return "key updates are a thing of TLS 1.3";
  }
  return both(abilities, RIG_CAN_UPDATE_KEYS)
             ? std::nullopt
             : std::optional("keys cannot be updated by " + cell.client + "~" + cell.server);
}

std::optional<std::string> needs_renegotiation(const Cell& cell, const Abilities& abilities) {
  if (cell.tls != TlsChoice::tls12) {
    return "renegotiation is a thing of TLS 1.2";
  }
  if ((abilities.client & RIG_CAN_RENEGOTIATE_AS_CLIENT) == 0) {
    return cell.client + " cannot start a renegotiation as a client";
  }
  if ((abilities.server & RIG_CAN_RENEGOTIATE_AS_SERVER) == 0) {
    return cell.server + " cannot start a renegotiation as a server";
  }
  return std::nullopt;
}

std::optional<std::string> needs_renegotiation_in_flight(const Cell& cell, const Abilities& abilities) {
  if (const auto none = needs_renegotiation(cell, abilities); none.has_value()) {
    return none;
  }
  if (!both(abilities, RIG_CAN_RENEGOTIATE_IN_FLIGHT)) {
    return "renegotiation with data under way is not supported by " + cell.client + "~" + cell.server;
  }
  return std::nullopt;
}

}  // namespace rig::recipe
