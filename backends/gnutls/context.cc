#include "backends/gnutls/context.h"

#include <gnutls/crypto.h>

#include <algorithm>
#include <new>
#include <string>

#include "backends/gnutls/callbacks.h"
#include "backends/gnutls/engine.h"
#include "backends/gnutls/errors.h"

namespace rig::gnutls {
namespace {

// The library's limits, which it reports as an invalid request only (lib/ext/alpn.h).
constexpr std::size_t alpn_protocols_max = 8;
constexpr std::size_t alpn_protocol_bytes_max = 31;

// The library takes a key and an identity of any length. The handshake counts a key in 16 bits (RFC 4279, 2), and an
// identity that leaves no room for the rest of a ClientHello fails there.
constexpr std::size_t key_bytes_max = 65'535;
constexpr std::size_t identity_bytes_max = 60'000;

// With a pre-shared key only suites whose hash is SHA-256 are on offer: an external key is bound to it under TLS 1.3.
// Plain PSK goes first, as the fastest handshake; AES-128-GCM is there for every peer.
constexpr const char* psk_priorities =
    ":+AES-128-GCM:+CHACHA20-POLY1305:+AEAD:+SHA256:+PSK:+ECDHE-PSK:+GROUP-ALL:+SIGN-ALL:+COMP-NULL";

std::unexpected<Error> invalid(const char* why) {
  return std::unexpected(Error(Code::invalid_argument, why));
}

// CertificateList owns certificates that were read from a text. The library's credentials could read them as well, but
// lose what came before one that cannot be read (gnutls_certificate_set_x509_trust_mem, ..._key_mem2).
class CertificateList {
 public:
  CertificateList() noexcept = default;
  ~CertificateList() {
    for (unsigned index = 0; index < count_; ++index) {
      gnutls_x509_crt_deinit(list_[index]);
    }
    gnutls_free(list_);
  }
  CertificateList(const CertificateList&) = delete;
  CertificateList& operator=(const CertificateList&) = delete;

  int read(const gnutls_datum_t& pem) noexcept {
    return gnutls_x509_crt_list_import2(&list_, &count_, &pem, GNUTLS_X509_FMT_PEM, 0);
  }
  gnutls_x509_crt_t* list() const noexcept { return list_; }
  int count() const noexcept { return static_cast<int>(count_); }

 private:
  gnutls_x509_crt_t* list_ = nullptr;
  unsigned count_ = 0;
};

gnutls_datum_t datum_of(ByteView bytes) noexcept {
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

gnutls_datum_t datum_of(const std::string& text) noexcept {
  return datum_of(as_bytes(text));
}

// allocate calls one of the library's "allocate" functions and gives what it made to `owner`.
template <typename Owner, typename Function>
Status allocate(Owner& owner, Function function, const char* doing) {
  typename Owner::pointer made = nullptr;
  const int code = function(&made);
  if (code < 0) {
    return std::unexpected(library_error(Code::internal, doing, code));
  }
  owner.reset(made);
  return {};
}

}  // namespace

GnutlsContext::GnutlsContext(const ContextConfig& config) : config_(config) {
  if (!config_.peer_check.has_value()) {
    config_.peer_check = config_.role == Role::client ? PeerCheck::verify : PeerCheck::none;
  }
}

std::expected<std::shared_ptr<const Context>, Error> GnutlsContext::make(const ContextConfig& config) try {
  auto context = std::make_shared<GnutlsContext>(config);
  RIG_TRY_STATUS(context->check());
  RIG_TRY_STATUS(context->load());
  return context;
} catch (const std::bad_alloc&) {
  return std::unexpected(Error(Code::no_memory, "no memory for a context"));
}

std::expected<std::unique_ptr<TlsEngine>, Error> GnutlsContext::make_engine(const EngineConfig& config) const {
  return GnutlsEngine::make(shared_from_this(), config);
}

Status GnutlsContext::check() const {
  const bool server = config_.role == Role::server;
  if (config_.version_min == TlsVersion::none || config_.version_max < config_.version_min) {
    return invalid("the highest TLS version is below the lowest");
  }
  if (config_.psk.has_value()) {
    if (config_.psk->key.empty() || config_.psk->identity.empty()) {
      return invalid("a pre-shared key needs an identity and at least one byte of key");
    }
    if (config_.psk->key.size() > key_bytes_max || config_.psk->identity.size() > identity_bytes_max) {
      return std::unexpected(error_of(Code::unsupported, 0,
                                      "pre-shared keys may have up to %zu bytes, and their identities up to %zu",
                                      key_bytes_max, identity_bytes_max));
    }
  } else if (server && !config_.credentials.has_value()) {
    return invalid("a server needs a certificate with its key, or a pre-shared key");
  }
  if (!server && config_.peer_check == PeerCheck::optional) {
    return invalid("a server's certificate is not optional: a client verifies it or checks nothing");
  }
  if (verifies() && config_.ca_pem.empty()) {
    return invalid("certificates are to be verified, but there are no trust anchors");
  }
  const auto bytes = [](const std::string& protocol) { return protocol.size(); };
  if (std::ranges::any_of(config_.alpn, [](const std::string& p) { return p.empty() || p.size() > 255; })) {
    return invalid("an ALPN protocol must have 1 to 255 bytes");
  }
  if (config_.alpn.size() > alpn_protocols_max ||
      std::ranges::any_of(config_.alpn, [](std::size_t size) { return size > alpn_protocol_bytes_max; }, bytes)) {
    return std::unexpected(error_of(Code::unsupported, 0, "this GnuTLS takes up to %zu ALPN protocols of %zu bytes",
                                    alpn_protocols_max, alpn_protocol_bytes_max));
  }
  return {};
}

Status GnutlsContext::load() {
  RIG_TRY_STATUS(load_priorities(priorities_, ""));
  RIG_TRY_STATUS(config_.psk.has_value() ? load_psk() : load_certificates());
  if (config_.role == Role::server && config_.session_tickets) {
    const int code = gnutls_session_ticket_key_generate(ticket_key_.get());
    if (code < 0) {
      return std::unexpected(library_error(Code::internal, "making the key for session tickets", code));
    }
    if (config_.allow_renegotiation) {
      return load_priorities(priorities_without_tickets_, ":%NO_TICKETS_TLS12");
    }
  }
  return {};
}

void GnutlsContext::forbid_tickets(gnutls_session_t session) const noexcept {
  if (priorities_without_tickets_) {
    gnutls_priority_set(session, priorities_without_tickets_.get());  // refuses empty ones only
  }
}

Status GnutlsContext::load_priorities(Priorities& priorities, const char* options) {
  std::string text = config_.psk.has_value() ? "NONE" : "NORMAL:-VERS-ALL";
  if (config_.version_max == TlsVersion::tls13) {
    text += ":+VERS-TLS1.3";
  }
  if (config_.version_min == TlsVersion::tls12) {
    text += ":+VERS-TLS1.2";
  }
  if (config_.psk.has_value()) {
    text += psk_priorities;
  }
  text += options;
  // The text is of our own making: what the library calls an invalid request is memory that it did not get.
  const auto make = [&text](gnutls_priority_t* made) {
    const int code = gnutls_priority_init2(made, text.c_str(), nullptr, 0);
    return code == GNUTLS_E_INVALID_REQUEST ? GNUTLS_E_MEMORY_ERROR : code;
  };
  return allocate(priorities, make, "setting the versions and cipher suites");
}

Status GnutlsContext::load_psk() {
  const gnutls_datum_t identity = datum_of(config_.psk->identity);
  const gnutls_datum_t key = datum_of(ByteView(config_.psk->key));
  if (config_.role == Role::server) {
    RIG_TRY_STATUS(
        allocate(psk_server_, gnutls_psk_allocate_server_credentials, "making credentials for a pre-shared key"));
    gnutls_psk_set_server_credentials_function2(psk_server_.get(), psk_of_identity);
    return {};
  }
  RIG_TRY_STATUS(
      allocate(psk_client_, gnutls_psk_allocate_client_credentials, "making credentials for a pre-shared key"));
  const int code = gnutls_psk_set_client_credentials2(psk_client_.get(), &identity, &key, GNUTLS_PSK_KEY_RAW);
  if (code < 0) {
    return std::unexpected(library_error(Code::internal, "taking the pre-shared key", code));
  }
  return {};
}

Status GnutlsContext::load_certificates() {
  RIG_TRY_STATUS(allocate(certificates_, gnutls_certificate_allocate_credentials, "making credentials"));
  gnutls_certificate_credentials_t const credentials = certificates_.get();
  if (!config_.ca_pem.empty()) {
    CertificateList anchors;
    int code = anchors.read(datum_of(config_.ca_pem));
    code = code < 0 ? code : gnutls_certificate_set_x509_trust(credentials, anchors.list(), anchors.count());
    if (code < 0) {
      return std::unexpected(library_error(Code::invalid_argument, "reading the trust anchors", code));
    }
    if (anchors.count() == 0) {
      return invalid("reading the trust anchors failed: there is no certificate among them");
    }
  }
  if (config_.credentials.has_value()) {
    const gnutls_datum_t chain = datum_of(config_.credentials->certificate_chain_pem);
    const gnutls_datum_t key = datum_of(config_.credentials->private_key_pem);
    CertificateList readable;
    int code = readable.read(chain);
    code = code < 0 ? code
                    : gnutls_certificate_set_x509_key_mem2(credentials, &chain, &key, GNUTLS_X509_FMT_PEM, nullptr, 0);
    if (code < 0) {
      return std::unexpected(library_error(Code::invalid_argument, "reading the certificate and its key", code));
    }
  }
  if (verifies()) {
    gnutls_certificate_set_verify_function(credentials, verify_peer);
  }
  return {};
}

Status GnutlsContext::set_alpn(gnutls_session_t session) const {
  std::array<gnutls_datum_t, alpn_protocols_max> protocols{};
  std::ranges::transform(config_.alpn, protocols.begin(), [](const std::string& p) { return datum_of(p); });
  // MANDATORY: a server that finds no protocol in common says so with an alert. A client has no such choice.
  const unsigned flags = config_.role == Role::server ? GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE : 0;
  const int code =
      gnutls_alpn_set_protocols(session, protocols.data(), static_cast<unsigned>(config_.alpn.size()), flags);
  if (code < 0) {
    return std::unexpected(library_error(Code::internal, "taking the ALPN protocols", code));
  }
  return {};
}

Status GnutlsContext::prepare(gnutls_session_t session) const {
  int code = gnutls_priority_set(session, priorities_.get());
  if (code >= 0) {
    code = psk_server_   ? gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk_server_.get())
           : psk_client_ ? gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk_client_.get())
                         : gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, certificates_.get());
  }
  if (code >= 0 && ticket_key_->size > 0) {
    code = gnutls_session_ticket_enable_server(session, ticket_key_.get());
  }
  if (code < 0) {
    return std::unexpected(library_error(Code::internal, "preparing a connection", code));
  }
  if (config_.role == Role::server && verifies()) {
    gnutls_certificate_server_set_request(
        session, config_.peer_check == PeerCheck::verify ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_REQUEST);
  }
  return config_.alpn.empty() ? Status() : set_alpn(session);
}

std::expected<Fingerprint, Error> GnutlsContext::fingerprint(std::string_view host) const try {
  std::string text = config_.psk.has_value() ? "psk" : verifies() ? "verified by " + config_.ca_pem : "unverified";
  text += '\0';
  text += host;
  Fingerprint digest{};
  const int code = gnutls_hash_fast(GNUTLS_DIG_SHA256, text.data(), text.size(), digest.data());
  if (code < 0) {
    return std::unexpected(library_error(Code::internal, "digesting what is checked of a peer", code));
  }
  return digest;
} catch (const std::bad_alloc&) {
  return std::unexpected(Error(Code::no_memory, "no memory for a session"));
}

}  // namespace rig::gnutls
