#include <cerrno>

#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// Connections of one thread: 0 echoes, 1 is idle until something has failed beside it, for the others nobody listens.
constexpr std::uint32_t echoing = 0;
constexpr std::uint32_t idle = 1;
constexpr std::uint32_t first = idle + 1;

// How the system says so at a connect, where the lab has it in hand.
struct Refusal {
  int error;
  Code seen;
};

constexpr Refusal refusals[] = {{ECONNREFUSED, Code::refused},
                                {ETIMEDOUT, Code::timeout},
                                {EHOSTUNREACH, Code::unreachable},
                                {ECONNREFUSED, Code::refused},
                                {ENETUNREACH, Code::unreachable}};
constexpr std::uint32_t failing = std::size(refusals);

// A socket is of no connection before it is connected: the connects are told apart by their order, which the talk
// beside them keeps.
lab::Fault refuse(const Refusal& refusal, std::uint32_t connection) {
  lab::Fault fault;
  fault.number = connection;
  fault.kind = lab::FaultKind::error;
  fault.op = lab::Op::connect;
  fault.nth = connection + std::uint64_t{1};
  fault.amount = refusal.error;
  return fault;
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("failing_connects", cell, size, seed);
  const bool by_the_lab = cell.world == World::lab && pick(cell, seed, 2) == 0;
  const std::uint64_t ops = by_size(size, 2, 5, 20);
  scenario.settings.connections = first + failing;
  scenario.settings.refused = failing;
  scenario.settings.one_loop = true;
  std::vector<Step> echo{connect(), await(Condition::connected), await(Condition::established)};
  std::vector<Step> speak{await(Condition::connected)};
  std::vector<Step> hear{connect(), await(Condition::connected), await(Condition::established)};
  scenario.reactions.push_back(when(Side::server, echoing, Event::data, Verb::echo));
  for (std::uint32_t connection = first; connection < first + failing; ++connection) {
    const std::uint64_t begun = 100 + std::uint64_t{connection};
    const std::uint64_t over = connection;
    echo.insert(echo.end(), {align(begun), send(ops, 1, 600), align(over), await(Condition::received)});
    speak.insert(speak.end(), {align(over), send(1, 600, 600)});
    hear.insert(hear.end(), {align(begun), align(over)});
    scenario.threads.push_back(
        on_loop(Side::client, connection, {align(begun), connect(), await(Condition::closed), align(over)}));
    const Refusal& refusal = refusals[connection - first];
    const Code seen = by_the_lab ? refusal.seen : Code::refused;
    for (const Event event : {Event::connected, Event::closed}) {
      scenario.expectations.push_back(expect(Side::client, connection, event, {seen}));
    }
    if (by_the_lab) {
      scenario.lab.faults.push_back(refuse(refusal, connection));
    }
  }
  hear.push_back(await(Condition::received, 600 * std::uint64_t{failing}));
  scenario.threads.push_back(on_loop(Side::client, echoing, echo));
  scenario.threads.push_back(on_loop(Side::client, idle, hear));
  scenario.threads.push_back(on_loop(Side::server, idle, speak));
  scenario.reaches.push_back({.counter = "connect_failed", .at_least = failing});
  scenario.reaches.push_back({.counter = "bytes", .at_least = 600 * std::uint64_t{failing} + 2 * ops * failing});
  if (by_the_lab) {
    scenario.reaches.push_back({.counter = "lab_faults", .at_least = failing});
  }
  return scenario;
}

}  // namespace

const Suite& failing_connects_suite() {
  static const Suite suite{
      .name = "failing_connects",
      .sentence = "on one thread connects are refused, time out and find no way, and connections beside them talk on",
      .unfit = fits,
      .make = make};
  return suite;
}

}  // namespace rig
