#include "backends/mbedtls/engine.h"

#include <algorithm>
#include <climits>
#include <new>
#include <utility>

#include "backends/mbedtls/verify.h"
#include "harness/base/check.h"
#include "harness/base/library_door.h"
#include "harness/engine/host_name.h"

namespace rig::mbedtls {
namespace {

// compact_bytes_min is how much must have been taken before the rest is moved to the front: moving less often than
// every few records keeps the cost per byte constant.
constexpr std::size_t compact_bytes_min = 65536;

// An exported session begins with a byte that says whether the certificate was verified (the library's own record of
// that reads "no fault found" also where nothing was looked for), a byte of length, and the host in that length.
constexpr std::uint8_t verified_mark = 'V';
constexpr std::uint8_t unverified_mark = 'U';

std::unexpected<Error> refused(Code code, const char* why) {
  return std::unexpected(Error(code, why));
}

}  // namespace

MbedtlsEngine::Verb::Verb(MbedtlsEngine& engine, CipherOut& out, bool reads) noexcept : engine_(engine) {
  engine_.out_ = &out;
  engine_.reads_ = reads;
}

MbedtlsEngine::Verb::~Verb() {
  engine_.out_ = nullptr;
  engine_.reads_ = false;
}

// --- Making and ending -----------------------------------------------------------------------------------------------

std::expected<std::unique_ptr<TlsEngine>, Error> MbedtlsEngine::make(std::shared_ptr<const MbedtlsContext> context,
                                                                     const EngineConfig& config) try {
  RIG_TRY(material, context->take_material());
  auto engine = std::make_unique<MbedtlsEngine>(std::move(context), std::move(material));
  RIG_TRY_STATUS(engine->set_up(config));
  return engine;
} catch (const std::bad_alloc&) {
  return std::unexpected(Error(Code::no_memory, "no memory for an engine"));
}

MbedtlsEngine::MbedtlsEngine(std::shared_ptr<const MbedtlsContext> context, std::unique_ptr<Material> material)
    : context_(std::move(context)), material_(std::move(material)) {}

MbedtlsEngine::~MbedtlsEngine() {
  mbedtls_platform_zeroize(offered_master_.data(), offered_master_.size());
  ssl_.reset();  // it refers to the material, which the next engine may use at once
  context_->give_back(std::move(material_));
}

Status MbedtlsEngine::set_up(const EngineConfig& config) {
  const int code = mbedtls_ssl_setup(ssl_.get(), material_->config.get());
  if (code != 0) {
    return std::unexpected(library_error(Code::internal, "making a connection", code));
  }
  set_hooks();
  RIG_TRY_STATUS(set_host(config.host));
  return config.resume.empty() ? Status() : offer_session(config.resume);
}

Status MbedtlsEngine::set_host(const std::string& host) {
  if (!client()) {
    return {};
  }
  RIG_TRY_STATUS(check_host(host, context_->verifies()));
  host_ = host;
  // An address is no server name (RFC 6066, section 3). The library's own name check, which this turns on, has no last
  // word: see on_certificate().
  const bool is_name = sendable_name(host);
  const int code = mbedtls_ssl_set_hostname(ssl_.get(), is_name ? host.c_str() : nullptr);
  if (code != 0) {
    return std::unexpected(library_error(Code::invalid_argument, "taking the host's name", code));
  }
  return {};
}

Status MbedtlsEngine::offer_session(ByteView exported) {
  if (!client()) {
    return refused(Code::invalid_argument, "only a client offers a session; a server finds it in its tickets");
  }
  if (exported[0] != verified_mark && exported[0] != unverified_mark) {
    return refused(Code::invalid_argument, "the session to resume is none of this backend");
  }
  const std::size_t host_bytes = exported.size() < 2 ? 0 : exported[1];
  if (exported.size() < 2 + host_bytes) {
    return refused(Code::invalid_argument, "the session to resume is cut off");
  }
  const ByteView saved = exported.subspan(2 + host_bytes);
  Session session;
  int code = mbedtls_ssl_session_load(session.get(), saved.data(), saved.size());
  if (code != 0) {
    return std::unexpected(library_error(Code::invalid_argument, "reading the session to resume", code));
  }
  const bool safe = exported[0] == verified_mark || !context_->verifies();
  const bool fits = session_fits(*session.get(), as_text(exported.subspan(2, host_bytes)));
  if (!context_->config().session_tickets || !safe || !fits) {
    return {};  // a full handshake asks everything again
  }
  code = mbedtls_ssl_set_session(ssl_.get(), session.get());
  if (code != 0) {
    // It copies what has just been read; whatever the library calls it, memory is all that can be missing.
    return std::unexpected(library_error(Code::no_memory, "offering the session to resume", code));
  }
  on_offer(*session.get());
  offered_verified_ = exported[0] == verified_mark;
  return {};
}

// session_fits keeps a resumption from going round the checks of a full handshake: the certificate of the session must
// be issued to the host that is asked for this time. A session of TLS 1.3 has no certificate in it, and is good for the
// `host` that it was made with.
bool MbedtlsEngine::session_fits(const mbedtls_ssl_session& session, std::string_view host) const noexcept {
  const ContextConfig& config = context_->config();
  const TlsVersion version = version_of(session);
  if (version < config.version_min || version > context_->version_max()) {
    return false;
  }
  if (version == TlsVersion::tls13) {
    return !config.psk.has_value() && host == host_;
  }
  const auto* suite = mbedtls_ssl_ciphersuite_from_id(session.MBEDTLS_PRIVATE(ciphersuite));
  if (suite == nullptr || (mbedtls_ssl_ciphersuite_uses_psk(suite) != 0) != context_->config().psk.has_value()) {
    return false;
  }
  if (!context_->verifies()) {
    return true;
  }
  const mbedtls_x509_crt* certificate = session.MBEDTLS_PRIVATE(peer_cert);
  return session.MBEDTLS_PRIVATE(verify_result) == 0 && certificate != nullptr &&
         certificate_names(*certificate, host_);
}

// --- The common parts of verbs ---------------------------------------------------------------------------------------

Status MbedtlsEngine::usable() const {
  if (failure_.has_value()) {
    return std::unexpected(*failure_);
  }
  return {};
}

Status MbedtlsEngine::established() const {
  RIG_TRY_STATUS(usable());
  if (!handshake_done_) {
    return refused(Code::invalid_state, "the handshake is not done");
  }
  return {};
}

// finished_due is true between our ChangeCipherSpec and our Finished: only Finished may be encrypted next.
bool MbedtlsEngine::finished_due() const noexcept {
  return !tls13() && state() == (client() ? MBEDTLS_SSL_CLIENT_FINISHED : MBEDTLS_SSL_SERVER_FINISHED);
}

void MbedtlsEngine::enter() noexcept {
  entry_backlog_ = backlog_ > 0;
  starved_ = false;
  end_seen_ = false;
  sent_alert_.reset();
}

bool MbedtlsEngine::flush() noexcept {
  if (backlog_ > 0) {
    entry_backlog_ = false;  // no alert is meant
    const int code = mbedtls_ssl_flush_output(ssl_.get());
    RIG_CHECK(code == 0 || code == MBEDTLS_ERR_SSL_WANT_WRITE);  // it fails as our send hook does: for want of room
  }
  close_done_ = close_done_ || (close_started_ && backlog_ == 0);
  return backlog_ == 0;
}

std::expected<bool, Error> MbedtlsEngine::settle() {
  if (pending_.cipher > 0) {
    return false;
  }
  if (!flush()) {
    return false;
  }
  if (owed_ && !handshaking()) {
    owed_ = false;
    enter();
    const int code = mbedtls_ssl_send_alert_message(ssl_.get(), MBEDTLS_SSL_ALERT_LEVEL_WARNING,
                                                    MBEDTLS_SSL_ALERT_MSG_NO_RENEGOTIATION);
    if (code != 0 && code != MBEDTLS_ERR_SSL_WANT_WRITE) {
      return fail(code);
    }
  }
  return backlog_ == 0;
}

void MbedtlsEngine::note_handshake() noexcept {
  const mbedtls_ssl_session* const session = ssl_->MBEDTLS_PRIVATE(session);
  if (session != session_seen_) {
    session_seen_ = session;
    asked_ = false;
    ++facts_.handshakes;
    const bool has_certificate = mbedtls_ssl_get_peer_cert(ssl_.get()) != nullptr;
    if (tls13()) {
      // A server sends its certificate in each handshake but a resumed one. That a ticket could be read is all that a
      // server of the library tells: it goes on with it, or fails.
      resuming_ = offered_ && !(client() && has_certificate);
    }
    facts_.resumed = resuming_;
    // Read at once: within a renegotiation the library forgets the certificate before there is a new one.
    facts_.peer_verified = context_->verifies() && (has_certificate ? mbedtls_ssl_get_verify_result(ssl_.get()) == 0
                                                                    : tls13() && resuming_ && offered_verified_);
    cipher_ = mbedtls_ssl_get_ciphersuite(ssl_.get());
    alpn_ = mbedtls_ssl_get_alpn_protocol(ssl_.get());
  }
}

// note_ignored_alert looks at a warning that the library has just passed over: a refused renegotiation matters.
std::optional<Error> MbedtlsEngine::note_ignored_alert() {
  const bool refusal = ssl_->MBEDTLS_PRIVATE(in_msgtype) == MBEDTLS_SSL_MSG_ALERT &&
                       ssl_->MBEDTLS_PRIVATE(in_msg)[1] == MBEDTLS_SSL_ALERT_MSG_NO_RENEGOTIATION;
  if (!refusal) {
    return std::nullopt;
  }
  asked_ = false;
  if (client() && handshaking()) {
    // There is no way back: the library waits for a ServerHello for ever, and every write waits with it.
    return Error(Code::handshake_failed, "the peer refused the renegotiation (no_renegotiation)");
  }
  return std::nullopt;
}

void MbedtlsEngine::send_fatal_alert(std::uint8_t description) noexcept {
  if (!finished_due() && flush()) {
    mbedtls_ssl_send_alert_message(ssl_.get(), MBEDTLS_SSL_ALERT_LEVEL_FATAL, description);
  }
}

std::unexpected<Error> MbedtlsEngine::fail(int code) {
  Evidence evidence{.in_handshake = !handshake_done_ || handshaking(),
                    .first_bytes = first_bytes_.bytes(),
                    .verify_flags = verify_flags_,
                    .host = host_};
  if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
    evidence.received_alert = ssl_->MBEDTLS_PRIVATE(in_msg)[1];
  } else if (code == MBEDTLS_ERR_SSL_INVALID_MAC && !handshake_done_ && plain_alert(*ssl_.get()).has_value()) {
    evidence.received_alert = plain_alert(*ssl_.get());
    code = MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE;
  }
  if (sent_alert_.value_or(-1) >= 0) {
    evidence.sent_alert = sent_alert_;
  }
  if (const std::uint32_t flags = mbedtls_ssl_get_verify_result(ssl_.get()); !handshake_done_ && flags != ~0U) {
    evidence.verify_flags |= flags;
  }
  return fail(connection_error(code, evidence));
}

std::unexpected<Error> MbedtlsEngine::fail(const Error& error) {
  failure_ = error;
  if (const auto alert = alert_for(error.code()); alert.has_value() && !sent_alert_.has_value()) {
    send_fatal_alert(*alert);
  }
  return std::unexpected(*failure_);
}

// --- Verbs -----------------------------------------------------------------------------------------------------------

Status MbedtlsEngine::feed(ByteView cipher) {
  RIG_TRY_STATUS(usable());
  if (input_ended_) {
    return refused(Code::invalid_state, "bytes were fed after the end of the input");
  }
  first_bytes_.note(cipher);
  try {
    if (used_ == input_.size()) {
      input_.clear();
      used_ = 0;
    } else if (used_ >= compact_bytes_min && used_ >= input_.size() / 2) {
      input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used_));
      used_ = 0;
    }
    input_.insert(input_.end(), cipher.begin(), cipher.end());
  } catch (const std::bad_alloc&) {
    failure_ = Error(Code::no_memory, "no memory to hold the bytes that arrived");
    return std::unexpected(*failure_);
  }
  return {};
}

std::expected<Need, Error> MbedtlsEngine::handshake(CipherOut& out) {
  RIG_TRY_STATUS(usable());
  if (handshake_done_) {
    return Need::nothing;
  }
  const Verb verb(*this, out, true);
  enter();
  const int code = cause_of(*ssl_.get(), mbedtls_ssl_handshake(ssl_.get()));
  if (hook_failure_.has_value()) {
    return fail(*hook_failure_);
  }
  switch (code) {
    case 0:
      handshake_done_ = true;
      note_handshake();
      return Need::nothing;
    case MBEDTLS_ERR_SSL_WANT_READ:
      return Need::input;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
      return Need::room;
    default:
      return fail(code);
  }
}

// finish_write brings a partly accepted write to its end; true if it is there.
std::expected<bool, Error> MbedtlsEngine::finish_write(ByteView plain) {
  if (pending_.cipher > 0 && handshaking()) {
    flush();  // mbedtls_ssl_write() would go on with the renegotiation instead
  } else if (pending_.cipher > 0) {
    // The same arguments again. A longer retry would lose bytes (curl#15801), a shorter one report too many
    // (curl#21689).
    enter();
    const int code = mbedtls_ssl_write(ssl_.get(), plain.data(), pending_.plain);
    if (code < 0 && code != MBEDTLS_ERR_SSL_WANT_WRITE) {
      return fail(code);
    }
  }
  if (pending_.cipher == 0) {
    // The record has left, by this call or by another verb's; the manual asks for a call that would find nothing to do.
    door_waive_write(ssl_.get());
  }
  return pending_.cipher == 0;
}

std::expected<WriteStep, Error> MbedtlsEngine::write(ByteView plain, CipherOut& out) {
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
  const Verb verb(*this, out, false);
  WriteStep step;
  while (step.accepted < plain.size()) {
    const ByteView rest = plain.subspan(step.accepted);
    if (pending_.plain > 0) {
      RIG_TRY(finished, finish_write(rest));
      if (!finished) {
        step.need = Need::room;
        return step;
      }
      step.accepted += std::exchange(pending_, {}).plain;
      continue;
    }
    RIG_TRY(settled, settle());
    if (!settled) {
      step.need = Need::room;
      return step;
    }
    if (handshaking()) {
      if (clean_end_) {
        return refused(Code::handshake_failed, "the peer closed the connection within a renegotiation");
      }
      step.need = Need::input;
      return step;
    }
    const int record = mbedtls_ssl_get_max_out_record_payload(ssl_.get());
    const std::size_t chunk = std::min(rest.size(), static_cast<std::size_t>(std::max(record, 1)));
    enter();
    const int code = mbedtls_ssl_write(ssl_.get(), rest.data(), chunk);
    if (code == MBEDTLS_ERR_SSL_WANT_WRITE) {
      pending_ = {.plain = chunk, .cipher = backlog_};
    } else if (code < 0) {
      return fail(code);
    } else {
      step.accepted += static_cast<std::size_t>(code);
    }
  }
  return step;
}

std::expected<ReadStep, Error> MbedtlsEngine::read(MutableBytes plain, CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (plain.empty()) {
    return refused(Code::invalid_argument, "a read needs room for at least one byte");
  }
  if (clean_end_) {
    return ReadStep{.end = true};
  }
  const Verb verb(*this, out, true);
  RIG_TRY_STATUS(settle());
  // Each turn consumes a record of the input, so there is a last one.
  for (;;) {
    enter();
    const std::size_t room = std::min<std::size_t>(plain.size(), INT_MAX);
    const int code = cause_of(*ssl_.get(), mbedtls_ssl_read(ssl_.get(), plain.data(), room));
    if (hook_failure_.has_value()) {
      return fail(*hook_failure_);
    }
    note_handshake();
    if (code > 0) {
      return ReadStep{.bytes = static_cast<std::size_t>(code)};
    }
    switch (code) {
      case 0:
        // Two empty records in a row also give 0, which would pass for a truncation.
        if (end_seen_) {
          return fail(MBEDTLS_ERR_SSL_CONN_EOF);
        }
        break;
      case MBEDTLS_ERR_SSL_WANT_READ:
        if (!starved_) {
          // A warning was passed over; there may be more behind it, which nobody would wake us for.
          if (const auto error = note_ignored_alert(); error.has_value()) {
            return fail(*error);
          }
          break;
        }
        // What the library had to answer and could not must not wait for the next input.
        return ReadStep{.need = owed_ || backlog_ > pending_.cipher ? Need::room : Need::input};
      case MBEDTLS_ERR_SSL_WAITING_SERVER_HELLO_RENEGO:
        break;  // application data came first; it is delivered in the next turn
      case ticket_received:
        break;  // session() takes it out
      case MBEDTLS_ERR_SSL_WANT_WRITE:
        return ReadStep{.need = Need::room};
      case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        clean_end_ = true;
        return ReadStep{.end = true};
      default:
        return fail(code);
    }
  }
}

bool MbedtlsEngine::readable() const noexcept {
  return !failure_.has_value() && !clean_end_ && (unread() > 0 || mbedtls_ssl_check_pending(ssl_.get()) != 0);
}

std::expected<Need, Error> MbedtlsEngine::renegotiate(CipherOut& out) {
  RIG_TRY_STATUS(established());
  const Verb verb(*this, out, false);
  if (start_cut_) {
    // Coming again through the library would ask a second time if a read had meanwhile pushed the first message out.
    start_cut_ = !flush();
    return start_cut_ ? Need::room : Need::nothing;
  }
  if (tls13()) {
    return refused(Code::unsupported, "TLS 1.3 has no renegotiation");
  }
  // While it is disabled the library starts all the same, and blocks every write for good.
  if (!context_->config().allow_renegotiation) {
    return refused(Code::unsupported, "renegotiation is not allowed in this context");
  }
  if (ssl_->MBEDTLS_PRIVATE(secure_renegotiation) != MBEDTLS_SSL_SECURE_RENEGOTIATION) {
    return refused(Code::unsupported, "the peer has no secure renegotiation (RFC 5746)");
  }
  if (pending_.plain > 0) {
    return refused(Code::invalid_state, "a write is only partly accepted; finish it first");
  }
  if (close_started_ || clean_end_) {
    return refused(Code::invalid_state, "the connection is being closed");
  }
  if (handshaking() || asked_) {
    return refused(Code::invalid_state, "a renegotiation is under way");
  }
  RIG_TRY(settled, settle());
  if (!settled) {
    return Need::room;
  }
  enter();
  const int status_before = ssl_->MBEDTLS_PRIVATE(renego_status);
  const int code = mbedtls_ssl_renegotiate(ssl_.get());
  if (!client()) {
    // The library would repeat its HelloRequest for each record of application data that arrives before the
    // ClientHello: meant for DTLS, done on TLS too, and fatal for an mbedTLS client that is already waiting for the
    // ServerHello. So the library forgets that it has asked, and the engine remembers.
    ssl_->MBEDTLS_PRIVATE(renego_status) = status_before;
    asked_ = true;
  }
  switch (code) {
    case 0:
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_WAITING_SERVER_HELLO_RENEGO:
      return Need::nothing;
    case MBEDTLS_ERR_SSL_WANT_WRITE:
      start_cut_ = true;
      return Need::room;
    default:
      return fail(code);
  }
}

std::expected<Need, Error> MbedtlsEngine::update_keys(CipherOut&) {
  RIG_TRY_STATUS(usable());
  return refused(Code::unsupported, "TLS 1.2 has no key update, and mbedTLS starts none under TLS 1.3");
}

std::expected<Need, Error> MbedtlsEngine::close_notify(CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (pending_.plain > 0) {
    return refused(Code::invalid_state, "a write is only partly accepted; finish it first");
  }
  const Verb verb(*this, out, false);
  if (!close_started_) {
    RIG_TRY(settled, settle());
    if (!settled) {
      return Need::room;
    }
    if (handshaking() && finished_due()) {
      // The peer has switched keys with our ChangeCipherSpec, and we have not.
      enter();
      const int step = mbedtls_ssl_handshake_step(ssl_.get());
      if (step != 0) {
        return step == MBEDTLS_ERR_SSL_WANT_WRITE ? std::expected<Need, Error>(Need::room) : fail(step);
      }
    }
    // Within a renegotiation mbedtls_ssl_close_notify() does nothing and says that it did.
    enter();
    const int code =
        mbedtls_ssl_send_alert_message(ssl_.get(), MBEDTLS_SSL_ALERT_LEVEL_WARNING, MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY);
    if (code != 0 && code != MBEDTLS_ERR_SSL_WANT_WRITE) {
      return fail(code);
    }
    close_started_ = true;
    owed_ = false;
  }
  // Coming again through the library would make a second alert if a read had meanwhile pushed the first one out.
  flush();
  return close_done_ ? Need::nothing : Need::room;
}

Facts MbedtlsEngine::facts() const {
  Facts facts = facts_;
  facts.library = "mbedtls";
  if (!handshake_done_) {
    return facts;
  }
  facts.version = tls13() ? TlsVersion::tls13 : TlsVersion::tls12;
  facts.psk = context_->config().psk.has_value();
  try {
    facts.cipher = cipher_;
    facts.alpn = alpn_ == nullptr ? "" : alpn_;
    facts.server_name = server_name_;
  } catch (const std::bad_alloc&) {
    // The contract lets strings be empty then.
  }
  return facts;
}

std::expected<Bytes, Error> MbedtlsEngine::session() try {
  RIG_TRY_STATUS(usable());
  if (!client()) {
    return refused(Code::unsupported, "sessions are exported by the client's side");
  }
  if (!handshake_done_ || !context_->config().session_tickets) {
    return Bytes();
  }
  Session session;
  int code = mbedtls_ssl_get_session(ssl_.get(), session.get());
  if (has_tls13 && code == MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE) {
    return exported_;  // no other has come since
  }
  if (code != 0) {
    return fail(library_error(Code::no_memory, "copying the session", code));  // as in offer_session()
  }
  const bool has_id = !tls13() && session->MBEDTLS_PRIVATE(id_len) != 0;
  if (session->MBEDTLS_PRIVATE(ticket_len) == 0 && !has_id) {
    return Bytes();
  }
  std::size_t bytes = 0;
  mbedtls_ssl_session_save(session.get(), nullptr, 0, &bytes);  // says how many there are
  exported_.assign({facts_.peer_verified ? verified_mark : unverified_mark, static_cast<std::uint8_t>(host_.size())});
  exported_.insert(exported_.end(), host_.begin(), host_.end());
  const std::size_t head = exported_.size();
  exported_.resize(head + bytes);
  code = mbedtls_ssl_session_save(session.get(), exported_.data() + head, bytes, &bytes);
  RIG_CHECK(code == 0);
  return exported_;
} catch (const std::bad_alloc&) {
  return fail(Error(Code::no_memory, "no memory for the session"));
}

}  // namespace rig::mbedtls
