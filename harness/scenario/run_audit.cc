// What a Run is asked at its end: laws, expectations, claims, counters.
#include <algorithm>
#include <array>
#include <string>

#include "harness/scenario/environment.h"
#include "harness/scenario/run.h"
#include "harness/subjects/abi.h"

namespace rig {
namespace {

std::string outcome_text(const End::Outcome& outcome) {
  if (!outcome.came) {
    return "never came";
  }
  if (!outcome.error.has_value()) {
    return "ok";
  }
  return std::string(code_name(outcome.error->code())) + " (" + std::string(outcome.error->detail()) + ")";
}

std::string outcomes_text(const Run::Outcomes& outcomes) {
  std::string text;
  for (const auto& outcome : outcomes) {
    text += text.empty() ? "" : " or ";
    text += outcome.has_value() ? code_name(*outcome) : "ok";
  }
  return text;
}

bool is_one_of(const End::Outcome& outcome, const Run::Outcomes& outcomes) {
  return outcome.came && std::ranges::any_of(outcomes, [&outcome](const std::optional<Code>& code) {
           return outcome.error.has_value() ? code.has_value() && *code == outcome.error->code() : !code.has_value();
         });
}

void fail(Verdict& verdict, const std::string& reason) {
  if (verdict.kind != VerdictKind::fail) {
    verdict.kind = VerdictKind::fail;
    verdict.reason = reason;
  }
}

std::string report_of(const Violation& violation) {
  return std::string(law_name(violation.law)) + ", " + violation.where + ": " + violation.message;
}

WireSide wire_side(const End& end) {
  return end.plan().side == Side::client ? WireSide::client : WireSide::server;
}

bool has_reported(const ViolationLog& log, Law law) {
  return std::ranges::any_of(log.kept(), [law](const Violation& violation) { return violation.law == law; });
}

std::string_view tls_word(const rig_socket_info& used) {
  return used.tls_version == RIG_TLS_1_2 ? "1.2" : used.tls_version == RIG_TLS_1_3 ? "1.3" : "none";
}

}  // namespace

void Run::audit(Verdict& verdict) {
  each_end([](End& end) {
    if (end.has_socket()) {
      end.ledger().quiet();
    }
  });
  judge_deeds();
  judge_deadlines();
  finish_streams(scenario_.all_delivered && !scenario_.memory_may_fail);
  if (kernel_watch_ != nullptr) {
    finish_wires();
    if (given_back_) {
      kernel_watch_->finish_descriptors();
    }
  }
  judge_sent();
  count(verdict);
  judge_resources();
  note_violations(verdict);
  if (log_.count() > 0) {
    fail(verdict, report_of(verdict.violations.front()));
  }
  audit_outcomes(verdict);
  audit_claims(verdict);
  if (kernel_watch_ != nullptr) {
    judge_wires(verdict);
  }
  note_used(verdict);
  note_lacking(verdict);
}

void Run::audit_stalled(Verdict& verdict) {
  count(verdict);
  note_used(verdict);
  note_violations(verdict);
  if (log_.count() > 0) {
    verdict.reason += "; " + report_of(verdict.violations.front());
  }
  note_lacking(verdict);
}

// A connection that this machine had nothing left for says nothing about the subject; a law that was broken does. In
// the lab such errors are made on purpose.
void Run::note_lacking(Verdict& verdict) const {
  if (verdict.kind == VerdictKind::pass || log_.count() > 0 || scenario_.cell.world == World::lab) {
    return;
  }
  each_end([&verdict](const End& end) {
    if (const auto outcome = end.connected_outcome(); outcome.error.has_value() && verdict.lacking.empty()) {
      verdict.lacking = lack_behind(*outcome.error).value_or("");
    }
  });
}

void Run::note_violations(Verdict& verdict) const {
  verdict.violations = log_.kept();
  verdict.violation_count = log_.count();
}

void Run::finish_streams(bool all_delivered) {
  for (const Connection& connection : connections_) {
    if (!connection.up) {
      continue;  // the set-up did not come so far
    }
    // A receiver that saw the clean end has seen everything that was completed before it, if its protocol can tell.
    const auto due = [this](const End* receiver, const End* sender) -> std::uint64_t {
      const bool clean = receiver != nullptr && sender != nullptr && receiver->ended() &&
                         (capabilities(receiver->plan().side) & RIG_CAN_TELL_TRUNCATION) != 0;
      return clean ? sender->ledger().totals().completed_bytes : 0;
    };
    const bool all = all_delivered && !connection.failed_in_vain;
    connection.up->finish(all, due(connection.server.get(), connection.client.get()));
    connection.down->finish(all, due(connection.client.get(), connection.server.get()));
  }
}

// What a relay has let through is no whole conversation. W1 goes by what the subject tells of the end and of the
// version: where that is known to be wrong, the wire cannot be held against it. Nor where a fault may have eaten the
// goodbye.
void Run::finish_wires() {
  const bool lied = has_reported(log_, Law::x1_outcome);
  each_end([&](const End& end) {
    const bool orderly = end.connected() && !connections_[end.plan().connection].relay && end.closed_outcome().came &&
                         !end.closed_outcome().error.has_value() && !end.aborted_itself() && !lied && !is_struck(end) &&
                         tls_word(end.last_look()) == word(scenario_.cell.tls);
    kernel_watch_->finish_wire(wire_side(end), end.plan().connection, orderly);
  });
  // An end without its close_notify is a reset for the peer as well, and was reported.
  if (!has_reported(log_, Law::w1_wire)) {
    judge_cuts();
  }
}

// A wire that was never seen has not been judged: a subject that speaks past the kernel door shows nothing.
void Run::judge_wires(Verdict& verdict) {
  std::uint64_t records = 0;
  each_end([&](const End& end) {
    const std::uint64_t own = kernel_watch_->records(wire_side(end), end.plan().connection);
    records += own;
    if (asks_wire() && end.connected() && own == 0 && verdict.kind == VerdictKind::pass) {
      verdict.kind = VerdictKind::vacuous;
      verdict.reason = "law W1 has seen no record of " + end.name() + ", which is connected";
    }
  });
  verdict.counters["wire_records"] = records;
}

// The rig's own peers have descriptors as well, and go first.
void Run::judge_resources() {
  if (!given_back_) {
    return;
  }
  if (library_watch_ != nullptr) {
    library_watch_->sessions().given_back(log_);
  }
  for (Connection& connection : connections_) {
    connection.relay.reset();
  }
  plaintext_server_.reset();
  closed_port_.reset();
  deaf_port_.reset();
  // Where the kernel door is watched, F1 knows what was never closed, and who opened it.
  if (kernel_watch_ == nullptr) {
    judge_descriptors(descriptors_before_, open_descriptors(), log_);
  }
}

// How `connected` or `closed` may come to that end, by the scenario.
Run::Outcomes Run::allowed(const End& end, Event event) const {
  for (const Expectation& expectation : scenario_.expectations) {
    if (expectation.side == end.plan().side && expectation.event == event &&
        expectation.connection.value_or(end.plan().connection) == end.plan().connection) {
      return expectation.outcomes;
    }
  }
  return end.aborted_itself() && event == Event::closed ? Outcomes{std::nullopt, Code::aborted}
                                                        : Outcomes{std::nullopt};
}

void Run::audit_outcomes(Verdict& verdict) const {
  const auto judge = [&](const End& end, Event event, const End::Outcome& outcome) {
    if (const Outcomes outcomes = allowed(end, event); !is_one_of(outcome, outcomes)) {
      fail(verdict, end.name() + ": " + std::string(word(event)) + " was to come as " + outcomes_text(outcomes) +
                        ", and " + (outcome.came ? "came as " : "") + outcome_text(outcome));
    }
  };
  each_end([&](const End& end) {
    const bool expects_something =
        std::ranges::any_of(scenario_.expectations, [&](const Expectation& e) { return e.side == end.plan().side; });
    if (!end.has_socket() && !end.connected_outcome().came && expects_something) {
      return;  // a server whose client never came: what was expected concerns those that were accepted
    }
    if (scenario_.memory_may_fail) {
      return;
    }
    judge(end, Event::connected, end.connected_outcome());
    judge(end, Event::closed, end.closed_outcome());
    if (const auto failed = end.first_failed_op(); failed.has_value() && !scenario_.ops_may_fail) {
      fail(verdict, end.name() + ": an op failed: " + std::string(code_name(failed->code())) + " (" +
                        std::string(failed->detail()) + ")");
    }
    if (const auto refused = end.first_refused_verb(); refused.has_value()) {
      fail(verdict, end.name() + ": a verb was refused: " + std::string(refused->detail()));
    }
  });
  const auto judge_loop = [this, &verdict](const LoopHost& host) {
    if (const auto error = host.first_error(); error.has_value() && !scenario_.memory_may_fail) {
      fail(verdict, host.name() + ": loop_turn failed: " + std::string(error->detail()));
    }
  };
  each_host(judge_loop);
}

// A cell whose claim differs from what was really used is a failure, not a pass under a wrong name. An end that never
// connected has negotiated nothing, but the rest of its claim holds for it too.
void Run::audit_claims(Verdict& verdict) const {
  const Cell& cell = scenario_.cell;
  each_end([&](const End& end) {
    const rig_socket_info used = end.last_look();
    if (!end.looked()) {
      return;  // there never was a socket, or it was destroyed before anybody could look
    }
    const bool client = end.plan().side == Side::client;
    const auto demand = [&](std::string_view what, std::string_view claimed, std::string_view really) {
      if (claimed != really) {
        fail(verdict, end.name() + ": the cell claims " + std::string(what) + " " + std::string(claimed) +
                          ", really used was " + std::string(really));
      }
    };
    const std::string& library = client ? cell.client : cell.server;
    std::array<char, sizeof used.library_version> version{};
    subject_.library_version(library.c_str(), version.data(), version.size());
    demand("library", library, used.library);
    demand("library version", version.data(), used.library_version);
    demand("poller", word(cell.poller), used.poller);
    demand("fast_track", cell.fast_track ? "on" : "off", used.fast_track != 0 ? "on" : "off");
    demand("nodelay", (client ? cell.nodelay_client : cell.nodelay_server) ? "on" : "off",
           used.nodelay != 0 ? "on" : "off");
    if (!end.connected()) {
      return;
    }
    demand("TLS version", word(cell.tls), tls_word(used));
    if (cell.tls != TlsChoice::none) {
      demand("psk", cell.auth == Auth::psk ? "yes" : "no", used.psk != 0 ? "yes" : "no");
    }
    if (cell.tls != TlsChoice::none && cell.auth == Auth::certificate && client) {
      demand("peer verified", "yes", used.peer_verified != 0 ? "yes" : "no");
    }
  });
}

void Run::note_used(Verdict& verdict) const {
  each_end([&](const End& end) {
    if (!end.looked()) {
      return;
    }
    const rig_socket_info used = end.last_look();
    const bool client = end.plan().side == Side::client;
    (client ? verdict.used.client_library : verdict.used.server_library) = used.library_version;
    if (end.connected()) {
      verdict.used.tls = std::string(tls_word(used));
      verdict.used.cipher = used.cipher;
    }
    verdict.used.poller = used.poller;
    verdict.used.fast_track = used.fast_track != 0 ? "on" : "off";
    (client ? verdict.used.nodelay_client : verdict.used.nodelay_server) = used.nodelay != 0 ? "on" : "off";
  });
}

void Run::count(Verdict& verdict) const {
  auto& counters = verdict.counters;
  const auto most = [&counters](const char* name, std::uint64_t value) {
    counters[name] = std::max(counters[name], value);
  };
  each_end([&](const End& end) {
    const OpLedger::Totals totals = end.ledger().totals();
    const rig_socket_info used = end.last_look();
    counters["ops"] += totals.issued - totals.refused;
    counters["ops_at_once"] += totals.completed_at_once;
    counters["ops_pending"] += totals.went_pending;
    counters["callbacks"] += totals.callbacks;
    counters["ops_failed"] += totals.failed;
    counters["sends_refused"] += totals.refused;
    counters["bytes"] += end.incoming().received_bytes();
    counters["connected"] += end.connected() ? 1 : 0;
    counters["connect_failed"] += end.connected_outcome().came && !end.connected() ? 1 : 0;
    counters["ended"] += end.ended() ? 1 : 0;
    counters["closed"] += end.closed() ? 1 : 0;
    counters["aborted_itself"] += end.aborted_inside() ? 1 : 0;
    counters["destroyed_itself"] += end.destroyed_inside() ? 1 : 0;
    most("queued_ops", end.queue().most_ops());
    counters["acted_inside"] += end.acted_inside() ? 1 : 0;
    counters["said"] += end.said();
    counters["destroyed_other"] += end.destroyed_by_other() ? 1 : 0;
    counters["writable_events"] += end.writable_events();
    most("pending_at_close", end.pending_at_close());
    most("handshakes", used.handshakes);
    most("key_updates_out", used.key_updates_out);
    most("key_updates_in", used.key_updates_in);
  });
  each_end([&](const End& end) {
    counters["closes_with_pending"] += end.pending_at_close() > 0 ? 1 : 0;
    counters["ends_with_pending"] += end.pending_seen() > 0 ? 1 : 0;
    counters["ended_with_pending"] += end.pending_at_end() > 0 ? 1 : 0;
    counters["unread_at_resume"] += end.unread_at_resume();
    counters["peer_rekeys_with_pending"] += end.peer_rekeys_with_pending();
    counters["rekeys_with_pending"] += end.rekeys_with_pending();
    counters["renegotiated_ends"] += end.last_look().handshakes >= 2 ? 1 : 0;
    counters["key_updated_ends"] += end.last_look().key_updates_out >= 2 && end.last_look().key_updates_in >= 2 ? 1 : 0;
    most("pending_seen", end.pending_seen());
  });
  for (const Connection& connection : connections_) {
    if (connection.relay) {
      counters["relayed_bytes"] += connection.relay->moved_bytes();
    }
  }
  if (plaintext_server_) {
    counters["plaintext_answers"] = plaintext_server_->answered();
  }
  // With fast track off every op must have been pending: ops = pending = callbacks.
  const bool all_async =
      counters["ops"] > 0 && counters["ops"] == counters["ops_pending"] && counters["ops"] == counters["callbacks"];
  counters["all_ops_async"] = all_async ? 1 : 0;
}

}  // namespace rig
