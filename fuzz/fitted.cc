#include "fuzz/fitted.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/check.h"
#include "harness/scenario/scenario_check.h"
#include "harness/scenario/text_grammar.h"
#include "harness/subjects/subjects.h"

namespace rig {
namespace {

std::uint32_t abilities(std::string_view backend) {
  const auto subject = find_subject("house");
  RIG_CHECK(subject.has_value());
  return (*subject)->capabilities(std::string(backend).c_str());
}

template <class List>
void shorten(List& list, std::size_t count) {
  list.resize(std::min(list.size(), count));
}

// 0 says that it is left to the subject.
void bound(std::uint64_t& number, std::uint64_t low, std::uint64_t high) {
  number = number == 0 ? 0 : std::clamp(number, low, high);
}

void fit_cell(Scenario& scenario, std::string_view backend) {
  const std::uint32_t can = abilities(backend);
  Cell& cell = scenario.cell;
  cell.subject = "house";
  cell.client = cell.server = backend;
  cell.world = World::lab;
  const bool tls12 = (can & RIG_CAN_TLS12) != 0;
  const bool tls13 = (can & RIG_CAN_TLS13) != 0;
  if (!tls12 && !tls13) {
    cell.tls = TlsChoice::none;
  } else if (!tls13 || (cell.tls != TlsChoice::tls13 && tls12)) {
    cell.tls = TlsChoice::tls12;
  } else {
    cell.tls = TlsChoice::tls13;
  }
  if ((can & (RIG_CAN_PSK | RIG_CAN_CERTIFICATES)) != (RIG_CAN_PSK | RIG_CAN_CERTIFICATES)) {
    cell.auth = (can & RIG_CAN_CERTIFICATES) != 0 ? Auth::certificate : Auth::psk;
  }
}

void fit_settings(Scenario& scenario) {
  Settings& settings = scenario.settings;
  settings.connections = std::clamp(settings.connections, 1U, FuzzLimits::connections);
  settings.fresh_process = false;
  if (scenario.cell.tls == TlsChoice::none && settings.peer != Peer::nobody && settings.peer != Peer::deaf) {
    settings.peer = Peer::subject;  // what a raw program says in the clear would be taken for the stream
  }
  settings.strangers = settings.strangers && scenario.cell.tls != TlsChoice::none && settings.peer == Peer::subject;
  settings.refused = settings.peer == Peer::subject ? std::min(settings.refused, settings.connections - 1) : 0;
  settings.says = std::clamp(settings.says, 1U, FuzzLimits::says);
  bound(settings.kernel_send_bytes, FuzzLimits::kernel_bytes_min, FuzzLimits::kernel_bytes_max);
  bound(settings.kernel_recv_bytes, FuzzLimits::kernel_bytes_min, FuzzLimits::kernel_bytes_max);
}

void fit_connection(std::optional<std::uint32_t>& connection, const Scenario& scenario) {
  if (connection.has_value()) {
    *connection %= scenario.settings.connections;
  }
}

bool sends_back(Verb verb) {
  return verb == Verb::echo || verb == Verb::echo_elsewhere;
}

// Two sides that echo do so for ever.
void fit_reactions(Scenario& scenario) {
  shorten(scenario.reactions, FuzzLimits::reactions);
  std::optional<Side> echoing;
  std::erase_if(scenario.reactions, [&](const Reaction& one) {
    if (!sends_back(one.verb)) {
      return false;
    }
    echoing = echoing.value_or(one.side);
    return *echoing != one.side;
  });
  for (Reaction& reaction : scenario.reactions) {
    fit_connection(reaction.connection, scenario);
    reaction.nth = std::min(reaction.nth, FuzzLimits::nth);
    if (reaction.verb == Verb::open_another) {
      reaction.nth = std::max(reaction.nth, 1U);  // else there are as many as there are events
    }
  }
}

void fit_step(Step& step, const Thread& thread) {
  if (step.verb == Verb::connect && thread.where == Where::beside) {
    step = {.verb = Verb::await, .condition = Condition::connected};
  }
  const bool awaits = step.verb == Verb::await;
  if (!awaits) {
    step.condition = Condition::connected;
  }
  if (step.verb != Verb::send) {
    step.size_min = step.size_max = 0;
    step.more = false;
  }
  if (step.verb != Verb::send && step.verb != Verb::align && (!awaits || !counts(step.condition))) {
    step.count = 0;
  }
  if (awaits && (step.condition == Condition::handshakes || step.condition == Condition::key_updates)) {
    step.count = std::clamp<std::uint64_t>(step.count, 1, 4);
  }
  if (step.verb == Verb::align) {
    step.count %= 4;
  }
}

// What is beyond the bound goes, of steps and of reactions; of these each happens once.
void fit_key_updates(Scenario& scenario) {
  std::uint32_t left = FuzzLimits::key_updates;
  const auto is_beyond = [&left](Verb verb, std::uint32_t times) {
    const bool updates = verb == Verb::update_keys;
    const bool beyond = updates && times > left;
    left -= updates && !beyond ? times : 0;
    return beyond;
  };
  for (Thread& thread : scenario.threads) {
    std::erase_if(thread.steps, [&](const Step& step) { return is_beyond(step.verb, thread.copies); });
  }
  for (Reaction& reaction : scenario.reactions) {
    if (reaction.verb == Verb::update_keys) {
      reaction.nth = std::max(reaction.nth, 1U);
    }
  }
  std::erase_if(scenario.reactions, [&](const Reaction& reaction) { return is_beyond(reaction.verb, 1); });
}

// Where the client renegotiates and the server's requests may not cross that, the server asks for none.
void fit_renegotiations(Scenario& scenario, std::string_view backend) {
  const auto renegotiates = [](const auto& one) { return one.verb == Verb::renegotiate; };
  const bool client_does =
      std::ranges::any_of(scenario.threads,
                          [&](const Thread& thread) {
                            return thread.side == Side::client && std::ranges::any_of(thread.steps, renegotiates);
                          }) ||
      std::ranges::any_of(scenario.reactions, [&](const Reaction& reaction) {
        return reaction.side == Side::client && renegotiates(reaction);
      });
  if (requests_may_cross(backend) || !client_does) {
    return;
  }
  for (Thread& thread : scenario.threads) {
    if (thread.side == Side::server) {
      std::erase_if(thread.steps, renegotiates);
    }
  }
  std::erase_if(scenario.reactions,
                [&](const Reaction& reaction) { return reaction.side == Side::server && renegotiates(reaction); });
}

// Each client's connection is opened once; where it is not so, the first thread of a client that runs for all does it.
void fit_connects(Scenario& scenario) {
  std::vector<std::uint32_t> opened(scenario.settings.connections);
  bool well = true;
  for (Thread& thread : scenario.threads) {
    const auto connects = std::ranges::count(thread.steps, Verb::connect, &Step::verb) * thread.copies;
    for (std::uint32_t i = 0; i < opened.size(); ++i) {
      opened[i] += thread.connection.value_or(i) == i ? static_cast<std::uint32_t>(connects) : 0;
    }
    well = well && (connects == 0 || thread.side == Side::client);
  }
  if (well && std::ranges::all_of(opened, [](std::uint32_t times) { return times == 1; })) {
    return;
  }
  for (Thread& thread : scenario.threads) {
    std::erase_if(thread.steps, [](const Step& step) { return step.verb == Verb::connect; });
  }
  if (!plays(scenario.settings.peer, Side::client)) {
    return;
  }
  auto opener = std::ranges::find_if(scenario.threads, [](const Thread& thread) {
    return thread.side == Side::client && !thread.connection.has_value() && thread.where == Where::loop;
  });
  if (opener == scenario.threads.end()) {
    shorten(scenario.threads, FuzzLimits::threads - 1);
    opener = scenario.threads.insert(scenario.threads.begin(), Thread{});
  }
  opener->copies = 1;
  opener->steps.insert(opener->steps.begin(), Step{.verb = Verb::connect});
}

void fit_load(Scenario& scenario) {
  std::uint64_t ops_left = FuzzLimits::ops;
  std::uint64_t bytes_left = FuzzLimits::plain_bytes;
  for (Thread& thread : scenario.threads) {
    const std::uint64_t times =
        std::uint64_t{thread.copies} * (thread.connection.has_value() ? 1 : scenario.settings.connections);
    for (Step& step : thread.steps) {
      if (step.verb != Verb::send) {
        continue;
      }
      step.count = std::clamp<std::uint64_t>(step.count, 1, std::max<std::uint64_t>(1, ops_left / times));
      step.size_max = std::min(step.size_max, bytes_left / (times * step.count));
      step.size_min = std::min(step.size_min, step.size_max);
      ops_left -= std::min(ops_left, times * step.count);
      bytes_left -= times * step.count * step.size_max;
    }
  }
}

void fit_threads(Scenario& scenario) {
  shorten(scenario.threads, FuzzLimits::threads);
  for (Thread& thread : scenario.threads) {
    fit_connection(thread.connection, scenario);
    thread.copies = std::clamp(thread.copies, 1U, FuzzLimits::copies);
    shorten(thread.steps, FuzzLimits::steps);
    for (Step& step : thread.steps) {
      fit_step(step, thread);
    }
  }
  fit_key_updates(scenario);
  fit_connects(scenario);
  std::erase_if(scenario.threads, [](const Thread& thread) { return thread.steps.empty(); });
  fit_load(scenario);
}

bool carries_a_stream(lab::Op op) {
  using enum lab::Op;
  constexpr lab::Op streams[] = {send, recv, read, write, connect, accept, shutdown};
  return std::ranges::find(streams, op) != std::end(streams);
}

// A fault that stays, or one of a call that is no connection's, takes the ground from under the run itself. Where
// memory fails nearly everything may: that is asked by the suites.
bool is_fit(const lab::Fault& fault) {
  const bool fails = fault.kind == lab::FaultKind::error || fault.kind == lab::FaultKind::would_block ||
                     fault.kind == lab::FaultKind::interrupted;
  return !fault.sticky && fault.kind != lab::FaultKind::no_memory && (!fails || carries_a_stream(fault.op));
}

void fit_lab(Scenario& scenario) {
  constexpr std::int64_t errno_max = 133;
  LabPart& lab = scenario.lab;
  lab.events = lab.schedule_hash = lab.byte_hash = 0;
  lab.first_descriptor = std::clamp(lab.first_descriptor, 100U, 70'000U);
  if (lab.policy == lab::PolicyKind::by_seed) {
    lab.policy = lab::PolicyKind::sticky1;  // nearly a third of the seeds take the one that costs the most
  }
  if (lab.policy != lab::PolicyKind::none) {
    lab.switches.clear();
  }
  shorten(lab.switches, FuzzLimits::switches);
  std::size_t accepts = 0;
  std::erase_if(lab.faults, [&accepts](const lab::Fault& fault) {
    const bool accept_fails = fault.kind == lab::FaultKind::error && fault.op == lab::Op::accept;
    return !is_fit(fault) || (accept_fails && ++accepts > FuzzLimits::accepts_that_fail);
  });
  shorten(lab.faults, FuzzLimits::faults);
  std::uint32_t number = 0;
  for (lab::Fault& fault : lab.faults) {
    fault.number = ++number;
    fit_connection(fault.connection, scenario);
    fault.nth = std::max<std::uint64_t>(1, fault.nth);
    fault.amount = std::max<std::int64_t>(0, fault.amount);
    if (fault.kind == lab::FaultKind::delay) {
      fault.amount = std::min(fault.amount, FuzzLimits::delay_us_max);
    }
    if (fault.kind == lab::FaultKind::error || fault.kind == lab::FaultKind::option) {
      fault.amount = std::clamp<std::int64_t>(fault.amount, 1, errno_max);
    }
  }
}

// What is still wrong is of one step or reaction: the first one without which the sentence is another goes.
void drop_what_is_wrong(Scenario& scenario, std::string_view backend) {
  constexpr int drops_max = 64;
  for (int drops = 0; drops < drops_max; ++drops) {
    const auto wrong = check_scenario(scenario);
    if (!wrong.has_value()) {
      return;
    }
    bool dropped = false;
    const auto drop = [&](auto& list) {
      for (std::size_t i = 0; i < list.size() && !dropped; ++i) {
        auto one = list[i];
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
        dropped = check_scenario(scenario) != wrong;
        if (!dropped) {
          list.insert(list.begin() + static_cast<std::ptrdiff_t>(i), std::move(one));
        }
      }
    };
    for (Thread& thread : scenario.threads) {
      drop(thread.steps);
    }
    drop(scenario.reactions);
    drop(scenario.threads);
    if (!dropped) {
      break;
    }
    fit_connects(scenario);
  }
  scenario = opening(backend);
}

// The run closes what its steps have left behind them: a connection that nobody waits for is closed in its handshake.
void wait_for_connections(Scenario& scenario) {
  const Step waits[] = {{.verb = Verb::await, .condition = Condition::connected},
                        {.verb = Verb::await, .condition = Condition::established}};
  for (Thread& thread : scenario.threads) {
    auto& steps = thread.steps;
    const auto connects = std::ranges::find(steps, Verb::connect, &Step::verb);
    const bool is_last = steps.size() > std::size(waits) &&
                         std::equal(std::begin(waits), std::end(waits), steps.end() - std::ssize(waits));
    if (connects != steps.end() && !is_last) {
      shorten(steps, FuzzLimits::steps - std::size(waits));
      steps.insert(steps.end(), std::begin(waits), std::end(waits));
    }
  }
}

bool is_calm(const lab::Fault& fault) {
  return fault.kind != lab::FaultKind::reset && !lab::fails_for_good(fault);
}

bool is_calm(const Step& step) {
  if (step.verb == Verb::await) {
    const bool comes = step.condition == Condition::connected || step.condition == Condition::established ||
                       step.condition == Condition::sent || step.condition == Condition::received;
    return comes && step.count == 0;
  }
  return step.verb == Verb::connect || step.verb == Verb::send;
}

// A step in front of the one that connects may wait for what comes of it.
bool is_calm(const Thread& thread) {
  const auto connects = std::ranges::find(thread.steps, Verb::connect, &Step::verb);
  return std::ranges::all_of(thread.steps, [](const Step& step) { return is_calm(step); }) &&
         (connects == thread.steps.begin() || connects == thread.steps.end());
}

// Nobody ends a stream in a calm scenario before all is over: what is said then the other side need not hear.
bool is_calm(const Reaction& reaction) {
  return sends_back(reaction.verb) || (reaction.verb == Verb::say && reaction.event != Event::ended);
}

}  // namespace

bool is_calm(const Scenario& scenario) {
  const Settings& settings = scenario.settings;
  const auto calm = [](const auto& one) { return is_calm(one); };
  return settings.peer == Peer::subject && !settings.strangers && settings.queue_ops == 0 &&
         settings.queue_bytes == 0 && scenario.cell.poller != PollerChoice::select && !scenario.lab.random_faults &&
         std::ranges::all_of(scenario.reactions, calm) && std::ranges::all_of(scenario.threads, calm) &&
         std::ranges::all_of(scenario.lab.faults, calm);
}

bool requests_may_cross(std::string_view library) {
  return library != "mbedtls";
}

Scenario opening(std::string_view backend) {
  Scenario scenario;
  scenario.suite = "fuzz";
  scenario.size = Size::tiny;
  scenario.threads.push_back({.side = Side::client,
                              .connection = std::nullopt,
                              .where = Where::loop,
                              .copies = 1,
                              .steps = {{.verb = Verb::connect},
                                        {.verb = Verb::send, .count = 2, .size_min = 100, .size_max = 100},
                                        {.verb = Verb::await, .condition = Condition::sent}}});
  fit_cell(scenario, backend);
  fit_lab(scenario);
  wait_for_connections(scenario);
  return scenario;
}

Scenario fitted(Scenario scenario, std::string_view backend) {
  scenario.suite = "fuzz";
  scenario.size = Size::tiny;
  scenario.expectations.clear();
  scenario.reaches.clear();
  scenario.memory_may_fail = false;
  fit_cell(scenario, backend);
  fit_settings(scenario);
  fit_reactions(scenario);
  fit_renegotiations(scenario, backend);
  fit_threads(scenario);
  fit_lab(scenario);
  drop_what_is_wrong(scenario, backend);
  std::erase_if(scenario.threads, [](const Thread& thread) { return thread.steps.empty(); });
  const bool calm = is_calm(scenario);
  if (calm) {
    wait_for_connections(scenario);
  }
  for (std::uint64_t Settings::* deadline : {&Settings::handshake_timeout_us, &Settings::close_timeout_us}) {
    std::uint64_t& limit_us = scenario.settings.*deadline;
    limit_us = calm ? 0 : limit_us == 0 ? FuzzLimits::timeout_us_max : std::min(limit_us, FuzzLimits::timeout_us_max);
  }
  scenario.ops_may_fail = !calm;
  scenario.all_delivered = calm;
  return scenario;
}

}  // namespace rig
