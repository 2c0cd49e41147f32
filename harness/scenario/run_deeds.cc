// What the world did to each side of each connection, as far as the rig did it or saw it done, and law X1 about it.
#include <algorithm>
#include <iterator>
#include <string>

#include "harness/scenario/run.h"

namespace rig {
namespace {

// strikes says that a listed fault may have failed a call of the side whose outcome this is: one of its own connection,
// or a connect, which is of no connection yet, where it never came to be connected. Of other calls that name no
// connection nobody knows whose they were.
bool strikes(const Scenario& scenario, const End& end) {
  return std::ranges::any_of(scenario.lab.faults, [&end](const lab::Fault& fault) {
    const bool own = fault.connection.has_value() ? *fault.connection == end.plan().connection
                                                  : fault.op != lab::Op::connect || !end.connected();
    return lab::fails_for_good(fault) && own;
  });
}

WireSide wire_side(const End& end) {
  return end.plan().side == Side::client ? WireSide::client : WireSide::server;
}

// resets says that a listed fault resets `connection`.
bool resets(const Scenario& scenario, std::uint32_t connection) {
  return std::ranges::any_of(scenario.lab.faults, [connection](const lab::Fault& fault) {
    return fault.kind == lab::FaultKind::reset && fault.connection.value_or(connection) == connection;
  });
}

// strikes_either says that a listed fault may have ended the connection, on either side or by a reset.
bool strikes_either(const Scenario& scenario, const End& end, const End* peer) {
  return strikes(scenario, end) || (peer != nullptr && strikes(scenario, *peer)) ||
         resets(scenario, end.plan().connection);
}

// has_heard_all says that `peer` has received whatever `end` has sent. What is sent to a peer that had left, or lies
// unread where its descriptor is closed, is answered by a reset.
bool has_heard_all(const End& peer, const End& end) {
  return peer.incoming().received_bytes() >= end.outgoing().accepted_bytes();
}

// hinders_sends says that a listed fault may keep a side from saying at once what it has to say. Whoever has nothing
// more to do with its peer does not wait for room.
bool hinders_sends(const Scenario& scenario) {
  using enum lab::FaultKind;
  constexpr lab::FaultKind kinds[] = {would_block, block, stop, short_write};
  return std::ranges::any_of(scenario.lab.faults, [&kinds](const lab::Fault& fault) {
    return std::ranges::find(kinds, fault.kind) != std::end(kinds);
  });
}

// has_left says that this side's app ended the connection of itself. The other one may hear that in many ways.
bool has_left(const End* end) {
  return end != nullptr && end->left_by().has_value();
}

// A listed reset is met by whoever is still there when it strikes. A side whose own deadline had passed may be telling
// that.
bool meets_fault_cut(const Connection& connection, const End& end) {
  constexpr std::int64_t telling_ns = 1'000'000;
  const std::int64_t cut_ns = connection.fault_cut_ns;
  const End::Outcome outcome = end.closed_outcome();
  const bool late = outcome.error.has_value() && outcome.error->code() == Code::timeout;
  return cut_ns != Connection::never_cut && outcome.at_ns >= cut_ns + (late ? telling_ns : 0) && !end.ended();
}

}  // namespace

// A side that began to end the connection, or that has seen its clean end, is not asked how it was ended by others.
void Run::judge_deeds() {
  if (scenario_.memory_may_fail) {
    judge_lacks();
    return;
  }
  judge_unprovoked_ends();
  for (const Connection& connection : connections_) {
    if (connection.failed_in_vain) {
      continue;
    }
    for (const End* end : {connection.client.get(), connection.server.get()}) {
      if (end == nullptr || !end->closed_outcome().came || end->left_by().has_value() || strikes(scenario_, *end) ||
          has_run_out_of_time(*end)) {
        continue;
      }
      if (const auto deed = deed_to(connection, *end); deed.has_value() && !is_cut_by_peer(connection, *end)) {
        judge_outcome(end->name(), *deed, end->closed_outcome().error, log_);
      }
    }
  }
}

// Where nothing but memory fails, an end is the peer's, or its own side's lack of memory. What a library makes of that
// in the middle of a handshake is its own business: OpenSSL 3.0 calls it an internal error, or the peer's.
void Run::judge_lacks() {
  each_end([this](const End& end) {
    const auto told = end.closed_outcome().error;
    if (told.has_value() && !is_told_by_peers(told->code()) && told->code() != Code::internal &&
        told->code() != Code::protocol) {
      judge_lack(end.name(), *told, log_);
    }
  });
}

// An error that the scenario does not foresee, that no fault, no relay and no peer has brought about, is told in vain.
// Once of a connection: the other side meets what follows from it. While a law has spoken of something else already, an
// error may follow from that.
void Run::judge_unprovoked_ends() {
  if (scenario_.memory_may_fail || scenario_.settings.peer != Peer::subject || log_.count() > 0) {
    return;
  }
  for (Connection& connection : connections_) {
    for (const End* end : {connection.client.get(), connection.server.get()}) {
      if (end == nullptr || connection.failed_in_vain) {
        continue;
      }
      const auto told = end->closed_outcome().error;
      if (told.has_value() && is_unprovoked(connection, *end, *told)) {
        connection.failed_in_vain = true;
        judge_unprovoked(end->name(), *told, log_);
      }
    }
  }
}

bool Run::is_allowed_end(const End& end, Code code) const {
  const Outcomes foreseen = allowed(end, Event::closed);
  return std::ranges::find(foreseen, std::optional(code)) != foreseen.end();
}

bool Run::is_struck(const End& end) const {
  return strikes(scenario_, end);
}

bool Run::is_unprovoked(const Connection& connection, const End& end, const Error& told) const {
  const End* const peer = peer_of(end);
  if (strikes_either(scenario_, end, peer) || is_allowed_end(end, told.code())) {
    return false;
  }
  if (!is_told_by_peers(told.code())) {
    return true;
  }
  if (peer == nullptr || connection.relay || scenario_.settings.strangers || !peer->closed_outcome().came ||
      peer->aborted_itself()) {
    return false;  // what came of its peer is not known
  }
  if (told.code() == Code::reset) {
    // What the peer has left unread is answered by a reset, which a layer may know of by other means than a failed
    // call.
    return kernel_watch_ != nullptr && has_heard_all(*peer, end) &&
           !kernel_watch_->saw_reset(wire_side(end), end.plan().connection).value_or(true);
  }
  return told.code() == Code::peer_alert && !peer->closed_outcome().error.has_value();
}

// A side that tells of an orderly end while its peer meets a reset that the scenario does not foresee has closed its
// descriptor too early: what it had sent may be lost, its close_notify with it. Nothing is lost where that was heard;
// and a reset that answers what nobody there has read is no matter of time.
bool Run::is_cut_by_peer(const Connection& connection, const End& end) const {
  const End* const peer = peer_of(end);
  const auto told = end.closed_outcome().error;
  if (kernel_watch_ == nullptr || !asks_wire() || peer == nullptr || connection.relay || !told.has_value() ||
      told->code() != Code::reset || is_allowed_end(end, Code::reset)) {
    return false;
  }
  const bool orderly_peer = peer->connected() && peer->closed_outcome().came &&
                            !peer->closed_outcome().error.has_value() && !peer->aborted_itself();
  return orderly_peer && end.connected() && !end.ended() && has_heard_all(*peer, end) &&
         !strikes_either(scenario_, end, peer) &&
         kernel_watch_->saw_reset(wire_side(end), end.plan().connection).value_or(false);
}

void Run::judge_cuts() {
  for (const Connection& connection : connections_) {
    for (const End* end : {connection.client.get(), connection.server.get()}) {
      if (end != nullptr && is_cut_by_peer(connection, *end)) {
        log_.report(Law::w1_wire, peer_of(*end)->name(),
                    "its end was told as an orderly one, and was a reset for the peer");
      }
    }
  }
}

// What was completed was taken by the kernel, as ciphertext or as it is: less of that than of plaintext is a lie (C5).
void Run::judge_sent() {
  if (kernel_watch_ == nullptr) {
    return;
  }
  each_end([this](const End& end) {
    const auto sent = kernel_watch_->sent_bytes(wire_side(end), end.plan().connection);
    const std::uint64_t completed = end.ledger().totals().completed_bytes;
    if (sent.has_value() && completed > *sent) {
      log_.report(Law::c5_status_and_bytes, end.name(),
                  std::to_string(completed) + " bytes were completed with success, and the kernel was given " +
                      std::to_string(*sent));
    }
  });
}

std::optional<Deed> Run::deed_to(const Connection& connection, const End& end) const {
  if (connection.relay) {
    return resets(scenario_, end.plan().connection) ? std::nullopt : deed_of_relay(connection, end);
  }
  if (is_refused(end.plan().connection)) {
    return Deed::nobody_listens;
  }
  if (scenario_.settings.peer == Peer::deaf) {
    return Deed::silence;
  }
  if (resets(scenario_, end.plan().connection)) {
    // A stranger may have been sent away before its connection was reset.
    const bool meets = meets_fault_cut(connection, end) && !scenario_.settings.strangers;
    return meets ? std::optional(Deed::reset) : std::nullopt;
  }
  if (scenario_.settings.strangers) {
    const End* const peer = peer_of(end);
    if (has_left(peer) || (peer != nullptr && has_run_out_of_time(*peer))) {
      return std::nullopt;  // its reset may be heard first
    }
    // A certificate is judged by the client, the key by the server, which is the first to see a proof of it.
    const Side judge = scenario_.cell.auth == Auth::certificate ? Side::client : Side::server;
    if (end.plan().side == judge) {
      return Deed::distrusted;
    }
    return hinders_sends(scenario_) ? std::nullopt : std::optional(Deed::dismissed);
  }
  return deed_of_peer(connection, end);
}

std::optional<Deed> Run::deed_of_relay(const Connection& connection, const End& end) const {
  const Relay& relay = *connection.relay;
  const bool reset = relay.ordered(RelayOrder::reset);
  const bool fin = relay.ordered(RelayOrder::fin);
  // A peer that has left of itself may have been heard of, by the reset of its socket or by its goodbye.
  const bool peer_left = has_left(peer_of(end));
  if (!end.connected()) {
    const bool silent = connection.silenced && !reset && !fin && !peer_left;
    return silent ? std::optional(Deed::silence) : std::nullopt;
  }
  if (reset && !fin) {
    // Whoever has heard the peer's goodbye may be at its end already.
    return end.ended() ? std::nullopt : std::optional(Deed::reset);
  }
  const bool tells = (capabilities(end.plan().side) & RIG_CAN_TELL_TRUNCATION) != 0;
  return fin && !reset && tells && !peer_left ? std::optional(Deed::cut) : std::nullopt;
}

// A peer that closed in the orderly way, and not by its deadline, is heard to the end by whoever has nothing left to
// send to it; one that did nothing but abort has reset the connection. Whatever was mixed is neither.
std::optional<Deed> Run::deed_of_peer(const Connection& connection, const End& end) const {
  const End* const peer = peer_of(end);
  if (peer == nullptr || !peer->left_by().has_value() || !peer->connected() || !end.connected() ||
      !peer->closed_outcome().came) {
    return std::nullopt;
  }
  if (*peer->left_by() == Verb::close_graceful) {
    const auto told = peer->closed_outcome().error;
    const bool heard = has_heard_all(*peer, end);
    // Whoever is left within a renegotiation has nobody to finish it with, and may come to its own deadline over that.
    const std::uint32_t asked = end.renegotiations() + peer->renegotiations();
    const bool rekeying = asked > 0 && end.last_look().handshakes < 1 + asked;
    const bool whole = heard && !rekeying && !end.aborted_itself() && !peer->aborted_itself() &&
                       !(told.has_value() && told->code() == Code::aborted) && !connection.was_cut &&
                       !end.first_failed_op().has_value();
    return whole ? std::optional(Deed::orderly_end) : std::nullopt;
  }
  const bool aborts = *peer->left_by() == Verb::close_abort || *peer->left_by() == Verb::destroy;
  return aborts && !end.ended() ? std::optional(Deed::reset) : std::nullopt;
}

}  // namespace rig
