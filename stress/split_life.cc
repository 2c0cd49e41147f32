#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// A whole life, handshake, echo and end, has some 2,000 bytes in each direction. A run takes one place of it, and one
// thing that the wire does there; the cells and their seeds go through all of them.
constexpr std::uint64_t places = 2'400;
constexpr std::uint64_t weathers = 4;
// What would block and then goes on hides nothing of what comes behind it: of such places a run takes one in so many.
constexpr std::uint64_t stride = 256;

lab::Fault fault(std::uint32_t number, lab::FaultKind kind, lab::FaultSide side, std::uint64_t offset,
                 std::int64_t amount) {
  lab::Fault one;
  one.number = number;
  one.kind = kind;
  one.connection = 0;
  one.side = side;
  one.offset = offset;
  one.amount = amount;
  return one;
}

Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("split_life", cell, size, seed);
  const std::uint64_t ops = by_size(size, 3, 6, 20);
  scenario.reactions.push_back(when(Side::server, {}, Event::data, Verb::echo));
  scenario.threads.push_back(
      on_loop(Side::client, {},
              {connect(), send(1, 1, 1), await(Condition::connected), send(ops, 0, 200), await(Condition::received),
               await(Condition::sent), act(Verb::close_graceful), await(Condition::closed)}));
  scenario.reaches.push_back({.counter = "ops", .at_least = ops + 1});
  const std::uint64_t choice = pick(cell, seed, places * weathers);
  const std::uint64_t place = 1 + choice / weathers;
  const auto behind = static_cast<std::int64_t>(place + 400);
  std::uint32_t number = 0;
  for (const lab::FaultSide side : {lab::FaultSide::client, lab::FaultSide::server}) {
    switch (choice % weathers) {
      case 0:  // the peer has the bytes before this place, and waits for the rest
        scenario.lab.faults.push_back(
            fault(++number, lab::FaultKind::split, side, 0, static_cast<std::int64_t>(place)));
        scenario.lab.faults.push_back(fault(++number, lab::FaultKind::delay, side, place, 3'000));
        break;
      case 1:  // what comes behind this place comes in one piece
        scenario.lab.faults.push_back(fault(++number, lab::FaultKind::coalesce, side, place, behind));
        break;
      case 2:  // calls end here, and the next would block: in a handshake, in what an op has become, in the goodbye
        for (std::uint64_t at = place % stride; at < places; at += stride) {
          scenario.lab.faults.push_back(fault(++number, lab::FaultKind::block, side, 0, static_cast<std::int64_t>(at)));
        }
        break;
      default:  // only the piece ends here
        scenario.lab.faults.push_back(
            fault(++number, lab::FaultKind::split, side, 0, static_cast<std::int64_t>(place)));
        break;
    }
  }
  if (choice % weathers == 2 && is_tls(cell)) {
    scenario.reaches.push_back({.counter = "lab_faults", .at_least = 2});
  }
  return scenario;
}

}  // namespace

const Suite& split_life_suite() {
  static const Suite suite{
      .name = "split_life",
      .sentence = "what the wire carries is cut, stalled, joined or refused at every byte of a connection's life",
      .unfit = needs_lab,
      .make = make};
  return suite;
}

}  // namespace rig
