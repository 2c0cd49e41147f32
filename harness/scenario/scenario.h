// Scenario: a complete, replayable test of a socket layer, as a value. Its text form is in scenario/text.h.
//
// A scenario read aloud: "close_with_pending, seed 17. The client is on OpenSSL, the server on GnuTLS, TLS 1.2, epoll,
// fast track off, on loopback. Two connections. The server reads nothing. On each client connection a thread connects,
// waits until it is connected, sends 200 ops of 16384 bytes, and closes gracefully with at least one op pending. Each
// client connection is to end aborted; reached if pending_at_close was at least 1."
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/error.h"
#include "harness/scenario/lab_part.h"

namespace rig {

// Side is which end of the connections something concerns.
enum class Side : std::uint8_t { client, server };

// World is where a scenario runs: the real kernel's loopback, or the lab's virtual kernel.
enum class World : std::uint8_t { loopback, lab };

// Auth is how the peers authenticate.
enum class Auth : std::uint8_t { psk, certificate };

// Size is how much work a suite puts into its scenarios.
enum class Size : std::uint8_t { tiny, quick, full };

// TlsChoice is the protocol version that both sides are limited to; `none` is plain TCP (null library).
enum class TlsChoice : std::uint8_t { none, tls12, tls13 };

// PollerChoice is the poller of every loop.
enum class PollerChoice : std::uint8_t { epoll, poll, select };

// Cell is one point of the matrix.
struct Cell {
  std::string subject = "house";
  std::string client = "openssl";  // libraries
  std::string server = "openssl";
  TlsChoice tls = TlsChoice::tls12;
  Auth auth = Auth::psk;
  World world = World::loopback;
  PollerChoice poller = PollerChoice::epoll;
  bool fast_track = true;
  bool nodelay_client = true;
  bool nodelay_server = true;
  bool ipv6 = false;
  friend bool operator==(const Cell&, const Cell&) = default;
};

// Peer is what stands on the server's side of the wire.
enum class Peer : std::uint8_t {
  subject,           // the subject itself
  plaintext,         // a raw TCP server that answers in plain text and never speaks TLS
  plaintext_client,  // a raw TCP client that talks plain text to the subject's server
  nobody,            // a port at which nobody listens
  deaf               // a port at which nobody accepts: its queue is full, and no connection is ever established
};

// plays says that the subject itself is on that side, and no raw program.
bool plays(Peer peer, Side side) noexcept;

// Settings are what the connections of a scenario have in common. 0 in a limit means the subject's default.
struct Settings {
  std::uint32_t connections = 1;
  bool loop_per_client = false;  // each client connection has a loop and a context of its own
  bool one_loop = false;         // the server's sockets live on the (first) client's loop
  bool relay = false;            // connections whose steps order it pass a relay, which can stall, reset or end them
  bool fresh_process = false;    // the scenario runs in a newly executed process
  Peer peer = Peer::subject;
  std::uint32_t refused = 0;   // so many connections, the last ones, go to a port at which nobody listens
  bool renegotiation = false;  // both contexts allow renegotiation
  bool strangers = false;      // the client trusts another authority than the server's, or has another key
  std::uint32_t queue_ops = 0;
  std::uint64_t queue_bytes = 0;
  std::uint64_t kernel_send_bytes = 0;
  std::uint64_t kernel_recv_bytes = 0;
  std::uint32_t says = 1;
  std::uint64_t connect_timeout_us = 0;
  std::uint64_t handshake_timeout_us = 0;
  std::uint64_t close_timeout_us = 0;
  friend bool operator==(const Settings&, const Settings&) = default;
};

// plays also says whether the subject is on that side of connection `index`, and not refused there.
bool plays(const Settings& settings, std::uint32_t index, Side side) noexcept;

// Event is a callback of a socket.
enum class Event : std::uint8_t { accepted, connected, data, ended, sent, writable, closed };

// Verb is what a reaction or a step does.
enum class Verb : std::uint8_t {
  // for reactions and steps: on the connection of the event, or of the thread
  close_graceful,
  close_abort,
  half_close,
  destroy,
  pause,
  resume,
  renegotiate,
  update_keys,
  // for reactions only
  echo,            // send the received bytes back from inside the data callback
  echo_elsewhere,  // send them back from another thread
  destroy_other,   // close (abort) and destroy the next connection of the same side
  stop_listening,  // close the listener, from inside whatever callback this is
  say,             // send a small op; at most Settings::says times for each end
  open_another,    // open a listener and a connection to it, which end at once
  // for steps only
  connect,
  send,         // `count` ops, sizes between size_min and size_max; waits for `writable` when refused
  await,        // waits until the condition holds
  align,        // spins until all threads that have an align step with this number (count) have come to it
  relay_stall,  // the relay stops moving bytes, both ways
  relay_flow,   // the relay moves bytes again
  relay_reset,  // the relay resets both its sockets
  relay_fin,    // the relay ends the stream towards both sides (FIN) and reads nothing more
};

// Condition is what an await step waits for, on the connection of its thread.
enum class Condition : std::uint8_t {
  connected,    // `connected` came without error
  established,  // the other side's `connected` came without error
  sent,         // at least `count` ops of this side have completed (0: all that were issued)
  received,     // at least `count` bytes arrived (0: all that the other side has issued so far; where the other side
                // echoes whatever comes, all that this side has issued)
  pending,      // at least `count` ops are pending
  handshakes,   // at least `count` handshakes are complete
  key_updates,  // at least `count` key updates were sent and received
  ended,        // the peer's end arrived
  closed,       // `closed` came
  peer_closed,  // `closed` came on the other side
};

// Step is one line of a thread.
struct Step {
  Verb verb = Verb::connect;
  Condition condition = Condition::connected;  // await only
  std::uint64_t count = 0;                     // send: ops; await, align: see there
  std::uint64_t size_min = 0;                  // send only. Units: bytes
  std::uint64_t size_max = 0;
  bool more = false;  // send only: every op but the last says that more follow
  friend bool operator==(const Step&, const Step&) = default;
};

// Where says on which operating-system thread the steps of a thread run.
enum class Where : std::uint8_t {
  loop,    // on the thread that turns the loop of the side, between turns
  beside,  // on a thread of its own
};

// Thread is a list of steps for one connection. With `connection` empty there is one such thread for each connection;
// `copies` of each run side by side.
struct Thread {
  Side side = Side::client;
  std::optional<std::uint32_t> connection;
  Where where = Where::loop;
  std::uint32_t copies = 1;
  std::vector<Step> steps;
  friend bool operator==(const Thread&, const Thread&) = default;
};

// Reaction is what happens inside a callback: at the `nth` occurrence on a connection (0: at each).
struct Reaction {
  Side side = Side::server;
  std::optional<std::uint32_t> connection;  // empty: every one
  Event event = Event::data;
  std::uint32_t nth = 0;
  Verb verb = Verb::echo;
  friend bool operator==(const Reaction&, const Reaction&) = default;
};

// Expectation is how `connected` or `closed` are to end on a side: one of `outcomes`, where no code means success.
// Without an expectation both must be a success, but that `closed` may be aborted where the side itself aborted or
// destroyed its socket.
struct Expectation {
  Side side = Side::client;
  std::optional<std::uint32_t> connection;
  Event event = Event::closed;  // connected or closed
  std::vector<std::optional<Code>> outcomes;
  friend bool operator==(const Expectation&, const Expectation&) = default;
};

// Reach is a situation that the run must come to, as a lower bound of a named counter; else the run is vacuous.
struct Reach {
  std::string counter;
  std::uint64_t at_least = 1;
  friend bool operator==(const Reach&, const Reach&) = default;
};

// Scenario is all of it.
struct Scenario {
  std::string suite;  // the suite that made it; "hand" for one written by hand
  std::uint64_t seed = 1;
  Size size = Size::quick;
  Cell cell;
  Settings settings;
  std::vector<Reaction> reactions;
  std::vector<Thread> threads;
  std::vector<Expectation> expectations;
  bool all_delivered = true;  // at the end each side has received every byte of every op that the other completed
  bool ops_may_fail = false;  // completions with an error are part of the situation
  // memory_may_fail: the lab lets allocations of the subject fail. Whatever then fails in an orderly way is right: the
  // set-up, verbs, connections, ops. What stays asked is that nothing is lost, reported twice, left over or left
  // hanging.
  bool memory_may_fail = false;
  std::vector<Reach> reaches;
  LabPart lab;
  friend bool operator==(const Scenario&, const Scenario&) = default;
};

// cell_name is "openssl~gnutls.tls12.epoll.fast_off"; the suite's name and a dot in front make the case name. A subject
// other than "house" (of a shared object the file's name) and a world other than loopback are appended.
std::string cell_name(const Cell& cell);

// Words of the enumerations, as they stand in texts; from_word answers nothing for an unknown word.
std::string_view word(Side side) noexcept;
std::string_view word(World world) noexcept;
std::string_view word(Auth auth) noexcept;
std::string_view word(Size size) noexcept;
std::string_view word(TlsChoice tls) noexcept;  // "none", "1.2", "1.3"
std::string_view word(PollerChoice poller) noexcept;
std::string_view word(Peer peer) noexcept;
std::string_view word(Event event) noexcept;
std::string_view word(Verb verb) noexcept;
std::string_view word(Condition condition) noexcept;
std::string_view word(Where where) noexcept;
template <class Enum>
std::optional<Enum> from_word(std::string_view text) noexcept;

// Word is one word of an enumeration; words lists all of an enumeration, in its order.
template <class Enum>
struct Word {
  Enum value;
  std::string_view text;
};
template <class Enum>
std::span<const Word<Enum>> words() noexcept;

// The lab's own enumerations.
template <>
std::span<const Word<LibraryPoints>> words<LibraryPoints>() noexcept;
template <>
std::span<const Word<lab::PolicyKind>> words<lab::PolicyKind>() noexcept;
template <>
std::span<const Word<lab::Profile>> words<lab::Profile>() noexcept;
template <>
std::span<const Word<lab::FaultKind>> words<lab::FaultKind>() noexcept;
template <>
std::span<const Word<lab::FaultSide>> words<lab::FaultSide>() noexcept;
template <>
std::span<const Word<lab::Op>> words<lab::Op>() noexcept;

}  // namespace rig
