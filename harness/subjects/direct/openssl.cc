// OpenSSL over SSL_set_fd: the library reads and writes the descriptor itself.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <new>
#include <utility>

#include "harness/base/owned.h"
#include "harness/subjects/direct/quiet_pipe.h"
#include "harness/subjects/direct/session.h"
#include "harness/subjects/direct/tcp.h"

namespace rig::direct {
namespace {

using SslContext = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Free<SSL_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

// The suites for a pre-shared key, of which every library has one. In TLS 1.3 a key belongs to SHA-256.
constexpr const char* psk_suites = "PSK-AES128-GCM-SHA256:PSK-AES128-CBC-SHA256";
constexpr const char* psk_suites_13 = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

// code_of is the class of a failure that the library reports in its queue.
Code code_of(unsigned long number, bool in_handshake) noexcept {
  const int reason = ERR_GET_REASON(number);
  if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
    return Code::peer_alert;
  }
  switch (reason) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return Code::truncated;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return Code::verification_failed;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_PSK_IDENTITY_NOT_FOUND:
    case SSL_R_BINDER_DOES_NOT_VERIFY:
    case SSL_R_DIGEST_CHECK_FAILED:
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
      return in_handshake ? Code::handshake_failed : Code::protocol;
    default:
      return Code::protocol;
  }
}

// take_error makes an Error of the queue, and empties it. The entry that says most is the first of the protocol's own,
// which need not be the first of all. Without a class of `doing` it is the entry's.
Error take_error(std::optional<Code> otherwise, const char* doing, bool in_handshake = false) noexcept {
  unsigned long telling = ERR_get_error();
  while (const unsigned long number = ERR_get_error()) {
    const bool told = ERR_GET_LIB(telling) == ERR_LIB_SSL || ERR_GET_REASON(telling) == ERR_R_MALLOC_FAILURE;
    telling = !told && ERR_GET_LIB(number) == ERR_LIB_SSL ? number : telling;
  }
  const char* const reason = ERR_reason_error_string(telling);
  const Code code = ERR_GET_REASON(telling) == ERR_R_MALLOC_FAILURE
                        ? Code::no_memory
                        : otherwise.value_or(code_of(telling, in_handshake));
  return error_of(code, static_cast<std::int64_t>(telling), "%s failed: %s", doing,
                  reason != nullptr ? reason : "the library gave no reason");
}

class OpensslSession final : public Session {
 public:
  OpensslSession(std::shared_ptr<const Context> context, Ssl ssl)
      : context_(std::move(context)), ssl_(std::move(ssl)) {}

  std::expected<Want, Error> handshake() noexcept override {
    return want_of(call([this] { return SSL_do_handshake(ssl_.get()); }));
  }
  std::expected<Moved, Error> read(MutableBytes storage) noexcept override {
    const int room = static_cast<int>(std::min<std::size_t>(storage.size(), INT_MAX));
    return call([&] { return SSL_read(ssl_.get(), storage.data(), room); }, true);
  }
  // The library wants the same buffer and the same length again after a want; nothing here loosens that.
  std::expected<Moved, Error> write(ByteView plain) noexcept override {
    const int size = static_cast<int>(std::min<std::size_t>(plain.size(), INT_MAX));
    return call([&] { return SSL_write(ssl_.get(), plain.data(), size); });
  }
  std::expected<Want, Error> close_notify() noexcept override {
    // 0 says that ours is out and the peer's has not come.
    return want_of(call([this] { return SSL_shutdown(ssl_.get()) < 0 ? -1 : 1; }));
  }
  Facts facts() const override;

 private:
  // call clears the queue before the library's function, for SSL_get_error() takes a stranger's entry for a failure of
  // this connection (nginx@9af7dc2b4), and asks what came of it before anything else can happen.
  template <typename Function>
  std::expected<Moved, Error> call(Function function, bool reads = false) noexcept {
    const QuietPipe quiet;
    ERR_clear_error();
    errno = 0;
    const int result = function();
    const int errno_value = errno;
    if (result > 0) {
      return Moved{.bytes = static_cast<std::size_t>(result)};
    }
    const int kind = SSL_get_error(ssl_.get(), result);
    // For these the library would come again as well (BIO_sock_non_fatal_error), and wait for a peer that is gone.
    const bool gone = errno_value == ENOTCONN || errno_value == EPROTO;
    if (!gone && (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)) {
      return Moved{.want = kind == SSL_ERROR_WANT_READ ? Want::read : Want::write};
    }
    if (kind == SSL_ERROR_ZERO_RETURN && reads) {
      return Moved{.end = true};
    }
    return std::unexpected(failure(gone && kind != SSL_ERROR_SSL ? SSL_ERROR_SYSCALL : kind, errno_value));
  }

  Error failure(int kind, int errno_value) const noexcept {
    // Behind the peer's close_notify the library calls whatever fails "zero return": only a read has met the end then.
    if (kind == SSL_ERROR_ZERO_RETURN && errno_value == 0) {
      return Error(Code::handshake_failed, "the peer closed the connection");
    }
    if (kind == SSL_ERROR_SYSCALL || kind == SSL_ERROR_ZERO_RETURN) {
      ERR_clear_error();
      // Without a number of the system's it is the end of the stream, not a reason to come again.
      return errno_value == 0 ? Error(Code::truncated, "the peer's stream ended without close_notify")
                              : system_error("connection", errno_value);
    }
    return take_error(std::nullopt, "the connection", SSL_is_init_finished(ssl_.get()) == 0);
  }

  const std::shared_ptr<const Context> context_;
  const Ssl ssl_;
};

class OpensslContext final : public Context {
 public:
  explicit OpensslContext(const Setup& setup)
      : Context(setup), library_(SSL_CTX_new(setup.server ? TLS_server_method() : TLS_client_method())) {}

  Status set_up();
  std::expected<std::unique_ptr<Session>, Error> make_session(NativeHandle handle,
                                                              const std::string& host) const override;

 private:
  bool set_versions();
  bool set_credentials();
  bool load_authorities();
  static unsigned on_client_psk(SSL* ssl, const char* hint, char* identity, unsigned identity_bytes, unsigned char* key,
                                unsigned key_bytes) noexcept;
  static unsigned on_server_psk(SSL* ssl, const char* identity, unsigned char* key, unsigned key_bytes) noexcept;

  const SslContext library_;
};

Facts OpensslSession::facts() const {
  const bool tls13 = SSL_version(ssl_.get()) == TLS1_3_VERSION;
  const SSL_CIPHER* const cipher = SSL_get_current_cipher(ssl_.get());
  // In TLS 1.3 an external key looks like a session that was resumed, and here no other session is.
  const bool psk = tls13 ? SSL_session_reused(ssl_.get()) == 1 : SSL_CIPHER_get_auth_nid(cipher) == NID_auth_psk;
  return {.tls_version = tls13 ? RIG_TLS_1_3 : RIG_TLS_1_2,
          .cipher = SSL_CIPHER_get_name(cipher),
          .psk = psk,
          .peer_verified = context_->setup().verifies() && SSL_get0_peer_certificate(ssl_.get()) != nullptr &&
                           SSL_get_verify_result(ssl_.get()) == X509_V_OK};
}

Status OpensslContext::set_up() {
  ERR_clear_error();
  if (library_ == nullptr || !set_versions() || !set_credentials() || !load_authorities()) {
    return std::unexpected(take_error(Code::invalid_argument, "making a context"));
  }
  // A clean end and a truncation must never look alike, whatever the system's configuration says.
  SSL_CTX_clear_options(library_.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_options(library_.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(library_.get(), 0);
  SSL_CTX_set_session_cache_mode(library_.get(), SSL_SESS_CACHE_OFF);
  return {};
}

bool OpensslContext::set_versions() {
  const auto number = [](std::uint32_t version) { return version == RIG_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION; };
  return SSL_CTX_set_min_proto_version(library_.get(), number(setup().tls_min)) == 1 &&
         SSL_CTX_set_max_proto_version(library_.get(), number(setup().tls_max)) == 1;
}

bool OpensslContext::set_credentials() {
  SSL_CTX* const library = library_.get();
  if (setup().has_key()) {
    SSL_CTX_set_app_data(library, this);
    SSL_CTX_set_psk_client_callback(library, setup().server ? nullptr : on_client_psk);
    SSL_CTX_set_psk_server_callback(library, setup().server ? on_server_psk : nullptr);
    // A TLS 1.3 server may ignore the key and send a certificate, which nothing here would trust.
    SSL_CTX_set_verify(library, setup().server ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
    return SSL_CTX_set_cipher_list(library, psk_suites) == 1 && SSL_CTX_set_ciphersuites(library, psk_suites_13) == 1;
  }
  if (setup().certificate_pem.empty()) {
    return !setup().server;
  }
  const Bio chain(BIO_new_mem_buf(setup().certificate_pem.data(), static_cast<int>(setup().certificate_pem.size())));
  const Bio secret(BIO_new_mem_buf(setup().private_key_pem.data(), static_cast<int>(setup().private_key_pem.size())));
  const Certificate leaf(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
  const PrivateKey key(PEM_read_bio_PrivateKey(secret.get(), nullptr, nullptr, nullptr));
  bool good = leaf != nullptr && key != nullptr && SSL_CTX_use_certificate(library, leaf.get()) == 1 &&
              SSL_CTX_use_PrivateKey(library, key.get()) == 1 && SSL_CTX_check_private_key(library) == 1;
  while (good) {
    const Certificate next(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) {
      break;
    }
    good = SSL_CTX_add1_chain_cert(library, next.get()) == 1;
  }
  ERR_clear_error();  // that is how the end of the chain is told
  return good;
}

bool OpensslContext::load_authorities() {
  if (!setup().verifies()) {
    return true;
  }
  SSL_CTX_set_verify(library_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  const Bio pem(BIO_new_mem_buf(setup().ca_pem.data(), static_cast<int>(setup().ca_pem.size())));
  for (int count = 0;; ++count) {
    const Certificate anchor(PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr));
    if (anchor == nullptr || X509_STORE_add_cert(SSL_CTX_get_cert_store(library_.get()), anchor.get()) != 1) {
      ERR_clear_error();
      return anchor == nullptr && count > 0;
    }
  }
}

unsigned OpensslContext::on_client_psk(SSL* ssl, const char*, char* identity, unsigned identity_bytes,
                                       unsigned char* key, unsigned key_bytes) noexcept {
  const Setup& setup = static_cast<OpensslContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->setup();
  if (setup.psk_identity.size() >= identity_bytes || setup.psk.size() > key_bytes) {
    return 0;
  }
  std::memcpy(identity, setup.psk_identity.c_str(), setup.psk_identity.size() + 1);
  std::memcpy(key, setup.psk.data(), setup.psk.size());
  return static_cast<unsigned>(setup.psk.size());
}

unsigned OpensslContext::on_server_psk(SSL* ssl, const char* identity, unsigned char* key,
                                       unsigned key_bytes) noexcept {
  const Setup& setup = static_cast<OpensslContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->setup();
  if (identity == nullptr || setup.psk_identity != identity || setup.psk.size() > key_bytes) {
    return 0;
  }
  std::memcpy(key, setup.psk.data(), setup.psk.size());
  return static_cast<unsigned>(setup.psk.size());
}

std::expected<std::unique_ptr<Session>, Error> OpensslContext::make_session(NativeHandle handle,
                                                                            const std::string& host) const {
  const bool named = !setup().server && setup().verifies();
  ERR_clear_error();
  Ssl ssl(SSL_new(library_.get()));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), number_of(handle)) != 1) {
    return std::unexpected(take_error(Code::internal, "making a connection"));
  }
  X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl.get());
  const bool name_set =
      !named || (is_address(host.c_str()) ? X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) == 1
                                          : X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size()) == 1 &&
                                                SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1);
  if (!name_set) {
    return std::unexpected(take_error(Code::invalid_argument, "taking the host's name"));
  }
  setup().server ? SSL_set_accept_state(ssl.get()) : SSL_set_connect_state(ssl.get());
  return std::make_unique<OpensslSession>(shared_from_this(), std::move(ssl));
}

std::expected<std::shared_ptr<const Context>, Error> make_context(const Setup& setup) {
  auto context = std::make_shared<OpensslContext>(setup);
  RIG_TRY_STATUS(context->set_up());
  return context;
}

}  // namespace

const Library& openssl_library() {
  static constexpr Library library{
      .name = "openssl",
      .capabilities = RIG_CAN_TLS12 | RIG_CAN_TLS13 | RIG_CAN_PSK | RIG_CAN_CERTIFICATES,
      .version = [] { return std::string("OpenSSL ") + OpenSSL_version(OPENSSL_FULL_VERSION_STRING); },
      .make_context = make_context};
  return library;
}

}  // namespace rig::direct
