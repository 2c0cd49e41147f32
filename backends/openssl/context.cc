#include "backends/openssl/context.h"

#include <algorithm>
#include <climits>
#include <new>
#include <string>
#include <utility>

#include "backends/openssl/callbacks.h"
#include "backends/openssl/engine.h"
#include "backends/openssl/errors.h"

namespace rig::openssl {
namespace {

// The TLS 1.2 suites for a pre-shared key, best first: what GnuTLS and mbedTLS have as well. Plain PSK with AES-128-GCM
// is the fastest handshake of all.
constexpr const char* psk_suites =
    "PSK-AES128-GCM-SHA256:ECDHE-PSK-CHACHA20-POLY1305:PSK-AES256-GCM-SHA384:PSK-CHACHA20-POLY1305:"
    "ECDHE-PSK-AES128-CBC-SHA256:PSK-AES128-CBC-SHA256";
// A key without a hash of its own belongs to SHA-256 in TLS 1.3 (RFC 8446, 4.2.11), so suites with another hash would
// not find it.
constexpr const char* psk_suites_13 = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

std::unexpected<Error> invalid(const char* why) {
  return std::unexpected(Error(Code::invalid_argument, why));
}

// no_password answers the library's question for a password: without it, the library would ask on the terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

// open_pem makes `pem` readable for the library. Owns: a view; `pem` must outlive it.
std::expected<Bio, Error> open_pem(const std::string& pem, const char* doing) {
  if (pem.size() > INT_MAX) {
    return std::unexpected(error_of(Code::invalid_argument, 0, "%s failed: it is too long", doing));
  }
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) {
    return std::unexpected(library_error(Code::no_memory, doing));
  }
  return bio;
}

// each_certificate hands every certificate in `pem` to `take`, which answers false if the library refused it. Anything
// unreadable among them is refused: a chain with a hole, or a missing trust anchor, would show much later as something
// else.
template <typename Take>
Status each_certificate(const std::string& pem, const char* doing, Take&& take) {
  RIG_TRY(bio, open_pem(pem, doing));
  for (unsigned count = 0;; ++count) {
    Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    if (certificate == nullptr) {
      const unsigned long last = ERR_peek_last_error();
      const bool end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
      if (end && count > 0) {
        ERR_clear_error();  // that is how the end of the text is told
        return {};
      }
      return std::unexpected(library_error(Code::invalid_argument, doing));
    }
    // The library reads the extensions at first use and keeps them in the certificate, which all engines share. Done
    // here it is done before there are threads.
    if (X509_check_purpose(certificate.get(), -1, 0) != 1 || !take(std::move(certificate), count)) {
      return std::unexpected(library_error(Code::invalid_argument, doing));
    }
  }
}

int version_number(TlsVersion version) {
  return version == TlsVersion::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

}  // namespace

OpensslContext::OpensslContext(const ContextConfig& config) : config_(config) {
  if (!config_.peer_check.has_value()) {
    config_.peer_check = config_.role == Role::client ? PeerCheck::verify : PeerCheck::none;
  }
}

OpensslContext::~OpensslContext() {
  const Ambient ambient;
  library_.reset();
}

std::expected<std::shared_ptr<const Context>, Error> OpensslContext::make(const ContextConfig& config) try {
  const Ambient ambient;
  auto context = std::make_shared<OpensslContext>(config);
  RIG_TRY_STATUS(context->check());
  RIG_TRY_STATUS(context->set_up());
  return context;
} catch (const std::bad_alloc&) {
  return std::unexpected(Error(Code::no_memory, "no memory for a context"));
}

std::expected<std::unique_ptr<TlsEngine>, Error> OpensslContext::make_engine(const EngineConfig& config) const {
  return OpensslEngine::make(shared_from_this(), config);
}

Status OpensslContext::check() const {
  if (config_.version_min == TlsVersion::none || config_.version_max < config_.version_min) {
    return invalid("the highest TLS version is below the lowest");
  }
  if (psk()) {
    const Psk& key = *config_.psk;
    if (key.key.empty() || key.identity.empty() || key.identity.find('\0') != std::string::npos) {
      return invalid("a pre-shared key needs an identity without NUL and at least one byte of key");
    }
    if (key.key.size() > PSK_MAX_PSK_LEN || key.identity.size() >= PSK_MAX_IDENTITY_LEN) {
      return std::unexpected(error_of(Code::unsupported, 0,
                                      "this OpenSSL takes pre-shared keys of up to %d bytes and identities of up to %d",
                                      PSK_MAX_PSK_LEN, PSK_MAX_IDENTITY_LEN - 1));
    }
  } else if (!client() && !config_.credentials.has_value()) {
    return invalid("a server needs a certificate with its key, or a pre-shared key");
  }
  if (client() && config_.peer_check == PeerCheck::optional) {
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

Status OpensslContext::set_up() {
  library_.reset(SSL_CTX_new(client() ? TLS_client_method() : TLS_server_method()));
  if (library_ == nullptr) {
    return std::unexpected(library_error(Code::internal, "making a context"));
  }
  RIG_TRY_STATUS(set_versions());
  set_options();
  RIG_TRY_STATUS(set_resumption());
  RIG_TRY_STATUS(set_alpn());
  if (psk()) {
    return set_psk();
  }
  RIG_TRY_STATUS(load_authorities());
  return load_credentials();
}

Status OpensslContext::set_versions() {
  if (SSL_CTX_set_min_proto_version(library_.get(), version_number(config_.version_min)) != 1 ||
      SSL_CTX_set_max_proto_version(library_.get(), version_number(config_.version_max)) != 1) {
    return std::unexpected(library_error(Code::unsupported, "choosing the TLS versions"));
  }
  return {};
}

void OpensslContext::set_options() {
  SSL_CTX* const library = library_.get();
  // With partial writes one call is one record; a moving buffer makes the retry a matter of the bytes and not of their
  // address. AUTO_RETRY, on by default, lets a read go on behind a handshake message.
  SSL_CTX_set_mode(library,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // Reading ahead would take bytes of the next record, and the wire could not say what the library waits for.
  SSL_CTX_set_read_ahead(library, 0);
  // A clean end and a truncation must never look alike, whatever the system's configuration says.
  SSL_CTX_clear_options(library, SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Since 3.0 a server refuses the client's renegotiation unless told otherwise.
  SSL_CTX_set_options(library,
                      config_.allow_renegotiation ? SSL_OP_ALLOW_CLIENT_RENEGOTIATION : SSL_OP_NO_RENEGOTIATION);
  set_callbacks(*this);
}

Status OpensslContext::set_resumption() {
  SSL_CTX* const library = library_.get();
  // Sessions live in tickets and in what session() exports; a cache would grow with every connection.
  SSL_CTX_set_session_cache_mode(library, SSL_SESS_CACHE_OFF);
  if (!config_.session_tickets) {
    SSL_CTX_set_options(library, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(library, 0);
  }
  // Without an id a server that asks for certificates fails on a client that resumes; with one, a client takes its own
  // external key in TLS 1.3 for a session of somebody else.
  static constexpr unsigned char id[] = {'t', 'l', 's', 'r', 'i', 'g'};
  if (!client() && SSL_CTX_set_session_id_context(library, id, sizeof(id)) != 1) {
    return std::unexpected(library_error(Code::internal, "naming the sessions"));
  }
  return {};
}

Status OpensslContext::set_alpn() {
  if (config_.alpn.empty() || !client()) {
    return {};
  }
  Bytes list;
  for (const std::string& protocol : config_.alpn) {
    list.push_back(static_cast<std::uint8_t>(protocol.size()));
    list.insert(list.end(), protocol.begin(), protocol.end());
  }
  if (list.size() > 65535) {
    return invalid("the ALPN protocols are longer than 65535 bytes");
  }
  // Of all functions this one answers 0 for success.
  if (SSL_CTX_set_alpn_protos(library_.get(), list.data(), static_cast<unsigned>(list.size())) != 0) {
    return std::unexpected(library_error(Code::no_memory, "offering the ALPN protocols"));
  }
  return {};
}

Status OpensslContext::set_psk() {
  if (SSL_CTX_set_cipher_list(library_.get(), psk_suites) != 1 ||
      SSL_CTX_set_ciphersuites(library_.get(), psk_suites_13) != 1) {
    return std::unexpected(library_error(Code::unsupported, "choosing suites for a pre-shared key"));
  }
  // A TLS 1.3 server may ignore the key and send a certificate: the verify callback refuses any.
  SSL_CTX_set_verify(library_.get(), client() ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  return {};
}

Status OpensslContext::load_authorities() {
  SSL_CTX* const library = library_.get();
  int mode = SSL_VERIFY_NONE;
  if (verifies()) {
    const bool required = !client() && config_.peer_check == PeerCheck::verify;
    mode = SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
  }
  SSL_CTX_set_verify(library, mode, verifies() ? on_certificate : nullptr);
  if (config_.ca_pem.empty()) {
    return {};
  }
  const bool announce = !client() && verifies();
  return each_certificate(config_.ca_pem, "reading the trust anchors", [&](Certificate certificate, unsigned) {
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(library), certificate.get()) == 1 &&
           (!announce || SSL_CTX_add_client_CA(library, certificate.get()) == 1);
  });
}

Status OpensslContext::load_credentials() {
  if (!config_.credentials.has_value()) {
    return {};
  }
  SSL_CTX* const library = library_.get();
  // X.509 is the only kind of certificate in this library: raw public keys (RFC 7250) came with 3.2.
  RIG_TRY_STATUS(each_certificate(
      config_.credentials->certificate_chain_pem, "reading the certificate chain",
      [library](Certificate certificate, unsigned index) {
        return (index == 0 ? SSL_CTX_use_certificate(library, certificate.get())
                           : static_cast<int>(SSL_CTX_add1_chain_cert(library, certificate.get()))) == 1;
      }));
  RIG_TRY(bio, open_pem(config_.credentials->private_key_pem, "reading the private key"));
  const PrivateKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (key == nullptr) {
    return std::unexpected(library_error(Code::invalid_argument, "reading the private key"));
  }
  if (SSL_CTX_use_PrivateKey(library, key.get()) != 1 || SSL_CTX_check_private_key(library) != 1) {
    return std::unexpected(library_error(Code::invalid_argument, "matching the private key and the certificate"));
  }
  return {};
}

}  // namespace rig::openssl
