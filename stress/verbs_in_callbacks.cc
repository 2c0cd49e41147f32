#include <array>

#include "harness/subjects/subjects.h"
#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// Act is a verb inside a callback of one side.
struct Act {
  Side side;
  Event event;
  Verb verb;
};

constexpr std::array events{Event::connected, Event::data, Event::sent, Event::writable, Event::ended, Event::closed};
constexpr std::array verbs{Verb::say,          Verb::pause,      Verb::resume,
                           Verb::open_another, Verb::half_close, Verb::close_graceful,
                           Verb::close_abort,  Verb::destroy,    Verb::stop_listening};

Abilities abilities_of(const Cell& cell) {
  const auto subject = find_subject(cell.subject);
  return subject.has_value() ? Abilities{.client = (*subject)->capabilities(cell.client.c_str()),
                                         .server = (*subject)->capabilities(cell.server.c_str())}
                             : Abilities{};
}

// changes_keys is the verb that does so in a cell, on that side, while data is under way; nothing if there is none. It
// needs a connection whose handshake is done.
std::optional<Verb> changes_keys(const Cell& cell, Side side, const Abilities& abilities) {
  const bool as_client = side == Side::client;
  const std::uint32_t starts = as_client ? RIG_CAN_RENEGOTIATE_AS_CLIENT : RIG_CAN_RENEGOTIATE_AS_SERVER;
  if (cell.tls == TlsChoice::tls12 && ((as_client ? abilities.client : abilities.server) & starts) != 0 &&
      both(abilities, RIG_CAN_RENEGOTIATE_IN_FLIGHT)) {
    return Verb::renegotiate;
  }
  return cell.tls == TlsChoice::tls13 && both(abilities, RIG_CAN_UPDATE_KEYS) ? std::optional(Verb::update_keys)
                                                                              : std::nullopt;
}

// comes says that a cell has the event: an op that completes at once has no `sent`, and none is ever refused.
bool comes(const Cell& cell, Side side, Event event) {
  return cell.fast_track ? event != Event::sent && event != Event::writable
                         : event != Event::writable || side == Side::client;
}

std::vector<Act> acts_of(const Cell& cell) {
  std::vector<Act> acts;
  const Abilities abilities = abilities_of(cell);
  for (const Side side : {Side::client, Side::server}) {
    if (const auto verb = changes_keys(cell, side, abilities); verb.has_value()) {
      for (const Event event : events) {
        // Keys are not changed behind the peer's end, which may be known by the server's last completions.
        const bool before_end = event != Event::ended && (side == Side::client || event != Event::sent);
        if (comes(cell, side, event) && before_end) {
          acts.push_back({side, event, *verb});
        }
      }
    }
  }
  for (const Verb verb : verbs) {
    acts.push_back({Side::server, Event::accepted, verb});
    for (const Side side : {Side::client, Side::server}) {
      for (const Event event : events) {
        if (comes(cell, side, event) && (verb != Verb::stop_listening || side == Side::server)) {
          acts.push_back({side, event, verb});
        }
      }
    }
  }
  return acts;
}

constexpr std::uint64_t ops = 6;
constexpr std::uint64_t bytes = 300;

// The side that does not act closes, unless the act is at the other's end.
void add_talk(Scenario& scenario, std::uint32_t connection, const Act& act_here) {
  const bool server_closes = act_here.event == Event::ended && act_here.side == Side::client;
  std::vector<Step> client{connect(), await(Condition::connected), send(ops, bytes, bytes), await(Condition::sent)};
  std::vector<Step> server{await(Condition::connected)};
  // The run's own close must not overtake the event.
  std::vector<Step>& acting = act_here.side == Side::client ? client : server;
  if (act_here.event == Event::data) {
    acting.push_back(await(Condition::received, 1));
  } else if (act_here.event == Event::sent) {
    acting.push_back(await(Condition::sent, 1));
  }
  // An end that overtakes bytes may come as a reset; one that overtakes the event leaves no keys to change.
  std::vector<Step>& closing = server_closes ? server : client;
  const bool rekeys = act_here.verb == Verb::renegotiate || act_here.verb == Verb::update_keys;
  if (act_here.event == Event::ended || rekeys) {
    closing.push_back(await(Condition::received, ops * bytes));
  }
  if (act_here.event == Event::ended) {
    acting.push_back(await(Condition::ended));
  }
  closing.push_back(act(Verb::close_graceful));
  scenario.threads.push_back(on_loop(Side::client, connection, std::move(client)));
  scenario.threads.push_back(on_loop(Side::server, connection, std::move(server)));
}

std::vector<std::optional<Code>> whatever_a_verb_leads_to() {
  return {std::nullopt, Code::aborted, Code::reset, Code::truncated, Code::closed};
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("verbs_in_callbacks", cell, size, seed);
  const std::uint32_t connections = static_cast<std::uint32_t>(by_size(size, 4, 20, 60));
  scenario.settings.connections = connections;
  scenario.settings.queue_ops = 2;
  scenario.settings.says = 3;
  scenario.settings.renegotiation = cell.tls == TlsChoice::tls12;
  scenario.ops_may_fail = true;
  scenario.all_delivered = false;
  const std::vector<Act> acts = acts_of(cell);
  for (std::uint32_t connection = 0; connection < connections; ++connection) {
    const Act& one = acts[(seed * connections + connection) % acts.size()];
    scenario.reactions.push_back(when(Side::server, connection, Event::data, Verb::echo));
    scenario.reactions.push_back(when(one.side, connection, one.event, one.verb, 1));
    add_talk(scenario, connection, one);
  }
  for (const Side side : {Side::client, Side::server}) {
    for (const Event event : {Event::connected, Event::closed}) {
      scenario.expectations.push_back(expect(side, {}, event, whatever_a_verb_leads_to()));
    }
  }
  scenario.reaches.push_back({.counter = "acted_inside", .at_least = connections});
  return scenario;
}

std::optional<std::string> unfit(const Cell&, const Abilities& abilities) {
  if (!both(abilities, RIG_CAN_PAUSE | RIG_CAN_HALF_CLOSE | RIG_CAN_LIMIT_QUEUE)) {
    return "it lacks pause, half-close, or a limit of its queue";
  }
  return std::nullopt;
}

}  // namespace

const Suite& verbs_in_callbacks_suite() {
  static const Suite suite{.name = "verbs_in_callbacks",
                           .sentence = "every callback calls every verb, on its own socket, from inside",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
