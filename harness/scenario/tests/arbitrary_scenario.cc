#include "harness/scenario/tests/arbitrary_scenario.h"

#include <algorithm>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "harness/scenario/text.h"

namespace rig {
namespace {

template <class Enum>
Enum any_of() {
  const auto all = words<Enum>();
  return all[*rc::gen::inRange<std::size_t>(0, all.size())].value;
}

template <class Enum>
Enum any_in(std::initializer_list<Enum> some) {
  return *rc::gen::elementOf(std::vector<Enum>(some));
}

template <class Number>
Number any_number(Number max = std::numeric_limits<Number>::max()) {
  // Small ones, the default's neighbours and the limits, each often.
  const auto small = rc::gen::inRange<Number>(0, std::min<Number>(max, 3) + 1);
  const auto large = rc::gen::map(rc::gen::arbitrary<std::uint64_t>(), [max](std::uint64_t bits) {
    return static_cast<Number>(max == std::numeric_limits<Number>::max() ? bits : bits % (std::uint64_t{max} + 1));
  });
  return *rc::gen::oneOf(small, large, rc::gen::just(max));
}

std::string any_name() {
  const auto plain = rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcXYZ019_./-")));
  const auto wild = rc::gen::container<std::string>(rc::gen::map(
      rc::gen::inRange(0, 256), [](int value) { return static_cast<char>(static_cast<unsigned char>(value)); }));
  const auto nasty = rc::gen::container<std::string>(rc::gen::elementOf(std::string("\"\\ #=|\n\r\t\0xan", 14)));
  return *rc::gen::weightedOneOf<std::string>({{4, plain}, {1, wild}, {1, nasty}});
}

bool any_bool() {
  return *rc::gen::arbitrary<bool>();
}

std::optional<std::uint32_t> any_connection() {
  return any_bool() ? std::optional(any_number<std::uint32_t>()) : std::nullopt;
}

template <class Make>
auto any_list(std::size_t max, Make make) {
  std::vector<decltype(make())> list;
  for (std::size_t left = *rc::gen::inRange<std::size_t>(0, max + 1); left > 0; --left) {
    list.push_back(make());
  }
  return list;
}

Cell any_cell() {
  Cell cell;
  cell.subject = any_name();
  cell.client = any_name();
  cell.server = any_name();
  cell.tls = any_of<TlsChoice>();
  cell.auth = any_of<Auth>();
  cell.world = any_of<World>();
  cell.poller = any_of<PollerChoice>();
  cell.fast_track = any_bool();
  cell.nodelay_client = any_bool();
  cell.nodelay_server = any_bool();
  cell.ipv6 = any_bool();
  return cell;
}

Settings any_settings() {
  Settings settings;
  settings.connections = any_number(TextLimits::connections);
  settings.loop_per_client = any_bool();
  settings.one_loop = any_bool();
  settings.relay = any_bool();
  settings.fresh_process = any_bool();
  settings.peer = any_of<Peer>();
  settings.refused = any_number(TextLimits::connections);
  settings.renegotiation = any_bool();
  settings.strangers = any_bool();
  settings.says = any_number<std::uint32_t>();
  settings.queue_ops = any_number<std::uint32_t>();
  settings.queue_bytes = any_number<std::uint64_t>();
  settings.kernel_send_bytes = any_number<std::uint64_t>();
  settings.kernel_recv_bytes = any_number<std::uint64_t>();
  settings.connect_timeout_us = any_number<std::uint64_t>();
  settings.handshake_timeout_us = any_number<std::uint64_t>();
  settings.close_timeout_us = any_number<std::uint64_t>();
  return settings;
}

// The verbs as the comments of scenario.h divide them, written down once more on purpose: a verb that the grammar
// puts in the wrong place is found here.
Verb any_step_verb() {
  return any_in({Verb::close_graceful, Verb::close_abort, Verb::half_close, Verb::destroy, Verb::pause, Verb::resume,
                 Verb::renegotiate, Verb::update_keys, Verb::connect, Verb::send, Verb::await, Verb::align,
                 Verb::relay_stall, Verb::relay_flow, Verb::relay_reset, Verb::relay_fin});
}

Verb any_reaction_verb() {
  return any_in({Verb::close_graceful, Verb::close_abort, Verb::half_close, Verb::destroy, Verb::pause, Verb::resume,
                 Verb::renegotiate, Verb::update_keys, Verb::echo, Verb::echo_elsewhere, Verb::destroy_other,
                 Verb::stop_listening, Verb::say, Verb::open_another});
}

Step any_step() {
  Step step;
  step.verb = any_step_verb();
  if (step.verb == Verb::send) {
    step.count = any_number<std::uint64_t>();
    step.size_max = any_number(TextLimits::op_bytes);
    step.size_min = any_bool() ? step.size_max : any_number(step.size_max);
    step.more = any_bool();
  } else if (step.verb == Verb::align) {
    step.count = any_number<std::uint64_t>();
  } else if (step.verb == Verb::await) {
    step.condition = any_of<Condition>();
    const bool counted = step.condition == Condition::sent || step.condition == Condition::received ||
                         step.condition == Condition::pending || step.condition == Condition::handshakes ||
                         step.condition == Condition::key_updates;
    step.count = counted ? any_number<std::uint64_t>() : 0;
  }
  return step;
}

Thread any_thread() {
  Thread thread;
  thread.side = any_of<Side>();
  thread.connection = any_connection();
  thread.where = any_of<Where>();
  thread.copies = any_number(TextLimits::copies);
  thread.steps = any_list(8, any_step);
  return thread;
}

Reaction any_reaction() {
  Reaction reaction;
  reaction.side = any_of<Side>();
  reaction.connection = any_connection();
  reaction.event = any_of<Event>();
  reaction.nth = any_number<std::uint32_t>();
  reaction.verb = any_reaction_verb();
  return reaction;
}

std::optional<Code> any_outcome() {
  const int code = *rc::gen::inRange(-1, static_cast<int>(Code::internal) + 1);
  return code < 0 ? std::nullopt : std::optional(static_cast<Code>(code));
}

Expectation any_expectation() {
  Expectation expectation;
  expectation.side = any_of<Side>();
  expectation.connection = any_connection();
  expectation.event = any_in({Event::connected, Event::closed});
  expectation.outcomes = any_list(3, any_outcome);
  expectation.outcomes.push_back(any_outcome());
  return expectation;
}

lab::Fault any_fault() {
  lab::Fault fault;
  fault.number = any_number<std::uint32_t>(1000);
  fault.kind = any_of<lab::FaultKind>();
  fault.connection = any_connection();
  fault.side = any_of<lab::FaultSide>();
  fault.op = any_of<lab::Op>();
  fault.nth = any_number<std::uint64_t>();
  fault.offset = any_number<std::uint64_t>();
  fault.amount = static_cast<std::int64_t>(any_number<std::uint64_t>() >> 1);
  fault.sticky = any_bool();
  return fault;
}

lab::Switch any_switch() {
  return {.thread = any_number<std::uint32_t>(TextLimits::lab_threads),
          .step = any_number<std::uint64_t>(TextLimits::lab_steps),
          .next = any_number<std::uint32_t>(TextLimits::lab_threads)};
}

LabPart any_lab() {
  LabPart part;
  part.policy = any_of<lab::PolicyKind>();
  part.profile = any_of<lab::Profile>();
  part.first_descriptor = any_number<std::uint32_t>(1'000'000);
  part.library_points = any_of<LibraryPoints>();
  part.random_faults = any_bool();
  part.faults = any_list(4, any_fault);
  part.switches = any_list(30, any_switch);
  part.events = any_number<std::uint64_t>();
  if (part.events != 0) {
    part.schedule_hash = any_number<std::uint64_t>();
    part.byte_hash = any_number<std::uint64_t>();
  }
  return part;
}

}  // namespace

rc::Gen<Scenario> arbitrary_scenario() {
  return rc::gen::exec([] {
    Scenario scenario;
    scenario.suite = any_name();
    scenario.seed = any_number<std::uint64_t>();
    scenario.size = any_of<Size>();
    scenario.cell = any_cell();
    scenario.settings = any_settings();
    scenario.reactions = any_list(4, any_reaction);
    scenario.threads = any_list(4, any_thread);
    scenario.expectations = any_list(4, any_expectation);
    scenario.all_delivered = any_bool();
    scenario.ops_may_fail = any_bool();
    scenario.memory_may_fail = any_bool();
    scenario.lab = any_lab();
    scenario.reaches = any_list(4, [] { return Reach{any_name(), any_number<std::uint64_t>()}; });
    return scenario;
  });
}

void showValue(const Scenario& scenario, std::ostream& out) {
  out << print_scenario(scenario);
}

}  // namespace rig
