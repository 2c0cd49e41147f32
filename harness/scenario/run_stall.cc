// What a Run says of a stall: who waits, for what, on whom, and what each door saw last.
#include <string>

#include "harness/scenario/run.h"

namespace rig {
namespace {

// Sentence is made of parts, the first of which stands alone.
class Sentence {
 public:
  explicit Sentence(const char* between) : between_(between) {}
  void add(const std::string& part) {
    if (!part.empty()) {
      text_ += (text_.empty() ? "" : between_) + part;
    }
  }
  const std::string& text() const { return text_; }

 private:
  const char* const between_;
  std::string text_;
};

const char* state_of(const End& end) {
  return end.connected() ? "connected" : "not connected";
}

// What an end waits for that has no op pending, or whose op waits behind it.
std::string awaited(const End& end, const std::optional<StreamCheck::Carried>& incoming) {
  if (!end.connected()) {
    return "its handshake";
  }
  if (end.left_by().has_value()) {
    return "its `closed`";
  }
  if (incoming.has_value() && incoming->received_bytes < incoming->accepted_bytes) {
    return std::to_string(incoming->accepted_bytes - incoming->received_bytes) + " bytes more";
  }
  return "";
}

}  // namespace

// A peer that reads nothing blocks nobody whose socket takes what it is given: the doors are asked first.
std::string Run::whom_it_waits_for(const End& end, const std::optional<KernelWatch::LastSeen>& seen, bool sends) const {
  const Connection& connection = connections_[end.plan().connection];
  const End* const peer = peer_of(end);
  if (end.host().behind()) {
    return "the thread of its loop, which has not come back";
  }
  if (seen.has_value() && seen->is_closed) {
    return "nobody: its descriptor is closed";
  }
  if (seen.has_value() && sends && !seen->is_full) {
    return "nobody: its socket took what it was last given";
  }
  if (seen.has_value() && sends && !seen->wants_room) {
    return "nobody: its socket is full, and is not waited on for room";
  }
  if (!sends && end.paused()) {
    return "itself: it has paused";
  }
  if (seen.has_value() && !sends && !seen->wants_input) {
    return "nobody: its socket is not waited on for input";
  }
  if (connection.relay && connection.relay->holds_back()) {
    return "the relay, which holds everything back";
  }
  if (peer == nullptr) {
    return "a peer that is not the subject";
  }
  if (peer->has_socket() && (peer->closed() || peer->destroyed())) {
    return "its peer, which is gone";
  }
  if (!peer->has_socket()) {
    return "its peer, which has no socket";
  }
  if (sends && peer->paused()) {
    return "its peer, which has paused";
  }
  return sends ? "its peer to read" : "its peer to send";
}

std::string Run::stall_of(const End& end) const {
  const std::optional<OpLedger::Waiting> ops = end.ledger().waiting();
  const std::optional<StreamCheck::Carried> incoming = end.incoming().carried();
  const WireSide side = end.plan().side == Side::client ? WireSide::client : WireSide::server;
  const auto seen = kernel_watch_ != nullptr ? kernel_watch_->last_seen(side, end.plan().connection) : std::nullopt;
  Sentence sentence(", ");
  sentence.add(end.name() + " is " + state_of(end) + " with " +
               (ops.has_value() ? std::to_string(ops->ops) : "an unknown number of") + " ops pending");
  if (incoming.has_value()) {
    sentence.add("has received " + std::to_string(incoming->received_bytes) + " of " +
                 std::to_string(incoming->accepted_bytes) + " bytes");
  }
  const bool sends = end.connected() && ops.has_value() && ops->ops > 0;
  const std::string awaits = awaited(end, incoming);
  const std::string what =
      sends ? "op " + std::to_string(ops->token) + " of " + std::to_string(ops->bytes) + " bytes, the oldest, waits on "
            : "it waits for " + awaits + " on ";
  const std::string last_call = end.last_call();
  const std::string last_callback = end.last_callback();
  Sentence doors("; ");
  doors.add(sends || !awaits.empty() ? what + whom_it_waits_for(end, seen, sends) : "it waits for nothing");
  doors.add("app: " + (last_call.empty() ? "no verb since it was made" : last_call) + ", " +
            (last_callback.empty() ? "no callback" : "the last callback was " + last_callback));
  if (seen.has_value() && (scenario_.cell.tls != TlsChoice::none || !seen->library.empty())) {
    doors.add("library: " + (seen->library.empty() ? "no session is known" : seen->library));
  }
  if (kernel_watch_ != nullptr) {
    doors.add("kernel: " + (seen.has_value() ? seen->kernel : "no descriptor is known"));
  }
  return sentence.text() + " (" + doors.text() + ")";
}

std::string Run::stall_report() const {
  Sentence report("; ");
  for (const auto& script : scripts_) {
    if (!script->done()) {
      report.add(script->where());
    }
  }
  std::size_t ends = 0;
  each_end([&](const End& end) {
    if (end.has_socket() && !end.closed() && ++ends <= stalled_ends_max) {
      report.add(stall_of(end));
    }
  });
  if (ends > stalled_ends_max) {
    report.add(std::to_string(ends - stalled_ends_max) + " ends more are not closed");
  }
  if (!accepted()) {
    report.add("a client is connected, and the server has not accepted it");
  }
  each_host([&report](const LoopHost& host) {
    if (host.behind()) {
      report.add("the thread of the " + host.name() + " has not come back to do what waits for it");
    }
  });
  return report.text();
}

}  // namespace rig
