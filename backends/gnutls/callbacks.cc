#include "backends/gnutls/callbacks.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>
#include <string_view>

#include "backends/gnutls/engine.h"
#include "backends/gnutls/errors.h"
#include "backends/gnutls/verify.h"

namespace rig::gnutls {
namespace {

GnutlsEngine& engine_of(gnutls_session_t session) noexcept {
  return *static_cast<GnutlsEngine*>(gnutls_session_get_ptr(session));
}

ByteView view(const gnutls_datum_t& datum) noexcept {
  return {datum.data, datum.size};
}

void append_hex(std::string& line, ByteView bytes) {
  constexpr char digits[] = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    line += digits[byte >> 4];
    line += digits[byte & 15];
  }
}

}  // namespace

struct GnutlsEngine::Hooks {
  static ssize_t push(gnutls_transport_ptr_t engine, const giovec_t* pieces, int count) noexcept {
    return static_cast<GnutlsEngine*>(engine)->on_push(pieces, count);
  }

  static ssize_t pull(gnutls_transport_ptr_t engine, void* room, size_t bytes) noexcept {
    return static_cast<GnutlsEngine*>(engine)->on_pull({static_cast<std::uint8_t*>(room), bytes});
  }

  // pull_timeout would wait; there is nothing to wait for, and in non-blocking mode the library does not ask.
  static int pull_timeout(gnutls_transport_ptr_t engine, unsigned) noexcept {
    const Input& input = static_cast<GnutlsEngine*>(engine)->input_;
    return input.unread() > 0 || input.ended() ? 1 : 0;
  }

  static int secret(gnutls_session_t session, const char* label, const gnutls_datum_t* secret) noexcept {
    return engine_of(session).on_secret(label, view(*secret));
  }

  static int client_hello(gnutls_session_t session, unsigned, unsigned, unsigned incoming,
                          const gnutls_datum_t* message) noexcept {
    if (incoming != 0) {
      engine_of(session).on_client_hello(*message);
    }
    return 0;
  }

  // ticket_extension notes a ticket, as opposed to the mere wish for one.
  static int ticket_extension(void* found, unsigned type, const unsigned char*, unsigned bytes) noexcept {
    constexpr unsigned session_ticket = 35;
    *static_cast<bool*>(found) |= type == session_ticket && bytes > 0;
    return 0;
  }

  static int key_update(gnutls_session_t session, unsigned, unsigned when, unsigned incoming,
                        const gnutls_datum_t* message) noexcept {
    engine_of(session).on_key_update(when == GNUTLS_HOOK_PRE, incoming != 0, *message);
    return 0;
  }
};

void set_callbacks(gnutls_session_t session, GnutlsEngine& engine) {
  gnutls_session_set_ptr(session, &engine);
  gnutls_transport_set_ptr(session, &engine);
  gnutls_transport_set_vec_push_function(session, GnutlsEngine::Hooks::push);
  gnutls_transport_set_pull_function(session, GnutlsEngine::Hooks::pull);
  gnutls_transport_set_pull_timeout_function(session, GnutlsEngine::Hooks::pull_timeout);
  if (engine.context_->config().key_log) {
    gnutls_session_set_keylog_function(session, GnutlsEngine::Hooks::secret);
  }
}

void set_message_hook(GnutlsEngine& engine) {
  gnutls_session_t const session = engine.session_.get();
  if (engine.facts_.version == TlsVersion::tls13) {
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_KEY_UPDATE, GNUTLS_HOOK_BOTH,
                                       GnutlsEngine::Hooks::key_update);
  } else {
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE,
                                       GnutlsEngine::Hooks::client_hello);
  }
}

int verify_peer(gnutls_session_t session) noexcept {
  return engine_of(session).on_certificate();
}

int psk_of_identity(gnutls_session_t session, const gnutls_datum_t* identity, gnutls_datum_t* key) noexcept {
  return engine_of(session).on_identity(view(*identity), *key);
}

ssize_t GnutlsEngine::on_push(const giovec_t* pieces, int count) noexcept {
  std::size_t taken = 0;
  for (int i = 0; i < count; ++i) {
    const ByteView piece(static_cast<const std::uint8_t*>(pieces[i].iov_base), pieces[i].iov_len);
    const std::size_t appended = out_->append(piece);
    taken += appended;
    if (appended < piece.size()) {
      break;
    }
  }
  if (taken == 0) {
    gnutls_transport_set_errno(session_.get(), EAGAIN);
    return -1;
  }
  return static_cast<ssize_t>(taken);
}

ssize_t GnutlsEngine::on_pull(MutableBytes room) noexcept {
  const Input::Pull pulled = input_.pull(room, intake_);
  if (pulled.bytes > 0) {
    return static_cast<ssize_t>(pulled.bytes);
  }
  if (pulled.end) {
    end_seen_ = true;
    return 0;
  }
  starved_ = true;
  gnutls_transport_set_errno(session_.get(), EAGAIN);
  return -1;
}

int GnutlsEngine::on_certificate() noexcept {
  const auto refuse = [this](gnutls_alert_description_t alert, const Error& error) {
    hook_failure_ = error;
    hook_alert_ = alert;
    return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
  };
  unsigned count = 0;
  const gnutls_datum_t* const chain = gnutls_certificate_get_peers(session_.get(), &count);
  if (count == 0 && context_->config().peer_check == PeerCheck::optional) {
    return 0;  // the library asks also where nothing came
  }
  // A raw public key has no name and no chain that could be verified.
  if (gnutls_certificate_type_get2(session_.get(), GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_X509) {
    return refuse(GNUTLS_A_UNSUPPORTED_CERTIFICATE,
                  Error(Code::verification_failed, "the peer's certificate is not an X.509 certificate"));
  }
  gnutls_typed_vdata_st purpose{};
  purpose.type = GNUTLS_DT_KEY_PURPOSE_OID;
  const char* const oid = client() ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
  purpose.data = reinterpret_cast<unsigned char*>(const_cast<char*>(oid));
  unsigned status = 0;
  int code = gnutls_certificate_verify_peers(session_.get(), &purpose, 1, &status);
  if (code < 0) {
    return refuse(GNUTLS_A_BAD_CERTIFICATE,
                  library_error(Code::verification_failed, "verifying the peer's certificate", code));
  }
  if (status != 0) {
    Datum why;
    gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, why.get(), 0);
    const gnutls_alert_description_t alert = (status & GNUTLS_CERT_SIGNER_NOT_FOUND) != 0 ? GNUTLS_A_UNKNOWN_CA
                                             : (status & GNUTLS_CERT_EXPIRED) != 0        ? GNUTLS_A_CERTIFICATE_EXPIRED
                                                                                          : GNUTLS_A_BAD_CERTIFICATE;
    std::string_view words(reinterpret_cast<const char*>(why->data), why->size);
    words = words.substr(0, words.find_last_not_of(std::string_view(" \n\0", 3)) + 1);
    return refuse(alert, error_of(Code::verification_failed, status, "the peer's certificate was not accepted: %.*s",
                                  static_cast<int>(words.size()), words.data()));
  }
  if (client()) {
    gnutls_x509_crt_t leaf = nullptr;
    code = gnutls_x509_crt_init(&leaf);
    const Certificate owned(leaf);
    code = code < 0 ? code : gnutls_x509_crt_import(leaf, chain, GNUTLS_X509_FMT_DER);
    if (code < 0) {
      return refuse(GNUTLS_A_INTERNAL_ERROR,
                    library_error(Code::verification_failed, "reading the peer's certificate", code));
    }
    if (!certificate_names(leaf, host_)) {
      return refuse(GNUTLS_A_BAD_CERTIFICATE, error_of(Code::verification_failed, GNUTLS_CERT_UNEXPECTED_OWNER,
                                                       "the peer's certificate is not issued to '%s'", host_.c_str()));
    }
  }
  verified_ = true;
  return 0;
}

int GnutlsEngine::on_identity(ByteView identity, gnutls_datum_t& key) noexcept {
  const Psk& psk = *context_->config().psk;
  if (!std::ranges::equal(identity, as_bytes(psk.identity))) {
    hook_failure_ = Error(Code::handshake_failed, "the client's pre-shared key identity is not known here");
    return -1;
  }
  key.data = static_cast<unsigned char*>(gnutls_malloc(psk.key.size()));  // the library frees it
  if (key.data == nullptr) {
    hook_failure_ = Error(Code::no_memory, "no memory for the pre-shared key");
    return -1;
  }
  key.size = static_cast<unsigned>(psk.key.size());
  std::ranges::copy(psk.key, key.data);
  return 0;
}

// A failure within the first handshake is told when that comes back: a server of GnuTLS 3.7 that cannot log the early
// secrets of a pre-shared key frees the key twice (reports/findings/0041).
int GnutlsEngine::on_secret(const char* label, ByteView secret) noexcept {
  if (hook_failure_.has_value()) {
    return handshake_done_ ? -1 : 0;
  }
  try {
    gnutls_datum_t client_random{};
    gnutls_session_get_random(session_.get(), &client_random, nullptr);
    std::string line = label;
    line += ' ';
    append_hex(line, view(client_random));
    line += ' ';
    append_hex(line, secret);
    context_->config().key_log(line);
    return 0;
  } catch (const std::bad_alloc&) {
    hook_failure_ = Error(Code::no_memory, "no memory for a line of the key log");
  } catch (...) {
    hook_failure_ = Error(Code::internal, "the key log threw an exception");
  }
  hook_alert_ = GNUTLS_A_INTERNAL_ERROR;
  return handshake_done_ ? -1 : 0;
}

void GnutlsEngine::on_client_hello(const gnutls_datum_t& message) noexcept {
  // An OpenSSL client that is asked to renegotiate resumes its session. The library remembers that the first handshake
  // made a ticket, tries to make one again amid this one, and fails; without tickets it makes a full handshake of it.
  // Tickets are not taken away earlier, because a GnuTLS client remembers likewise, and waits for another one.
  bool resumes = false;
  gnutls_ext_raw_parse(&resumes, Hooks::ticket_extension, &message, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
  if (resumes) {
    context_->forbid_tickets(session_.get());
  }
}

void GnutlsEngine::on_key_update(bool before, bool incoming, const gnutls_datum_t& message) noexcept {
  if (!before) {
    ++(incoming ? facts_.key_updates_in : facts_.key_updates_out);
    return;
  }
  if (!incoming) {
    return;
  }
  // A request is shown to the library as one that wants no answer, and the engine answers itself, for
  // the library's own answer goes wrong in two ways. If it comes between a record that was cut and its retry, the retry
  // sends the data a second time. And if two requests cross in flight, where each side must answer (RFC 8446, section
  // 4.6.3), the library takes the peer's for a wrong answer to its own and ends the connection.
  if (message.size == 1 && message.data[0] == GNUTLS_KU_PEER) {
    message.data[0] = 0;
    answer_due_ = !close_started_;
  }
}

}  // namespace rig::gnutls
