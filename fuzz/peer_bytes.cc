// Peer bytes: the subject's peer says anything at all: bytes of no protocol, real records and handshake messages that
// were spoilt, a stream that ends anywhere, in a handshake, amid traffic, in a renegotiation, in a close. However that
// goes, the connection ends in a class of error that says what happened, every op completes, nothing that the peer did
// not write is delivered, an end that it did not say is none, and nothing is left over.
//
// An input is a list of choices: what the connection is like, and then what the peer does, or the subject's app.
#include <array>

#include "fuzz/choices.h"
#include "fuzz/finding.h"
#include "fuzz/hostile_peer.h"
#include "fuzz/lab_target.h"
#include "fuzz/stand.h"
#include "harness/oracle/outcome_check.h"

namespace {

using rig::Choices;
using rig::Code;
using rig::Side;
using rig::Verb;

constexpr std::size_t deeds_max = 48;
constexpr std::uint64_t sends_max = 32;
constexpr int last_rounds = 64;

// Wire is the subject's end and its peer.
struct Wire {
  rig::Stand& stand;
  rig::End& end;
  rig::HostilePeer& peer;
  std::uint64_t sends = 0;
  bool closed_before_end = false;  // for a reason that is not the end of the peer's stream
};

void rounds(Wire& wire, int count) {
  for (int round = 0; round < count; ++round) {
    wire.peer.step();
    wire.stand.turn(0);
  }
}

void spoil(Wire& wire, Choices& choices) {
  const auto how = static_cast<rig::Spoiling>(choices.next() % rig::spoilings);
  const std::uint8_t skipped = choices.next() % 8;
  const std::uint16_t offset = choices.wide();
  wire.peer.spoil(how, skipped, offset, choices.next());
}

void send(Wire& wire, Choices& choices) {
  constexpr std::array<std::size_t, 8> sizes{1, 0, 100, 16'384, 16'385, 40'000, 7, 2'000};
  const std::size_t bytes = sizes[choices.next() % sizes.size()];
  if (wire.sends++ < sends_max) {
    wire.end.send(bytes, choices.next() % 4 == 1);
  }
}

void act(Wire& wire, Choices& choices) {
  wire.end.perform(rig::app_verbs[choices.next() % rig::app_verbs.size()]);
}

void speak(Wire& wire, Choices& choices) {
  constexpr std::array<std::size_t, 4> sizes{1, 500, 16'384, 33'000};
  switch (choices.next() % 6) {
    case 0:
      wire.peer.write(sizes[choices.next() % sizes.size()]);
      break;
    case 1:
      wire.peer.renegotiate();
      break;
    case 2:
      wire.peer.update_keys();
      break;
    case 3:
      wire.peer.close_notify();
      break;
    case 4:
      wire.peer.end();
      break;
    default:
      wire.peer.reset();
  }
}

void deed(Wire& wire, Choices& choices) {
  switch (choices.next() % 7) {
    case 0:
      rounds(wire, 1 + choices.next() % 16);
      break;
    case 1:
      spoil(wire, choices);
      break;
    case 2:
      wire.peer.say(choices.literal(choices.next()));
      break;
    case 3:
      speak(wire, choices);
      break;
    case 4:
      send(wire, choices);
      break;
    case 5:
      act(wire, choices);
      break;
    default:
      wire.stand.turn(choices.next() % 4 == 1 ? rig::beyond_deadlines_us : 0);
  }
  wire.closed_before_end = wire.closed_before_end || (wire.end.closed() && !wire.peer.has_ended());
}

// The peer ends its stream and reads on, then it goes.
void let_end(Wire& wire) {
  wire.peer.end();
  wire.end.perform(Verb::resume);
  for (int round = 0; round < last_rounds && !wire.end.closed() && !wire.end.destroyed(); ++round) {
    wire.peer.step();
    wire.stand.turn(round < last_rounds / 2 ? 0 : rig::beyond_deadlines_us);
  }
}

bool tells_what_happened(Code code) {
  switch (code) {
    case Code::truncated:
    case Code::reset:
    case Code::timeout:
    case Code::handshake_failed:
    case Code::verification_failed:
    case Code::protocol:
    case Code::peer_alert:
      return true;
    default:
      return false;
  }
}

void judge(const Wire& wire, rig::ViolationLog& log) {
  const rig::End::Outcome closed = wire.end.closed_outcome();
  const rig::HostilePeer& peer = wire.peer;
  const bool left = wire.end.left_by().has_value();
  const std::string& name = wire.end.name();
  if (!closed.came) {
    if (!wire.end.destroyed()) {
      log.report(rig::Law::c6_quiet, name, "'closed' never came, although the peer has ended its stream");
    }
    return;
  }
  if (!peer.said_goodbye() && (wire.end.ended() || (!closed.error.has_value() && !left))) {
    log.report(rig::Law::x1_outcome, name, "an orderly end is told, and the peer never said so");
  }
  if (closed.error.has_value() && !tells_what_happened(closed.error->code()) &&
      !((left || wire.end.ended()) && closed.error->code() == Code::aborted)) {
    log.report(rig::Law::x1_outcome, name,
               "what a peer can do to a connection is told as '" + std::string(code_name(closed.error->code())) +
                   "': " + std::string(closed.error->detail()));
  }
  if (peer.sound() && !peer.said_goodbye() && !peer.was_reset() && !peer.failed() && !left && !wire.closed_before_end) {
    judge_outcome(name, rig::Deed::cut, closed.error, log);
  }
}

void run(rig::ByteView bytes) {
  Choices choices(bytes);
  const std::uint8_t first = choices.next();
  const std::string library(rig::fuzz_backend());
  const Side side = (first & 1) != 0 ? Side::server : Side::client;
  const Side peer_side = side == Side::client ? Side::server : Side::client;
  const rig::TlsChoice tls = rig::stand_tls(library, (first & 2) != 0);
  rig::Stand stand({.library = library, .tls = tls, .fast_track = (first & 4) == 0, .renegotiation = (first & 8) == 0});
  {
    rig::HostilePeer peer({.library = library, .side = peer_side, .tls = tls, .renegotiation = (first & 8) == 0},
                          stand.incoming(side));
    if (side == Side::client) {
      stand.connect(peer.listen());
      peer.accept();
    } else {
      peer.connect(stand.listen());
    }
    stand.turn(0);
    Wire wire{.stand = stand, .end = stand.end(side), .peer = peer};
    for (std::size_t deeds = 0; deeds < deeds_max && choices.left(); ++deeds) {
      deed(wire, choices);
    }
    let_end(wire);
    judge(wire, stand.log());
  }
  stand.finish();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  rig::enter_lab_or_end();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t room,
                                               unsigned int seed) {
  return rig::mutate_choices(data, size, room, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rig::on_one_thread([data, size] { run({data, size}); });
  return 0;
}
