#include "fuzz/outcomes.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "fuzz/differences.h"
#include "harness/base/mutex.h"
#include "harness/subjects/abi.h"
#include "harness/subjects/canary/spoiled_callbacks.h"

namespace rig {
namespace {

void spoil(rig_socket_callbacks& callbacks);
using Around = SpoiledCallbacks<spoil>;

// Notes are by the app's `user` of a socket.
class Notes {
 public:
  void start() {
    const MutexLock lock(mutex_);
    sides_.clear();
    outcomes_.clear();
  }
  void is(void* user, std::string_view side) {
    const MutexLock lock(mutex_);
    if (std::ranges::none_of(sides_, [side](const auto& one) { return one.second == side; })) {
      sides_[user] = side;
    }
  }
  void came(void* user, std::string_view event, std::string_view word) {
    const MutexLock lock(mutex_);
    if (const auto side = sides_.find(user); side != sides_.end()) {
      outcomes_[std::string(side->second) + " " + std::string(event)] = word;
    }
  }
  Outcomes outcomes() {
    const MutexLock lock(mutex_);
    return outcomes_;
  }

 private:
  Mutex mutex_;
  std::map<void*, std::string_view> sides_ RIG_GUARDED_BY(mutex_);
  Outcomes outcomes_ RIG_GUARDED_BY(mutex_);
};

Notes& notes() {
  static Notes& all = *new Notes;
  return all;
}

std::string_view word_of(const rig_error* error) {
  return error == nullptr ? "ok" : code_name(from_abi(*error).code());
}

void on_connected(void* user, const rig_error* error) {
  notes().came(user, "connected", word_of(error));
  Around::app().connected(user, error);
}

void on_ended(void* user) {
  notes().came(user, "ended", "yes");
  Around::app().ended(user);
}

void on_closed(void* user, const rig_error* error) {
  notes().came(user, "closed", word_of(error));
  Around::app().closed(user, error);
}

void spoil(rig_socket_callbacks& callbacks) {
  callbacks.connected = on_connected;
  callbacks.ended = on_ended;
  callbacks.closed = on_closed;
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  notes().is(user, "client");
  return Around::connect(loop, context, host, port, config, callbacks, user, socket, error);
}

void adopt(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user) {
  notes().is(user, "server");
  Around::adopt(socket, callbacks, user);
}

bool ends_both(const Step& step) {
  return step.verb == Verb::relay_fin || step.verb == Verb::relay_reset;
}

bool ends(const Step& step) {
  switch (step.verb) {
    case Verb::close_graceful:
    case Verb::close_abort:
    case Verb::half_close:
    case Verb::destroy:
      return true;
    default:
      return ends_both(step);
  }
}

bool changes_keys(const Step& step) {
  return step.verb == Verb::renegotiate || step.verb == Verb::update_keys;
}

// Everything that was sent has come, on both sides.
void await_quiet(std::vector<Step>& steps) {
  for (const Condition condition :
       {Condition::connected, Condition::established, Condition::sent, Condition::received}) {
    steps.push_back({.verb = Verb::await, .condition = condition});
  }
}

// The steps of the thread that acts, up to the first that ends the connection.
std::vector<Step> steps_in_order(const std::vector<Step>& all) {
  std::vector<Step> steps;
  for (const Step& step : all) {
    if (step.verb == Verb::send) {
      steps.push_back(step);
      steps.back().more = false;
    } else if (changes_keys(step)) {
      await_quiet(steps);
      steps.push_back(step);
    } else if (ends(step)) {
      await_quiet(steps);
      steps.push_back(step);
      // The run closes whoever is left then, and that is no end of the scenario's.
      if (ends_both(step)) {
        steps.push_back({.verb = Verb::await, .condition = Condition::closed});
      }
      if (step.verb != Verb::half_close) {
        steps.push_back({.verb = Verb::await, .condition = Condition::peer_closed});
      }
      return steps;
    }
  }
  await_quiet(steps);
  return steps;
}

std::string_view situation_of(const Scenario& scenario) {
  switch (scenario.settings.peer) {
    case Peer::plaintext:
      return "plaintext server";
    case Peer::plaintext_client:
      return "plaintext client";
    case Peer::nobody:
      return "nobody";
    case Peer::deaf:
      return "deaf server";
    case Peer::subject:
      break;
  }
  if (scenario.settings.strangers) {
    return scenario.cell.auth == Auth::psk ? "another key" : "another authority";
  }
  return "friends";
}

bool has_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == word) {
      return true;
    }
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

}  // namespace

const rig_subject* record_outcomes(const rig_subject* inner) {
  notes().start();
  rig_subject& table = Around::wrap(inner);
  table.connect = connect;
  table.adopt = adopt;
  return &table;
}

Outcomes recorded() {
  return notes().outcomes();
}

Scenario comparable(Scenario scenario) {
  Settings settings;
  settings.peer = scenario.settings.peer;
  settings.strangers = scenario.settings.strangers;
  settings.renegotiation = scenario.settings.renegotiation;
  settings.one_loop = scenario.settings.one_loop;
  const bool echoes =
      std::ranges::any_of(scenario.reactions, [](const Reaction& one) { return one.verb == Verb::echo; });
  const auto acts = [](const Thread& thread) { return std::ranges::any_of(thread.steps, ends); };
  auto actor = std::ranges::find_if(scenario.threads, acts);
  actor = actor == scenario.threads.end() ? scenario.threads.begin() : actor;
  Thread client{
      .side = Side::client, .connection = 0, .where = Where::loop, .copies = 1, .steps = {{.verb = Verb::connect}}};
  Thread server{.side = Side::server, .connection = 0, .where = Where::loop, .copies = 1, .steps = {}};
  const Side side = actor == scenario.threads.end() ? Side::client : actor->side;
  if (actor != scenario.threads.end()) {
    const auto steps = steps_in_order(actor->steps);
    auto& own = (side == Side::client ? client : server).steps;
    own.insert(own.end(), steps.begin(), steps.end());
    settings.relay = std::ranges::any_of(steps, ends_both);
  }
  scenario.settings = settings;
  scenario.threads.clear();
  if (plays(settings.peer, Side::client)) {
    scenario.threads.push_back(std::move(client));
  }
  if (plays(settings.peer, Side::server) && !server.steps.empty()) {
    scenario.threads.push_back(std::move(server));
  }
  scenario.reactions.clear();
  if (echoes) {
    const Side other = side == Side::client ? Side::server : Side::client;
    scenario.reactions.push_back(
        {.side = other, .connection = std::nullopt, .event = Event::data, .nth = 0, .verb = Verb::echo});
  }
  scenario.lab = LabPart{};
  scenario.lab.policy = lab::PolicyKind::none;
  return scenario;
}

bool has_end(const Scenario& scenario) {
  return std::ranges::any_of(scenario.threads, [](const Thread& thread) {
    return std::ranges::any_of(thread.steps, [](const Step& step) {
      return step.verb == Verb::await && step.condition == Condition::peer_closed;
    });
  });
}

bool excused(const Scenario& scenario, const std::string& what, const std::string& one, const std::string& other) {
  const std::string_view situation = situation_of(scenario);
  return std::ranges::any_of(differences, [&](const Difference& row) {
    return (row.situation.empty() || row.situation == situation) && row.what == what && has_word(row.words, one) &&
           has_word(row.words, other);
  });
}

}  // namespace rig
