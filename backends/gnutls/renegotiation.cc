// TLS 1.2 renegotiation: see the theory of operation in engine.h.
#include <array>

#include "backends/gnutls/engine.h"

namespace rig::gnutls {
namespace {

std::unexpected<Error> refused(Code code, const char* why) {
  return std::unexpected(Error(code, why));
}

}  // namespace

std::expected<Need, Error> GnutlsEngine::renegotiate(CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (facts_.version != TlsVersion::tls12) {
    return refused(Code::unsupported, "TLS 1.3 has no renegotiation");  // the library would update keys instead
  }
  if (!context_->config().allow_renegotiation) {
    return refused(Code::unsupported, "renegotiation is not allowed in this context");
  }
  if (gnutls_safe_renegotiation_status(session_.get()) == 0) {
    return refused(Code::unsupported, "the peer has no secure renegotiation (RFC 5746)");
  }
  const Verb verb(*this, out);
  if (cut_ == Cut::hello_request || finished_ == Cut::hello_request) {
    return finish_cut();
  }
  if (start_cut_ && !clean_end_) {
    return start_rehandshake();
  }
  if (pending_.plain > 0) {
    return refused(Code::invalid_state, "a write is only partly accepted; finish it first");
  }
  if (close_started_ || clean_end_) {
    return refused(Code::invalid_state, "the connection is being closed");
  }
  if (rehandshaking_ || asked_) {
    return refused(Code::invalid_state, "a renegotiation is under way");
  }
  RIG_TRY(settled, settle());
  if (!settled) {
    return Need::room;
  }
  if (client()) {
    rehandshaking_ = true;
    return start_rehandshake();
  }
  asked_ = true;
  const int code = gnutls_rehandshake(enter(Intake::none));
  if (waits(code)) {
    cut_ = Cut::hello_request;
    return Need::room;
  }
  return code < 0 ? fail(code) : std::expected<Need, Error>(Need::nothing);
}

// start_rehandshake pushes out a client's hello and reads nothing: that is read()'s work.
std::expected<Need, Error> GnutlsEngine::start_rehandshake() {
  start_cut_ = false;
  if (!rehandshaking_ || data_held_) {
    return Need::nothing;  // it is over already, or begins once the data that the library holds has been read
  }
  const int code = gnutls_handshake(enter(Intake::none));
  if (!waits(code)) {
    return fail(code);
  }
  start_cut_ = wants_room();
  return start_cut_ ? Need::room : Need::nothing;
}

std::expected<GnutlsEngine::Outcome, Error> GnutlsEngine::continue_rehandshake() {
  RIG_TRY(settled, settle());
  if (!settled) {
    return Outcome::room;
  }
  // Each turn consumes a record of the input, so there is a last one.
  while (rehandshaking_) {
    const bool throws_away = hello_request_next();
    if (throws_away) {
      RIG_TRY(thrown, throw_away_record());
      if (!thrown) {
        return Outcome::starved;
      }
    }
    const int code = gnutls_handshake(enter(Intake::no_data));
    if (hook_failure_.has_value()) {
      return fail(code);
    }
    if (code == 0) {
      rehandshaking_ = false;
      asked_ = false;
      note_handshake();
    } else if (waits(code)) {
      if (wants_room() || starved_) {
        return wants_room() ? Outcome::room : Outcome::starved;
      }
    } else if (code == GNUTLS_E_WARNING_ALERT_RECEIVED) {
      on_warning();
    } else if (code == GNUTLS_E_SESSION_EOF) {
      clean_end_ = true;
      return Outcome::over;
    } else {
      // What was thrown away was no HelloRequest, and the library has taken it for the end of the session.
      return fail(throws_away && code == GNUTLS_E_INVALID_SESSION ? GNUTLS_E_UNEXPECTED_PACKET : code);
    }
  }
  return Outcome::over;
}

// hello_request_next is true if the server asks for what we have begun: both sides have started at once. A client that
// is within a handshake ignores that (RFC 5246, section 7.4.1.1); the library takes it for a wrong ServerHello. It
// cannot be read before it is decrypted, but nothing else is as short, until the ServerHello has come.
bool GnutlsEngine::hello_request_next() const noexcept {
  constexpr std::size_t header_bytes = 5;
  constexpr std::size_t hello_request_bytes = 4;
  constexpr int no_message_yet = -1;  // the library forgets the last message of a handshake when that is over
  const int last = static_cast<int>(gnutls_handshake_get_last_in(session_.get()));
  return client() && last == no_message_yet && !input_.data_next() &&
         input_.next_body_bytes() == gnutls_record_overhead_size(session_.get()) - header_bytes + hello_request_bytes;
}

// throw_away_record lets the library throw away a handshake record, by asking for data; false if it is not all here.
// "Unexpected packet" is what the library says of one that it has thrown away: the session lives on, though the manual
// counts that among the fatal answers. A record that does not decrypt is no less fatal for being thrown away.
std::expected<bool, Error> GnutlsEngine::throw_away_record() {
  std::array<std::uint8_t, 1> unused{};
  const int code = static_cast<int>(gnutls_record_recv(enter(Intake::no_data), unused.data(), unused.size()));
  if (code < 0 && code != GNUTLS_E_UNEXPECTED_PACKET && code != GNUTLS_E_GOT_APPLICATION_DATA &&
      gnutls_error_is_fatal(code) != 0) {
    return fail(code);
  }
  return !waits(code);
}

Status GnutlsEngine::on_rehandshake_request() {
  const bool willing = context_->config().allow_renegotiation && !close_started_;
  rehandshaking_ = willing;
  owed_alert_ = owed_alert_ || (!willing && !close_started_);
  if (!willing && !client()) {
    // The library keeps the ClientHello for the handshake that does not come.
    RIG_TRY(thrown, throw_away_record());
    static_cast<void>(thrown);
  }
  return {};
}

void GnutlsEngine::on_warning() noexcept {
  if (gnutls_alert_get(session_.get()) == GNUTLS_A_NO_RENEGOTIATION) {
    // The library forgets its part of it, too; the connection goes on as it was.
    rehandshaking_ = false;
    asked_ = false;
  }
}

}  // namespace rig::gnutls
