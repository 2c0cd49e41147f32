#include "backends/gnutls/engine.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "backends/gnutls/callbacks.h"
#include "backends/gnutls/errors.h"
#include "harness/base/check.h"
#include "harness/engine/host_name.h"

namespace rig::gnutls {
namespace {

// An exported session is this mark, the fingerprint of what was checked, and the library's own data.
constexpr std::string_view session_mark = "rig-gnutls-1:";

std::unexpected<Error> refused(Code code, const char* why) {
  return std::unexpected(Error(code, why));
}

// KeepErrno puts errno back as it was found.
class KeepErrno {
 public:
  KeepErrno() noexcept : errno_(errno) {}
  ~KeepErrno() { errno = errno_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  int errno_;
};

// copy_text copies `text` with a NUL behind it, and nothing if it does not fit.
template <std::size_t size>
void copy_text(std::array<char, size>& to, ByteView text) noexcept {
  to[0] = '\0';
  if (text.size() < size) {
    std::ranges::copy(text, to.begin());
    to[text.size()] = '\0';
  }
}

}  // namespace

GnutlsEngine::Verb::Verb(GnutlsEngine& engine, CipherOut& out) noexcept : engine_(engine), errno_(errno) {
  engine_.out_ = &out;
}

GnutlsEngine::Verb::~Verb() {
  engine_.out_ = nullptr;
  errno = errno_;
}

// --- Making ----------------------------------------------------------------------------------------------------------

std::expected<std::unique_ptr<TlsEngine>, Error> GnutlsEngine::make(std::shared_ptr<const GnutlsContext> context,
                                                                    const EngineConfig& config) try {
  auto engine = std::make_unique<GnutlsEngine>(std::move(context));
  RIG_TRY_STATUS(engine->set_up(config));
  return engine;
} catch (const std::bad_alloc&) {
  return std::unexpected(Error(Code::no_memory, "no memory for an engine"));
}

Status GnutlsEngine::set_up(const EngineConfig& config) {
  // FORCE_CLIENT_CERT: else a client keeps its certificate to itself if the server names other authorities.
  const unsigned role = client() ? GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT : GNUTLS_SERVER;
  const unsigned tickets = context_->config().session_tickets ? 0 : GNUTLS_NO_TICKETS;
  gnutls_session_t made = nullptr;
  const int code = gnutls_init(&made, role | GNUTLS_NONBLOCK | tickets);
  if (code < 0) {
    return std::unexpected(library_error(Code::internal, "making a connection", code));
  }
  session_.reset(made);
  set_callbacks(made, *this);
  RIG_TRY_STATUS(context_->prepare(made));
  RIG_TRY_STATUS(set_host(config.host));
  return config.resume.empty() ? Status() : offer_session(config.resume);
}

Status GnutlsEngine::set_host(const std::string& host) {
  if (!client()) {
    return {};
  }
  RIG_TRY_STATUS(check_host(host, context_->verifies()));
  host_ = host;
  if (!sendable_name(host)) {
    return {};
  }
  const int code = gnutls_server_name_set(session_.get(), GNUTLS_NAME_DNS, host.data(), host.size());
  if (code == GNUTLS_E_MEMORY_ERROR) {
    return refused(Code::no_memory, "no memory for the host's name");
  }
  return {};  // a name that IDNA does not know is not sent
}

Status GnutlsEngine::offer_session(ByteView exported) {
  if (!client()) {
    return refused(Code::invalid_argument, "only a client offers a session; a server finds it in its tickets");
  }
  RIG_TRY(mine, context_->fingerprint(host_));
  if (exported.size() <= session_mark.size() + mine.size() || !as_text(exported).starts_with(session_mark)) {
    return refused(Code::invalid_argument, "the session to resume is none of this backend");
  }
  const ByteView data = exported.subspan(session_mark.size() + mine.size());
  if (!std::ranges::equal(mine, exported.subspan(session_mark.size(), mine.size()))) {
    return {};  // other checks than ours, or another host: a full handshake asks everything again
  }
  const int code = gnutls_session_set_data(session_.get(), data.data(), data.size());
  if (code == GNUTLS_E_EXPIRED) {
    return {};
  }
  if (code < 0) {
    return std::unexpected(library_error(Code::invalid_argument, "reading the session to resume", code));
  }
  return {};
}

// --- The common parts of verbs ---------------------------------------------------------------------------------------

Status GnutlsEngine::usable() const {
  if (failure_.has_value()) {
    return std::unexpected(*failure_);
  }
  return {};
}

Status GnutlsEngine::established() const {
  RIG_TRY_STATUS(usable());
  if (!handshake_done_) {
    return refused(Code::invalid_state, "the handshake is not done");
  }
  return {};
}

gnutls_session_t GnutlsEngine::enter(Intake intake) noexcept {
  intake_ = intake;
  starved_ = false;
  end_seen_ = false;
  return session_.get();
}

std::expected<bool, Error> GnutlsEngine::settle_pending() {
  if (pending_.plain == 0 || pending_.out) {
    return true;
  }
  // Without arguments it goes on with what is queued, whatever a retry offers. With them it would do the same and take
  // no look at them: a shorter retry would be told that more was sent than it has.
  const ssize_t sent = gnutls_record_send(enter(Intake::none), nullptr, 0);
  if (waits(static_cast<int>(sent))) {
    return false;
  }
  if (sent < 0) {
    return fail(static_cast<int>(sent));
  }
  pending_ = {.plain = static_cast<std::size_t>(sent), .out = true};
  return true;
}

std::expected<bool, Error> GnutlsEngine::settle_cut() {
  if (cut_ == Cut::none) {
    return true;
  }
  const int code = cut_ == Cut::key_update ? gnutls_session_key_update(enter(Intake::none), GNUTLS_KU_PEER)
                                           : gnutls_rehandshake(enter(Intake::none));
  if (waits(code)) {
    return false;
  }
  if (code < 0) {
    return fail(code);
  }
  finished_ = std::exchange(cut_, Cut::none);
  return true;
}

std::expected<bool, Error> GnutlsEngine::settle() {
  RIG_TRY(flushed, settle_pending());
  if (!flushed) {
    return false;
  }
  RIG_TRY(whole, settle_cut());
  if (!whole) {
    return false;
  }
  if (answer_due_) {
    const int code = gnutls_session_key_update(enter(Intake::none), 0);
    if (code < 0) {
      return waits(code) ? std::expected<bool, Error>(false) : fail(code);
    }
    answer_due_ = false;
  }
  if (owed_alert_) {
    const int code = gnutls_alert_send(enter(Intake::none), GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
    if (code < 0) {
      return waits(code) ? std::expected<bool, Error>(false) : fail(code);
    }
    owed_alert_ = false;
  }
  return true;
}

std::expected<Need, Error> GnutlsEngine::finish_cut() {
  RIG_TRY(settled, settle());
  if (!settled) {
    return Need::room;
  }
  finished_ = Cut::none;
  return Need::nothing;
}

void GnutlsEngine::note_handshake() noexcept {
  gnutls_session_t const session = session_.get();
  ++facts_.handshakes;
  facts_.version = gnutls_protocol_get_version(session) == GNUTLS_TLS1_3 ? TlsVersion::tls13 : TlsVersion::tls12;
  facts_.resumed = gnutls_session_is_resumed(session) != 0;
  facts_.psk = context_->config().psk.has_value();
  // A resumed handshake verifies nothing: a client took the session up because its checks were the same, a server
  // because the session is its own, and so has the certificate that was verified then.
  unsigned certificates = 0;
  const bool certified = gnutls_certificate_get_peers(session, &certificates) != nullptr && certificates > 0;
  facts_.peer_verified = context_->verifies() && certified && (verified_ || facts_.resumed);
  if (facts_.version == TlsVersion::tls12 && facts_.handshakes == 1) {
    input_.heed_types();
  }
  cipher_ = gnutls_ciphersuite_get(session);
  gnutls_datum_t protocol{};
  const int chosen = gnutls_alpn_get_selected_protocol(session, &protocol);
  copy_text(alpn_, chosen == 0 ? ByteView(protocol.data, protocol.size) : ByteView());
  std::size_t size = server_name_.size();
  unsigned type = 0;
  if (client() || gnutls_server_name_get(session, server_name_.data(), &size, &type, 0) != 0) {
    server_name_[0] = '\0';
  }
}

std::unexpected<Error> GnutlsEngine::fail(int code) {
  int alert_received = gnutls_alert_get(session_.get());
  if (const auto plain = input_.plain_alert(); code == GNUTLS_E_DECRYPTION_FAILED && !handshake_done_ && plain) {
    // An OpenSSL client that refuses our certificate under TLS 1.3 has no keys for sending yet; the library does not
    // expect that.
    code = GNUTLS_E_FATAL_ALERT_RECEIVED;
    alert_received = *plain;
  }
  const Evidence evidence{.in_handshake = !handshake_done_ || rehandshaking_,
                          .end_seen = end_seen_,
                          .first_bytes = input_.first_bytes(),
                          .received_alert = alert_received};
  failure_ = hook_failure_.has_value() ? *hook_failure_ : connection_error(code, evidence);
  const std::optional<gnutls_alert_description_t> alert = hook_alert_.has_value() ? hook_alert_ : alert_for(code);
  // After close_notify nothing may follow, and nobody hears an alert behind the end of the stream.
  if (alert.has_value() && !close_started_ && failure_->code() != Code::truncated) {
    send_fatal_alert(*alert);
  }
  return std::unexpected(*failure_);
}

std::unexpected<Error> GnutlsEngine::die(const Error& error) {
  failure_ = error;
  return std::unexpected(error);
}

void GnutlsEngine::send_fatal_alert(gnutls_alert_description_t alert) noexcept {
  // The library takes the first call for the flush of what is queued, if anything is, and reports success. Only a new
  // record is an alert.
  const auto records = [this] {
    std::array<unsigned char, 8> number{};
    gnutls_record_get_state(session_.get(), 0, nullptr, nullptr, nullptr, number.data());
    return number;
  };
  const auto before = records();
  for (int calls = 0; calls < 2 && records() == before; ++calls) {
    if (gnutls_alert_send(enter(Intake::none), GNUTLS_AL_FATAL, alert) < 0) {
      return;  // no room: the alert is lost, as the contract allows
    }
  }
}

// --- Verbs -----------------------------------------------------------------------------------------------------------

Status GnutlsEngine::feed(ByteView cipher) {
  RIG_TRY_STATUS(usable());
  if (input_.ended()) {
    return refused(Code::invalid_state, "bytes were fed after the end of the input");
  }
  try {
    input_.feed(cipher);
  } catch (const std::bad_alloc&) {
    return die(Error(Code::no_memory, "no memory to hold the bytes that arrived"));
  }
  return {};
}

std::expected<Need, Error> GnutlsEngine::handshake(CipherOut& out) {
  RIG_TRY_STATUS(usable());
  if (handshake_done_) {
    return Need::nothing;
  }
  const Verb verb(*this, out);
  // Each turn consumes a record of the input, so there is a last one.
  for (;;) {
    const int code = gnutls_handshake(enter(Intake::all));
    if (hook_failure_.has_value()) {
      return fail(code);
    }
    if (code == 0) {
      handshake_done_ = true;
      note_handshake();
      set_message_hook(*this);
      return Need::nothing;
    }
    if (waits(code) && wants_room()) {
      return Need::room;
    }
    if (waits(code) && starved_) {
      return Need::input;
    }
    if (!waits(code) && code != GNUTLS_E_WARNING_ALERT_RECEIVED) {
      return fail(code);
    }
  }
}

std::expected<WriteStep, Error> GnutlsEngine::write(ByteView plain, CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (close_started_) {
    return refused(Code::invalid_state, "our direction was ended by close_notify");
  }
  if (plain.empty()) {
    return WriteStep{};
  }
  if (plain.size() < pending_.plain) {
    return refused(Code::invalid_argument,
                   "a partly accepted write must be offered again with at least the same bytes");
  }
  const Verb verb(*this, out);
  WriteStep step;
  while (step.accepted < plain.size()) {
    RIG_TRY(settled, settle());
    if (pending_.out) {
      step.accepted += std::exchange(pending_, {}).plain;
      continue;
    }
    if (!settled) {
      step.need = Need::room;
      return step;
    }
    if (rehandshaking_) {
      if (clean_end_) {
        return refused(Code::handshake_failed, "the peer closed the connection within a renegotiation");
      }
      step.need = Need::input;
      return step;
    }
    const ByteView rest = plain.subspan(step.accepted);
    const std::size_t chunk = std::min(rest.size(), gnutls_record_get_max_size(session_.get()));
    const ssize_t sent = gnutls_record_send(enter(Intake::none), rest.data(), chunk);
    if (waits(static_cast<int>(sent))) {
      pending_ = {.plain = chunk};
      step.need = Need::room;
      return step;
    }
    if (sent < 0) {
      return fail(static_cast<int>(sent));
    }
    step.accepted += static_cast<std::size_t>(sent);  // one record, never more
  }
  return step;
}

std::expected<std::optional<ReadStep>, Error> GnutlsEngine::read_once(MutableBytes plain, bool room_wanted) {
  const Intake intake = rehandshaking_ ? Intake::data : Intake::all;
  const ssize_t received = gnutls_record_recv(enter(intake), plain.data(), plain.size());
  const int code = static_cast<int>(std::min<ssize_t>(received, 0));
  if (received > 0) {
    data_held_ = gnutls_record_check_pending(session_.get()) > 0;
    return ReadStep{.bytes = static_cast<std::size_t>(received)};
  }
  data_held_ = false;
  if (waits(code)) {
    // Records for the other intake may be next; without room they have to wait.
    const bool more = rehandshaking_ && !room_wanted && input_.unread() > 0 && !input_.data_next();
    if (!starved_ || more) {
      return std::nullopt;
    }
    return ReadStep{.need = room_wanted ? Need::room : Need::input};
  }
  switch (code) {
    case 0:
      clean_end_ = true;
      return ReadStep{.end = true};
    case GNUTLS_E_REHANDSHAKE:
      RIG_TRY_STATUS(on_rehandshake_request());
      return std::nullopt;
    case GNUTLS_E_WARNING_ALERT_RECEIVED:
      on_warning();
      return std::nullopt;
    default:
      return fail(code);
  }
}

std::expected<ReadStep, Error> GnutlsEngine::read(MutableBytes plain, CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (plain.empty()) {
    return refused(Code::invalid_argument, "a read needs room for at least one byte");
  }
  if (clean_end_) {
    return ReadStep{.end = true};
  }
  const Verb verb(*this, out);
  // What a write has to wait for goes on its way with every verb; whether it is out is for write() to say.
  RIG_TRY(pushed, settle_pending());
  static_cast<void>(pushed);
  // Each turn consumes a record of the input, so there is a last one.
  for (;;) {
    bool room_wanted = false;
    if (owed_alert_ || answer_due_) {
      RIG_TRY(settled, settle());
      room_wanted = !settled;
    }
    // Data that the library holds goes first: a handshake would take it for a message out of place.
    if (rehandshaking_ && !data_held_) {
      RIG_TRY(outcome, continue_rehandshake());
      if (clean_end_) {
        return ReadStep{.end = true};
      }
      room_wanted = outcome == Outcome::room;
      if (room_wanted && gnutls_record_check_pending(session_.get()) > 0) {
        return ReadStep{.need = Need::room};  // the library holds a handshake record, and asked for data would drop it
      }
    }
    RIG_TRY(step, read_once(plain, room_wanted));
    if (step.has_value()) {
      return *step;
    }
  }
}

bool GnutlsEngine::readable() const noexcept {
  return !failure_.has_value() && !clean_end_ &&
         (input_.unread() > 0 || gnutls_record_check_pending(session_.get()) > 0);
}

std::expected<Need, Error> GnutlsEngine::update_keys(CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (facts_.version != TlsVersion::tls13) {
    return refused(Code::unsupported, "TLS 1.2 has no key update");
  }
  const Verb verb(*this, out);
  if (cut_ == Cut::key_update || finished_ == Cut::key_update) {
    return finish_cut();
  }
  if (pending_.plain > 0) {
    return refused(Code::invalid_state, "a write is only partly accepted; finish it first");
  }
  if (close_started_) {
    return refused(Code::invalid_state, "our direction was ended by close_notify");
  }
  RIG_TRY(settled, settle());
  if (!settled) {
    return Need::room;
  }
  const int code = gnutls_session_key_update(enter(Intake::none), GNUTLS_KU_PEER);
  if (waits(code)) {
    cut_ = Cut::key_update;
    return Need::room;
  }
  return code < 0 ? fail(code) : std::expected<Need, Error>(Need::nothing);
}

std::expected<Need, Error> GnutlsEngine::close_notify(CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (close_done_) {
    return Need::nothing;
  }
  if (pending_.plain > 0) {
    return refused(Code::invalid_state, "a write is only partly accepted; finish it first");
  }
  if (rehandshaking_) {
    return refused(Code::invalid_state, "a renegotiation is under way");
  }
  const Verb verb(*this, out);
  if (!close_started_) {
    RIG_TRY(settled, settle());
    if (!settled) {
      return Need::room;
    }
    close_started_ = true;
  }
  const int code = gnutls_bye(enter(Intake::none), GNUTLS_SHUT_WR);
  if (waits(code)) {
    return Need::room;
  }
  close_done_ = true;
  return code < 0 ? fail(code) : std::expected<Need, Error>(Need::nothing);
}

Facts GnutlsEngine::facts() const {
  Facts facts = facts_;
  facts.library = "gnutls";
  if (!handshake_done_) {
    return facts;
  }
  try {
    facts.cipher = cipher_;
    facts.alpn = alpn_.data();
    facts.server_name = server_name_.data();
  } catch (const std::bad_alloc&) {
    // The contract lets strings be empty then.
  }
  return facts;
}

std::expected<Bytes, Error> GnutlsEngine::session() {
  RIG_TRY_STATUS(usable());
  if (!client()) {
    return refused(Code::unsupported, "sessions are exported by the client's side");
  }
  const KeepErrno keep;
  // Without a ticket there is nothing to resume (the library could wait for one here, by the clock).
  const bool ticket = facts_.resumed || (gnutls_session_get_flags(session_.get()) & GNUTLS_SFLAGS_SESSION_TICKET) != 0;
  if (!handshake_done_ || rehandshaking_ || !context_->config().session_tickets || !ticket) {
    return Bytes();
  }
  Datum data;
  const int code = gnutls_session_get_data2(session_.get(), data.get());
  if (code < 0) {
    return die(library_error(Code::internal, "exporting the session", code));
  }
  const auto fingerprint = context_->fingerprint(host_);
  if (!fingerprint.has_value()) {
    return die(fingerprint.error());
  }
  try {
    const ByteView mark = as_bytes(session_mark);
    Bytes exported(mark.begin(), mark.end());
    exported.insert(exported.end(), fingerprint->begin(), fingerprint->end());
    exported.insert(exported.end(), data->data, data->data + data->size);
    return exported;
  } catch (const std::bad_alloc&) {
    return die(Error(Code::no_memory, "no memory for the session"));
  }
}

}  // namespace rig::gnutls
