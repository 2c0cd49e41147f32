#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// An echo is stopped at every byte of its streams: calls end there, calls would block there, the connection is reset
// there. A seed strikes each 512th byte from its own number on, so that the seeds 1 to 512 of the size quick strike
// every byte of the first 64 KiB of a stream in every way. On the real kernel small buffers do what they can.
constexpr std::uint64_t stride = 512;

lab::Fault strike(lab::FaultKind kind, std::uint32_t connection, lab::FaultSide side, std::uint64_t byte) {
  lab::Fault fault;
  fault.kind = kind;
  fault.connection = connection;
  fault.side = side;
  fault.amount = static_cast<std::int64_t>(byte);
  return fault;
}

// The client's part: so many ops and their echo, unless the connection ends before.
std::vector<Step> talk(std::uint64_t ops, std::uint64_t bytes) {
  return {connect(), await(Condition::connected), send(ops, bytes, bytes), await(Condition::received),
          act(Verb::close_graceful)};
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("boundaries", cell, size, seed);
  const std::uint64_t bytes = op_bytes(size);
  const std::uint64_t stream_bytes = by_size(size, 12 * 1024, 64 * 1024, 64 * 1024);
  const std::uint64_t first = (seed - 1) % stride;
  const std::uint64_t places = stream_bytes / stride;
  const std::uint64_t resets = by_size(size, 2, places, places);
  const bool in_lab = cell.world == World::lab;
  tight(scenario);
  if (size != Size::tiny) {
    // All bytes in little time: which thread goes first is what the tiny size is for.
    scenario.lab.policy = lab::PolicyKind::none;
    scenario.lab.library_points = LibraryPoints::off;
  }
  scenario.settings.connections = static_cast<std::uint32_t>(2 + (in_lab ? resets : 0));
  for (std::uint32_t connection = 0; in_lab && connection < 2; ++connection) {
    const lab::FaultKind kind = connection == 0 ? lab::FaultKind::stop : lab::FaultKind::block;
    for (std::uint64_t place = 0; place < places; ++place) {
      for (const lab::FaultSide side : {lab::FaultSide::client, lab::FaultSide::server}) {
        scenario.lab.faults.push_back(strike(kind, connection, side, place * stride + first));
      }
    }
  }
  for (std::uint32_t connection = 2; connection < scenario.settings.connections; ++connection) {
    const std::uint64_t place =
        size == Size::tiny ? (connection - 2) * (places / resets) + seed % (places / resets) : connection - 2;
    // The very first byte is the connection itself: there is nothing to be reset yet. What would follow behind the
    // reset is not sent.
    const std::uint64_t byte = place * stride + first + 1;
    scenario.lab.faults.push_back(strike(lab::FaultKind::reset, connection, lab::FaultSide::client, byte));
    scenario.threads.push_back(on_loop(Side::client, connection, talk(byte / bytes + 1, bytes)));
    for (const Side side : {Side::client, Side::server}) {
      scenario.expectations.push_back(expect(side, connection, Event::connected, {std::nullopt, Code::reset}));
      scenario.expectations.push_back(expect(side, connection, Event::closed, {Code::reset}));
    }
    scenario.ops_may_fail = true;
    scenario.all_delivered = false;
  }
  for (std::uint32_t number = 0; number < scenario.lab.faults.size(); ++number) {
    scenario.lab.faults[number].number = number + 1;
  }
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo));
  for (const std::uint32_t whole : {0U, 1U}) {
    scenario.threads.push_back(on_loop(Side::client, whole, talk(stream_bytes / bytes + 1, bytes)));
  }
  // Two connections are whole, to and fro.
  scenario.reaches.push_back({.counter = "bytes", .at_least = 4 * stream_bytes});
  if (in_lab) {
    // A call that ends at a stop by itself is not cut there; which do, the schedule says. Nothing else can be missed.
    const std::uint64_t stops = 2 * places;
    scenario.reaches.push_back({.counter = "lab_faults", .at_least = scenario.lab.faults.size() - stops / 2});
  }
  return scenario;
}

}  // namespace

const Suite& boundaries_suite() {
  static const Suite suite{.name = "boundaries",
                           .sentence = "an echo is cut short, blocked, and reset at the bytes of its streams",
                           .unfit = fits,
                           .make = make};
  return suite;
}

}  // namespace rig
