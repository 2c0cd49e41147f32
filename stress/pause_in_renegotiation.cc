#include "stress/recipe.h"

namespace rig {
namespace {

using namespace recipe;

// The moments at which all connections meet.
enum Meeting : std::uint8_t { filled, asked, answering, deaf, drained };

std::optional<std::string> unfit(const Cell& cell, const Abilities& abilities) {
  return first_of({needs_renegotiation_in_flight(cell, abilities), needs_pause(cell, abilities)});
}

// filling is so large an op that a wire which nobody reads from has room for it and for `room` bytes more, in a kernel
// that counts bytes and nothing else, with AES-GCM.
std::uint64_t filling(const Settings& settings, std::uint64_t room) {
  constexpr std::uint64_t plain_max = 16384;
  constexpr std::uint64_t around_plain = 5 + 8 + 16;  // header, nonce, tag
  const std::uint64_t wire = settings.kernel_send_bytes + settings.kernel_recv_bytes - room;
  const std::uint64_t records = (wire + plain_max + around_plain - 1) / (plain_max + around_plain);
  return wire - records * around_plain;
}

// tick is a message that goes there and back on a connection of its own: while it does, everybody has had a turn.
void tick(std::vector<Step>& steps, std::uint32_t times) {
  for (std::uint32_t count = 0; count < times; ++count) {
    steps.push_back(send(1, 64, 64));
    steps.push_back(await(Condition::received));
  }
}

// clock is that connection's client: it says when the others meet.
Thread clock(std::uint32_t connection, Size size) {
  std::vector<Step> steps{connect(), await(Condition::connected), await(Condition::established), align(filled)};
  tick(steps, 4);
  steps.push_back(align(asked));
  tick(steps, 4);
  steps.push_back(align(answering));
  steps.push_back(align(deaf));
  tick(steps, size == Size::tiny ? 20 : 40);  // a loop that wakes up for nothing does so over and over meanwhile
  steps.push_back(align(drained));
  return on_loop(Side::client, connection, steps);
}

// One side asks for a renegotiation and does not read: the other has filled the wire, so that its answer does not fit.
// With that half said it stops reading as well; then the first reads everything, and there is room that nobody has a
// use for. Connection 0 is renegotiated by the server, connection 1 by the client.
Scenario make(const Cell& cell, Size size, std::uint64_t seed) {
  Scenario scenario = blank("pause_in_renegotiation", cell, size, seed);
  constexpr std::uint32_t connections = 2;
  scenario.settings.connections = connections + 1;
  scenario.settings.renegotiation = true;
  tight(scenario);
  const std::uint64_t ops_after = by_size(size, 1, 20, 200);
  for (std::uint32_t connection = 0; connection < connections; ++connection) {
    const Side starter = connection == 0 ? Side::server : Side::client;
    // Each message of a handshake that begins a flight is longer: a hello has 32 random bytes, and 29 around it.
    const std::uint64_t bytes = filling(scenario.settings, 8 * pick(cell, seed + connection, 9));
    scenario.reactions.push_back(when(starter, connection, Event::connected, Verb::pause));
    const auto steps_of = [&](Side side) {
      std::vector<Step> steps{await(Condition::connected), await(Condition::established)};
      if (side == Side::client) {
        steps.insert(steps.begin(), connect());
      }
      const std::vector<Step> middle =
          side == starter
              ? std::vector<Step>{align(filled), align(asked),      act(Verb::renegotiate), align(answering),
                                  align(deaf),   act(Verb::resume), align(drained)}
              : std::vector<Step>{send(1, bytes, bytes), align(filled), align(asked),   align(answering),
                                  act(Verb::pause),      align(deaf),   align(drained), act(Verb::resume)};
      steps.insert(steps.end(), middle.begin(), middle.end());
      const std::vector<Step> rest{await(Condition::handshakes, 2), send(ops_after, 0, 512), await(Condition::sent),
                                   await(Condition::received)};
      steps.insert(steps.end(), rest.begin(), rest.end());
      return on_loop(side, connection, steps);
    };
    scenario.threads.push_back(steps_of(Side::client));
    scenario.threads.push_back(steps_of(Side::server));
  }
  scenario.threads.push_back(clock(connections, size));
  scenario.reactions.push_back(when(Side::server, connections, Event::data, Verb::echo));
  scenario.reaches.push_back({.counter = "unread_at_resume", .at_least = 1});
  scenario.reaches.push_back({.counter = "renegotiated_ends", .at_least = 2 * connections});
  return scenario;
}

}  // namespace

const Suite& pause_in_renegotiation_suite() {
  static const Suite suite{.name = "pause_in_renegotiation",
                           .sentence = "reading stops while the answer to a renegotiation waits for room",
                           .unfit = unfit,
                           .make = make};
  return suite;
}

}  // namespace rig
