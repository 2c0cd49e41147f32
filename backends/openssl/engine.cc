#include "backends/openssl/engine.h"

#include <algorithm>
#include <climits>
#include <new>
#include <utility>

#include "harness/base/check.h"
#include "harness/base/library_door.h"
#include "harness/engine/host_name.h"

namespace rig::openssl {
namespace {

// host_flags: never the subject's CN, and a wildcard only as a whole label.
constexpr unsigned host_flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

// filler stands in for plaintext that the library has encrypted already and does not look at again.
constexpr std::array<std::uint8_t, SSL3_RT_MAX_PLAIN_LENGTH> filler{};

}  // namespace

// Hooks are called by the library within its calls.
struct OpensslEngine::Hooks {
  static void message(int outgoing, int, int type, const void* bytes, std::size_t size, SSL*, void* engine) noexcept {
    auto& self = *static_cast<OpensslEngine*>(engine);
    const ByteView message(static_cast<const std::uint8_t*>(bytes), size);
    if (type == SSL3_RT_HANDSHAKE) {
      self.on_message(outgoing != 0, message);
    } else if (outgoing != 0 && !message.empty() && (type == SSL3_RT_HEADER || type == SSL3_RT_INNER_CONTENT_TYPE)) {
      self.on_record(message[0]);
    }
  }

  static void state(const SSL* ssl, int where, int) noexcept {
    if ((where & SSL_CB_HANDSHAKE_DONE) != 0) {
      static_cast<OpensslEngine*>(SSL_get_app_data(ssl))->on_handshake_done();
    }
  }
};

void OpensslEngine::Name::set(std::string_view name) noexcept {
  size = std::min(name.size(), text.size());
  std::copy_n(name.begin(), size, text.begin());
}

// --- Making and ending -----------------------------------------------------------------------------------------------

std::expected<std::unique_ptr<TlsEngine>, Error> OpensslEngine::make(std::shared_ptr<const OpensslContext> context,
                                                                     const EngineConfig& config) try {
  const Ambient ambient;
  auto engine = std::make_unique<OpensslEngine>(std::move(context));
  RIG_TRY_STATUS(engine->set_up(config));
  return engine;
} catch (const std::bad_alloc&) {
  return std::unexpected(Error(Code::no_memory, "no memory for an engine"));
}

OpensslEngine::~OpensslEngine() {
  const Ambient ambient;
  ssl_.reset();
}

Status OpensslEngine::set_up(const EngineConfig& config) {
  ssl_.reset(SSL_new(context_->library()));
  wire_.reserve();
  Bio bio = wire_.make_bio();
  // The library's own slot for application data is made at the first use, and can fail like any allocation.
  if (ssl_ == nullptr || bio == nullptr || SSL_set_app_data(ssl_.get(), this) != 1) {
    return std::unexpected(library_error(Code::no_memory, "making a connection"));
  }
  SSL_set_bio(ssl_.get(), bio.get(), bio.get());  // one BIO for both directions: one reference is handed over
  bio.release();
  SSL_set_msg_callback(ssl_.get(), &Hooks::message);
  SSL_set_msg_callback_arg(ssl_.get(), this);
  SSL_set_info_callback(ssl_.get(), &Hooks::state);
  if (!context_->client()) {
    SSL_set_accept_state(ssl_.get());
    return config.resume.empty() ? Status() : refused(Code::invalid_argument, "only a client offers a session");
  }
  SSL_set_connect_state(ssl_.get());
  RIG_TRY_STATUS(set_host(config.host));
  return config.resume.empty() ? Status() : offer_session(config.resume);
}

Status OpensslEngine::set_host(const std::string& host) {
  RIG_TRY_STATUS(check_host(host, context_->verifies()));
  if (host.empty()) {
    return {};
  }
  host_ = host;
  X509_VERIFY_PARAM* const demands = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(demands, host_flags);
  // An address is compared with iPAddress entries only, and is no server name (RFC 6066, 3).
  const std::optional<HostAddress> address = parse_address(host);
  const bool taken =
      (address.has_value() ? X509_VERIFY_PARAM_set1_ip(demands, address->bytes().data(), address->size) == 1
                           : X509_VERIFY_PARAM_set1_host(demands, host.data(), host.size()) == 1) &&
      (!sendable_name(host) || SSL_set_tlsext_host_name(ssl_.get(), host.c_str()) == 1);
  // What a name may be was asked above: it is memory for a copy that is missing, whatever the library calls it.
  return taken ? Status() : std::unexpected(library_error(Code::no_memory, "taking the host's name"));
}

Status OpensslEngine::offer_session(const Bytes& exported) {
  const unsigned char* at = exported.data();
  SslSession session(exported.size() > LONG_MAX ? nullptr
                                                : d2i_SSL_SESSION(nullptr, &at, static_cast<long>(exported.size())));
  if (session == nullptr) {
    return std::unexpected(library_error(Code::invalid_argument, "reading the session to resume"));
  }
  if (at != exported.data() + exported.size()) {
    return refused(Code::invalid_argument, "the session to resume has bytes behind its end");
  }
  if (!config().session_tickets || (SSL_SESSION_get0_peer(session.get()) == nullptr) != context_->psk()) {
    return {};  // a full handshake asks everything again
  }
  if (SSL_set_session(ssl_.get(), session.get()) != 1) {
    return std::unexpected(library_error(Code::invalid_argument, "offering the session to resume"));
  }
  if (!session_fits(*session)) {
    SSL_set_session(ssl_.get(), nullptr);
    return {};
  }
  offered_ = std::move(session);
  return {};
}

// session_fits keeps a resumption from going round the checks of a full handshake, none of which the library repeats:
// the certificate of the session must have been accepted, and be issued to the host that is asked for this time.
bool OpensslEngine::session_fits(SSL_SESSION& session) const noexcept {
  if (!context_->verifies()) {
    return true;
  }
  // The verify result is part of the session; where nothing was verified it says so (see on_chain).
  X509* const peer = SSL_SESSION_get0_peer(&session);
  if (SSL_get_verify_result(ssl_.get()) != X509_V_OK || host_.starts_with('.')) {
    return false;
  }
  const std::optional<HostAddress> address = parse_address(host_);
  return address.has_value() ? X509_check_ip(peer, address->bytes().data(), address->size, 0) == 1
                             : X509_check_host(peer, host_.data(), host_.size(), host_flags, nullptr) == 1;
}

// --- What the callbacks tell -----------------------------------------------------------------------------------------

void OpensslEngine::on_key_log(const char* line) noexcept {
  try {
    config().key_log(line);
  } catch (const std::bad_alloc&) {
    hook_failure_ = Error(Code::no_memory, "no memory in the key log function");
  } catch (...) {
    hook_failure_ = Error(Code::internal, "the key log function threw an exception");
  }
}

// on_record is told the type of each record before it is written; in TLS 1.3 the real one comes last. The only
// handshake records after a TLS 1.3 handshake are KeyUpdates.
void OpensslEngine::on_record(std::uint8_t type) noexcept {
  wire_.take_whole(type == SSL3_RT_ALERT || (type == SSL3_RT_HANDSHAKE && tls13() && handshake_done_));
}

// on_message counts whole messages: the library tells of one after its last byte was taken in, or written into a
// record, however often the output was full meanwhile.
void OpensslEngine::on_message(bool outgoing, ByteView message) noexcept {
  switch (message.empty() ? -1 : message[0]) {
    case SSL3_MT_KEY_UPDATE:
      ++(outgoing ? facts_.key_updates_out : facts_.key_updates_in);
      break;
    case SSL3_MT_FINISHED:
      ++(outgoing ? finished_out_ : finished_in_);
      break;
    default:
      break;
  }
}

// on_handshake_done reads back what was negotiated. The library calls it also behind a HelloRequest, and behind one
// that it ignored; a handshake is done when both Finished are through.
void OpensslEngine::on_handshake_done() noexcept {
  const unsigned handshakes = std::min(finished_in_, finished_out_);
  if (handshakes == facts_.handshakes) {
    return;
  }
  SSL* const ssl = ssl_.get();
  facts_.handshakes = handshakes;
  facts_.version = SSL_version(ssl) == TLS1_3_VERSION ? TlsVersion::tls13 : TlsVersion::tls12;
  const bool reused = SSL_session_reused(ssl) != 0;
  const SSL_CIPHER* const cipher = SSL_get_current_cipher(ssl);
  cipher_ = SSL_CIPHER_get_name(cipher);
  // In TLS 1.3 an external key looks like a session that was resumed.
  const bool external =
      tls13() && context_->psk() && reused &&
      (context_->client() ? offered_ == nullptr || SSL_get0_session(ssl) != offered_.get() : psk_known_);
  facts_.resumed = reused && !external;
  facts_.psk = context_->psk() && (tls13() ? reused : SSL_CIPHER_get_auth_nid(cipher) == NID_auth_psk);
  facts_.peer_verified =
      context_->verifies() && SSL_get0_peer_certificate(ssl) != nullptr && SSL_get_verify_result(ssl) == X509_V_OK;
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
  alpn_.set(as_text({alpn, alpn_size}));
  if (!context_->client()) {
    const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    server_name_.set(name == nullptr ? "" : name);
  }
  wire_.new_record();
}

// --- The common parts of verbs ---------------------------------------------------------------------------------------

Status OpensslEngine::usable() const {
  if (failure_.has_value()) {
    return std::unexpected(*failure_);
  }
  return {};
}

Status OpensslEngine::established() const {
  RIG_TRY_STATUS(usable());
  if (!handshake_done_) {
    return refused(Code::invalid_state, "the handshake is not done");
  }
  return {};
}

std::unexpected<Error> OpensslEngine::fail(int ssl_error) {
  // A failed SSL counts as "in init" whatever it was at, so that is not asked here.
  return fail(
      connection_error(take_report(), {.ssl_error = ssl_error,
                                       .in_handshake = !handshake_done_ || SSL_renegotiate_pending(ssl_.get()) != 0,
                                       .psk = context_->psk() && !handshake_done_,
                                       .first_bytes = wire_.first_bytes(),
                                       .verify_result = SSL_get_verify_result(ssl_.get()),
                                       .host = host_}));
}

std::unexpected<Error> OpensslEngine::fail(const Error& error) {
  failure_ = error;
  return std::unexpected(error);
}

std::expected<Need, Error> OpensslEngine::outcome(int result) {
  const int ssl_error = SSL_get_error(ssl_.get(), result);
  if (hook_failure_.has_value()) {
    return fail(*hook_failure_);
  }
  switch (ssl_error) {
    case SSL_ERROR_NONE:
      return Need::nothing;
    case SSL_ERROR_WANT_READ:
      return Need::input;
    case SSL_ERROR_WANT_WRITE:
      return Need::room;
    default:
      return fail(ssl_error);
  }
}

// record_bytes_max is the most plaintext that fits into one record: less than the protocol's limit where the peers
// agreed on it (RFC 6066, 4).
std::size_t OpensslEngine::record_bytes_max() const noexcept {
  const std::uint8_t mode = SSL_SESSION_get_max_fragment_length(SSL_get0_session(ssl_.get()));
  return mode == TLSEXT_max_fragment_length_DISABLED ? std::size_t{SSL3_RT_MAX_PLAIN_LENGTH} : std::size_t{256} << mode;
}

Status OpensslEngine::yield_pending() {
  if (!writing()) {
    return {};
  }
  try {
    wire_.reserve_record();
  } catch (const std::bad_alloc&) {
    return fail(Error(Code::no_memory, "no memory to hold the rest of a record"));
  }
  wire_.take_whole(true);
  // The manual asks for the same bytes; these were encrypted with the first call, which held one record.
  door_waive_write(ssl_.get());
  std::size_t written = 0;
  const int result = SSL_write_ex(ssl_.get(), filler.data(), pending_, &written);
  RIG_TRY(need, outcome(result));
  RIG_CHECK(need == Need::nothing && written == pending_);
  yielded_ = true;
  return {};
}

// finish_key_update writes a KeyUpdate that was scheduled, without looking at the input.
std::expected<Need, Error> OpensslEngine::finish_key_update() {
  const bool reads = wire_.reads(false);
  const int result = SSL_do_handshake(ssl_.get());
  wire_.reads(reads);
  return outcome(result);
}

// settle writes what the library owes the peer without having been asked again: the answer to a KeyUpdate.
std::expected<Need, Error> OpensslEngine::settle() {
  if (!tls13() || close_started_ || writing()) {
    return Need::nothing;
  }
  if (!in_handshake()) {
    if (SSL_get_key_update_type(ssl_.get()) == SSL_KEY_UPDATE_NONE) {
      return Need::nothing;
    }
    if (SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
      return fail(SSL_ERROR_SSL);
    }
  }
  return finish_key_update();
}

std::expected<Need, Error> OpensslEngine::catch_up() {
  return start_due_ && !writing() && !wire_.within_record() ? start_renegotiation() : settle();
}

bool OpensslEngine::owes() const noexcept {
  if (pending_ > 0) {
    return false;  // the caller comes again with the write, and that brings out all
  }
  if (wire_.backlog() > 0) {
    return true;
  }
  return !close_started_ && (wire_.held_back() || (start_due_ && !wire_.within_record()) ||
                             (tls13() && SSL_get_key_update_type(ssl_.get()) != SSL_KEY_UPDATE_NONE));
}

// --- Verbs -----------------------------------------------------------------------------------------------------------

Status OpensslEngine::feed(ByteView cipher) {
  RIG_TRY_STATUS(usable());
  if (wire_.ended()) {
    return refused(Code::invalid_state, "bytes were fed after the end of the input");
  }
  if (clean_end_) {
    return {};  // nobody will ever look at it
  }
  try {
    wire_.feed(cipher);
  } catch (const std::bad_alloc&) {
    return fail(Error(Code::no_memory, "no memory to hold the bytes that arrived"));
  }
  return {};
}

std::expected<Need, Error> OpensslEngine::handshake(CipherOut& out) {
  RIG_TRY_STATUS(usable());
  if (handshake_done_) {
    return Need::nothing;
  }
  const Verb verb(*this, out, true);
  const int result = SSL_do_handshake(ssl_.get());
  RIG_TRY(need, outcome(result));
  handshake_done_ = need == Need::nothing;
  return need;
}

std::expected<WriteStep, Error> OpensslEngine::write(ByteView plain, CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (close_started_) {
    return refused(Code::invalid_state, "our direction was ended by close_notify");
  }
  if (plain.empty()) {
    return WriteStep{};  // the library would take a length of 0 for a failure
  }
  if (plain.size() < pending_) {
    return refused(Code::invalid_argument,
                   "a partly accepted write must be offered again with at least the same bytes");
  }
  const Verb verb(*this, out, false);
  WriteStep step;
  while (step.accepted < plain.size()) {
    const ByteView rest = plain.subspan(step.accepted);
    if (yielded_) {
      if (wire_.backlog() > 0) {
        step.need = Need::room;
        return step;
      }
      step.accepted += std::exchange(pending_, 0);
      yielded_ = false;
      continue;
    }
    if (!tls13() && in_handshake()) {
      if (clean_end_) {
        return refused(Code::handshake_failed, "the peer closed the connection within a renegotiation");
      }
      step.need = Need::input;  // only a read may drive a renegotiation
      return step;
    }
    // The same length again: a shorter retry is fatal, and a longer one would mix (both measured).
    const std::size_t chunk = pending_ > 0 ? pending_ : std::min(rest.size(), record_bytes_max());
    std::size_t written = 0;
    const int result = SSL_write_ex(ssl_.get(), rest.data(), chunk, &written);
    RIG_TRY(need, outcome(result));
    if (need != Need::nothing) {
      // A KeyUpdate that had to go first and did not fit leaves no record of ours behind.
      pending_ = in_handshake() ? 0 : chunk;
      step.need = need;
      return step;
    }
    pending_ = 0;
    step.accepted += written;
  }
  (void)catch_up();  // what was accepted must not be lost to an error behind it; the next verb answers that
  return step;
}

std::expected<ReadStep, Error> OpensslEngine::read(MutableBytes plain, CipherOut& out) {
  RIG_TRY_STATUS(established());
  if (plain.empty()) {
    return refused(Code::invalid_argument, "a read needs room for at least one byte");
  }
  const Verb verb(*this, out, true);
  if (clean_end_) {
    return ReadStep{.end = true};
  }
  RIG_TRY_STATUS(yield_pending());
  ReadStep step;
  const int result = SSL_read_ex(ssl_.get(), plain.data(), plain.size(), &step.bytes);
  if (result != 1 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_ZERO_RETURN) {
    clean_end_ = true;
    return ReadStep{.end = true};
  }
  RIG_TRY(need, outcome(result));
  step.need = need;
  const auto caught_up = catch_up();
  if (step.bytes > 0) {
    return step;  // what was delivered must not be lost to an error behind it; the next verb answers that
  }
  if (!caught_up.has_value()) {
    return std::unexpected(caught_up.error());
  }
  if (step.need == Need::input && owes()) {
    step.need = Need::room;
  }
  return step;
}

bool OpensslEngine::readable() const noexcept {
  // SSL_has_pending() would count a record that has arrived in part, and stay true for ever if the rest never comes.
  return handshake_done_ && !failure_.has_value() && !clean_end_ &&
         (wire_.unread() > 0 || SSL_pending(ssl_.get()) > 0 || owes());
}

std::expected<Need, Error> OpensslEngine::update_keys(CipherOut& out) {
  RIG_TRY_STATUS(established());
  const Verb verb(*this, out, false);
  if (!tls13()) {
    return refused(Code::unsupported, "TLS 1.2 has no key update");
  }
  if (pending_ > 0) {
    return refused(Code::invalid_state, "a write is only partly accepted; finish it first");
  }
  if (close_started_) {
    return refused(Code::invalid_state, "our direction was ended by close_notify");
  }
  if (!std::exchange(update_cut_, false)) {
    // An answer that is owed goes first: the library has room for one KeyUpdate, and ours would take its place.
    RIG_TRY(settled, settle());
    if (settled != Need::nothing) {
      return settled;
    }
    if (SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) != 1) {
      return fail(SSL_ERROR_SSL);
    }
    RIG_TRY_STATUS(finish_key_update());
  } else if (in_handshake()) {
    RIG_TRY_STATUS(finish_key_update());
  }
  update_cut_ = wire_.backlog() > 0 || wire_.held_back();
  return update_cut_ ? Need::room : Need::nothing;
}

std::expected<Need, Error> OpensslEngine::close_notify(CipherOut& out) {
  RIG_TRY_STATUS(established());
  const Verb verb(*this, out, false);
  if (pending_ > 0) {
    return refused(Code::invalid_state, "a write is only partly accepted; finish it first");
  }
  if (!tls13() && in_handshake()) {
    return refused(Code::invalid_state, "a renegotiation is under way; the library cannot close within one");
  }
  if (!close_started_) {
    RIG_TRY(settled, settle());
    if (settled != Need::nothing || wire_.backlog() > 0) {
      return Need::room;
    }
    // 0 says that ours is sent and the peer's has not come; it is no failure, and there is no error to ask for.
    const int result = SSL_shutdown(ssl_.get());
    if (result < 0) {
      RIG_TRY(need, outcome(result));
      return need;
    }
    close_started_ = true;
    wire_.shut();
  }
  return wire_.backlog() > 0 ? Need::room : Need::nothing;
}

Facts OpensslEngine::facts() const {
  Facts facts = facts_;
  facts.library = "openssl";
  try {
    facts.cipher = cipher_ == nullptr ? "" : cipher_;
    facts.alpn = alpn_.view();
    facts.server_name = server_name_.view();
  } catch (const std::bad_alloc&) {
    // The contract lets strings be empty then.
  }
  return facts;
}

std::expected<Bytes, Error> OpensslEngine::session() {
  RIG_TRY_STATUS(usable());
  if (!context_->client()) {
    return refused(Code::unsupported, "sessions are exported by the client's side");
  }
  const Ambient ambient;
  SSL_SESSION* const session = handshake_done_ ? SSL_get0_session(ssl_.get()) : nullptr;
  if (session == nullptr || !config().session_tickets || SSL_SESSION_is_resumable(session) == 0) {
    return Bytes();
  }
  const int size = i2d_SSL_SESSION(session, nullptr);
  if (size <= 0) {
    return fail(library_error(Code::no_memory, "exporting the session"));
  }
  try {
    Bytes exported(static_cast<std::size_t>(size));
    unsigned char* at = exported.data();
    RIG_CHECK(i2d_SSL_SESSION(session, &at) == size);
    return exported;
  } catch (const std::bad_alloc&) {
    return fail(Error(Code::no_memory, "no memory for the session"));
  }
}

}  // namespace rig::openssl
