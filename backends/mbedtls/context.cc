#include "backends/mbedtls/context.h"

#include <algorithm>
#include <new>
#include <utility>

#include "backends/mbedtls/engine.h"
#include "backends/mbedtls/errors.h"

namespace rig::mbedtls {
namespace {

// The suites for a pre-shared key, best first; TLS 1.3 takes such a key with SHA-256 only. For TLS 1.2 the library has
// no ECDHE-PSK suite with AES-GCM; plain PSK with AES-128-GCM is known to OpenSSL and GnuTLS as well, and is the
// fastest handshake of all.
constexpr int psk_suites[] = {
#if defined(MBEDTLS_TLS1_3_AES_128_GCM_SHA256)
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
    MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_PSK_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_PSK_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
    MBEDTLS_TLS_PSK_WITH_AES_128_CBC_SHA256,
    0,
};

// ticket_lifetime_s is how long a session can be taken up again. Units: seconds.
constexpr std::uint32_t ticket_lifetime_s = 86400;

std::unexpected<Error> invalid(const char* why) {
  return std::unexpected(Error(Code::invalid_argument, why));
}

Status seed(Drbg& drbg, Entropy& entropy) {
  static constexpr std::string_view label = "tlsrig";
  drbg.reset();
  const int code = mbedtls_ctr_drbg_seed(drbg.get(), mbedtls_entropy_func, entropy.get(),
                                         reinterpret_cast<const unsigned char*>(label.data()), label.size());
  if (code != 0) {
    return std::unexpected(library_error(Code::internal, "seeding the random generator", code));
  }
  return {};
}

// parse_certificates reads all of `pem`. A count of unreadable certificates is refused like none readable at all: a
// chain with a hole, or a missing trust anchor, would show much later as something else.
Status parse_certificates(Certificates& certificates, const std::string& pem, const char* doing) {
  const int code =
      mbedtls_x509_crt_parse(certificates.get(), reinterpret_cast<const unsigned char*>(pem.c_str()), pem.size() + 1);
  if (code > 0) {
    return std::unexpected(
        error_of(Code::invalid_argument, code, "%s failed: %d of the certificates cannot be read", doing, code));
  }
  if (code < 0) {
    return std::unexpected(library_error(Code::invalid_argument, doing, code));
  }
  return {};
}

// The library writes a ClientHello, and a ClientKeyExchange, into one record, and takes an identity that leaves no room
// there for the rest.
constexpr int identity_bytes_max = 15'000;

int auth_mode(const ContextConfig& config) {
  if (config.psk.has_value()) {
    return MBEDTLS_SSL_VERIFY_REQUIRED;  // no suite with a certificate is on offer; if one came, it would be refused
  }
  switch (*config.peer_check) {
    case PeerCheck::verify:
      return MBEDTLS_SSL_VERIFY_REQUIRED;
    case PeerCheck::optional:
      return MBEDTLS_SSL_VERIFY_OPTIONAL;  // the library would accept a bad chain; the engine's verify hook does not
    case PeerCheck::none:
      break;
  }
  return MBEDTLS_SSL_VERIFY_NONE;
}

}  // namespace

MbedtlsContext::MbedtlsContext(const ContextConfig& config) : config_(config) {
  if (!config_.peer_check.has_value()) {
    config_.peer_check = config_.role == Role::client ? PeerCheck::verify : PeerCheck::none;
  }
  for (const std::string& protocol : config_.alpn) {
    alpn_.push_back(protocol.c_str());
  }
  alpn_.push_back(nullptr);
}

MbedtlsContext::~MbedtlsContext() {
  // One by one: a long list would nest as deeply as it is long.
  while (spare_ != nullptr) {
    spare_ = std::move(spare_->next);
  }
}

std::expected<std::shared_ptr<const Context>, Error> MbedtlsContext::make(const ContextConfig& config) try {
  auto context = std::make_shared<MbedtlsContext>(config);
  RIG_TRY_STATUS(context->check());
  if (config.role == Role::server && config.session_tickets) {
    RIG_TRY_STATUS(context->set_up_resumption());
  }
  // The first engine's material is made here, so that what cannot be read is refused here.
  RIG_TRY(material, context->take_material());
  context->give_back(std::move(material));
  context->proven_ = true;
  return context;
} catch (const std::bad_alloc&) {
  return std::unexpected(Error(Code::no_memory, "no memory for a context"));
}

std::expected<std::unique_ptr<TlsEngine>, Error> MbedtlsContext::make_engine(const EngineConfig& config) const {
  return MbedtlsEngine::make(shared_from_this(), config);
}

Status MbedtlsContext::check() const {
  const bool server = config_.role == Role::server;
  if (config_.version_min == TlsVersion::tls13 && !has_tls13) {
    return std::unexpected(Error(Code::unsupported, "this mbedTLS has no TLS 1.3: TLS 1.2 is its highest version"));
  }
  if (config_.version_min == TlsVersion::none || config_.version_max < config_.version_min) {
    return invalid("the highest TLS version is below the lowest");
  }
  if (config_.psk.has_value()) {
    if (config_.psk->key.empty() || config_.psk->identity.empty()) {
      return invalid("a pre-shared key needs an identity and at least one byte of key");
    }
    if (config_.psk->key.size() > MBEDTLS_PSK_MAX_LEN || config_.psk->identity.size() > identity_bytes_max) {
      return std::unexpected(error_of(Code::unsupported, 0,
                                      "this mbedTLS takes pre-shared keys of up to %d bytes and identities of up to %d",
                                      static_cast<int>(MBEDTLS_PSK_MAX_LEN), identity_bytes_max));
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
  const bool bad_protocol = std::ranges::any_of(config_.alpn, [](const std::string& protocol) {
    return protocol.empty() || protocol.size() > 255 || protocol.find('\0') != std::string::npos;
  });
  return bad_protocol ? Status(invalid("an ALPN protocol must have 1 to 255 bytes and no NUL")) : Status();
}

Status MbedtlsContext::set_up_resumption() {
  MutexLock lock(resumption_mutex_);
  RIG_TRY_STATUS(seed(resumption_.drbg, resumption_.entropy));
  const int code = mbedtls_ssl_ticket_setup(resumption_.tickets.get(), mbedtls_ctr_drbg_random, resumption_.drbg.get(),
                                            MBEDTLS_CIPHER_AES_256_GCM, ticket_lifetime_s);
  if (code != 0) {
    return std::unexpected(library_error(Code::internal, "making the keys for session tickets", code));
  }
  return {};
}

Status MbedtlsContext::load(Material& material) const {
  if (config_.psk.has_value()) {
    return {};
  }
  if (!config_.ca_pem.empty()) {
    RIG_TRY_STATUS(parse_certificates(material.authorities, config_.ca_pem, "reading the trust anchors"));
  }
  if (!config_.credentials.has_value()) {
    return {};
  }
  RIG_TRY_STATUS(
      parse_certificates(material.chain, config_.credentials->certificate_chain_pem, "reading the certificate chain"));
  const std::string& key = config_.credentials->private_key_pem;
  int code = parse_key(material.key.get(), {reinterpret_cast<const unsigned char*>(key.c_str()), key.size() + 1},
                       material.drbg.get());
  if (code != 0) {
    return std::unexpected(library_error(Code::invalid_argument, "reading the private key", code));
  }
  code = check_pair(&material.chain->pk, material.key.get(), material.drbg.get());
  if (code != 0) {
    return std::unexpected(library_error(Code::invalid_argument, "matching the private key and the certificate", code));
  }
  return {};
}

Status MbedtlsContext::configure(Material& material) const {
  mbedtls_ssl_config* const config = material.config.get();
  int code =
      mbedtls_ssl_config_defaults(config, config_.role == Role::server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                  MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  if (code != 0) {
    return std::unexpected(library_error(Code::internal, "making a configuration", code));
  }
  configure_versions(config, config_.version_min, version_max());
  mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, material.drbg.get());
  configure_groups(config);
  mbedtls_ssl_conf_authmode(config, auth_mode(config_));
  mbedtls_ssl_conf_ca_chain(config, verifies() ? material.authorities.get() : nullptr, nullptr);
  if (config_.psk.has_value()) {
    mbedtls_ssl_conf_ciphersuites(config, psk_suites);
    const Psk& psk = *config_.psk;
    code = mbedtls_ssl_conf_psk(config, psk.key.data(), psk.key.size(),
                                reinterpret_cast<const unsigned char*>(psk.identity.data()), psk.identity.size());
    if (code != 0) {
      return std::unexpected(library_error(Code::invalid_argument, "taking the pre-shared key", code));
    }
  } else if (config_.credentials.has_value()) {
    code = mbedtls_ssl_conf_own_cert(config, material.chain.get(), material.key.get());
    if (code != 0) {
      return std::unexpected(library_error(Code::internal, "taking the certificate", code));
    }
  }
  if (!config_.alpn.empty()) {
    // The list must outlive the configuration, and is not written to.
    code = mbedtls_ssl_conf_alpn_protocols(config, const_cast<const char**>(alpn_.data()));
    if (code != 0) {
      return std::unexpected(library_error(Code::invalid_argument, "taking the ALPN protocols", code));
    }
  }
  mbedtls_ssl_conf_session_tickets(
      config, config_.session_tickets ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
  mbedtls_ssl_conf_renegotiation(
      config, config_.allow_renegotiation ? MBEDTLS_SSL_RENEGOTIATION_ENABLED : MBEDTLS_SSL_RENEGOTIATION_DISABLED);
  configure_tls13(config, config_.psk.has_value(), has_tls13_tickets());
  // By default a connection dies if 16 records arrive between a request for renegotiation and its answer. A peer that
  // has a full send queue is no peer that refuses.
  mbedtls_ssl_conf_renegotiation_enforced(config, MBEDTLS_SSL_RENEGOTIATION_NOT_ENFORCED);
  return {};
}

std::expected<std::unique_ptr<Material>, Error> MbedtlsContext::take_material() const {
  std::unique_ptr<Material> material;
  {
    MutexLock lock(spare_mutex_);
    if (spare_ != nullptr) {
      material = std::move(spare_);
      spare_ = std::move(material->next);
    }
  }
  const bool is_new = material == nullptr;
  if (is_new) {
    material.reset(new (std::nothrow) Material);
    if (material == nullptr) {
      return std::unexpected(Error(Code::no_memory, "no memory for an engine"));
    }
  }
  RIG_TRY_STATUS(seed(material->drbg, material->entropy));
  if (is_new) {
    Status ready = load(*material);
    if (ready.has_value()) {
      ready = configure(*material);
    }
    if (!ready.has_value()) {
      // 2.28 calls an allocation that fails while it reads a key "invalid key". What could be read once can be read.
      return std::unexpected(proven_ ? error_of(Code::no_memory, ready.error().number(), "no memory for an engine")
                                     : ready.error());
    }
  }
  return material;
}

void MbedtlsContext::give_back(std::unique_ptr<Material> material) const noexcept {
  MutexLock lock(spare_mutex_);
  material->next = std::move(spare_);
  spare_ = std::move(material);
}

int MbedtlsContext::write_ticket(const mbedtls_ssl_session* session, unsigned char* start, const unsigned char* end,
                                 size_t* bytes, uint32_t* lifetime) const noexcept {
  MutexLock lock(resumption_mutex_);
  return mbedtls_ssl_ticket_write(resumption_.tickets.get(), session, start, end, bytes, lifetime);
}

int MbedtlsContext::parse_ticket(mbedtls_ssl_session* session, unsigned char* ticket, size_t bytes) const noexcept {
  MutexLock lock(resumption_mutex_);
  return mbedtls_ssl_ticket_parse(resumption_.tickets.get(), session, ticket, bytes);
}

}  // namespace rig::mbedtls
