// mbedTLS over callbacks of our own, which read and write the descriptor.
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "harness/base/owned.h"
#include "harness/subjects/direct/session.h"
#include "harness/subjects/direct/tcp.h"

namespace rig::direct {
namespace {

using Entropy = InPlace<mbedtls_entropy_context, mbedtls_entropy_init, mbedtls_entropy_free>;
using Drbg = InPlace<mbedtls_ctr_drbg_context, mbedtls_ctr_drbg_init, mbedtls_ctr_drbg_free>;
using Certificates = InPlace<mbedtls_x509_crt, mbedtls_x509_crt_init, mbedtls_x509_crt_free>;
using PrivateKey = InPlace<mbedtls_pk_context, mbedtls_pk_init, mbedtls_pk_free>;
using Config = InPlace<mbedtls_ssl_config, mbedtls_ssl_config_init, mbedtls_ssl_config_free>;
using Ssl = InPlace<mbedtls_ssl_context, mbedtls_ssl_init, mbedtls_ssl_free>;

// What follows is all that depends on the version of the library: configure_version() says what may be negotiated, with
// the cheapest curve first (the list that 2.28 has by itself begins with the largest, and a server takes its own
// first).
#if MBEDTLS_VERSION_NUMBER >= 0x03000000

constexpr bool has_tls13 = true;
constexpr int bad_certificate = MBEDTLS_ERR_SSL_BAD_CERTIFICATE;
constexpr int unreadable_hello = MBEDTLS_ERR_SSL_DECODE_ERROR;

// The suites for a pre-shared key, of which every library has one for each version.
constexpr int psk_suites[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256, MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256,
                              MBEDTLS_TLS_PSK_WITH_AES_128_CBC_SHA256, 0};

// TLS 1.3 is done over PSA. Once it has started this does nothing.
int use_library() {
  return psa_crypto_init();
}

int parse_key(mbedtls_pk_context* key, ByteView pem, mbedtls_ctr_drbg_context* random) {
  return mbedtls_pk_parse_key(key, pem.data(), pem.size(), nullptr, 0, mbedtls_ctr_drbg_random, random);
}

void configure_version(mbedtls_ssl_config* config, std::uint32_t min, std::uint32_t max, bool psk) {
  static constexpr std::uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                             MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1,
                                             MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
  const auto number = [](std::uint32_t version) {
    return version == RIG_TLS_1_3 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2;
  };
  mbedtls_ssl_conf_min_tls_version(config, number(min));
  mbedtls_ssl_conf_max_tls_version(config, number(max));
  mbedtls_ssl_conf_groups(config, groups);
  mbedtls_ssl_conf_tls13_key_exchange_modes(config, psk ? MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL
                                                        : MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
}

std::uint32_t version_of(const mbedtls_ssl_context* ssl) {
  return mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_3 ? RIG_TLS_1_3 : RIG_TLS_1_2;
}

#else

constexpr bool has_tls13 = false;
constexpr int bad_certificate = MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE;
constexpr int unreadable_hello = MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO;
constexpr int psk_suites[] = {MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_PSK_WITH_AES_128_CBC_SHA256, 0};

int use_library() {
  return 0;
}

int parse_key(mbedtls_pk_context* key, ByteView pem, mbedtls_ctr_drbg_context*) {
  return mbedtls_pk_parse_key(key, pem.data(), pem.size(), nullptr, 0);
}

void configure_version(mbedtls_ssl_config* config, std::uint32_t, std::uint32_t, bool) {
  static constexpr mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
                                                    MBEDTLS_ECP_DP_SECP521R1, MBEDTLS_ECP_DP_NONE};
  mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
  mbedtls_ssl_conf_curves(config, curves);
}

std::uint32_t version_of(const mbedtls_ssl_context*) {
  return RIG_TLS_1_2;
}

#endif

// system_failed is what a callback answers when the system refused; its number is kept in the session.
constexpr int system_failed = MBEDTLS_ERR_ERROR_GENERIC_ERROR;

Error library_error(Code otherwise, const char* doing, int code) noexcept {
  std::array<char, 128> reason{};
  mbedtls_strerror(code, reason.data(), reason.size());
  const bool no_memory = code == MBEDTLS_ERR_SSL_ALLOC_FAILED || code == MBEDTLS_ERR_X509_ALLOC_FAILED;
  return error_of(no_memory ? Code::no_memory : otherwise, code, "%s failed: %s", doing, reason.data());
}

// code_of is the class of a failure of a connection.
Code code_of(int code, bool in_handshake) noexcept {
  switch (code) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
      return Code::peer_alert;
    case MBEDTLS_ERR_SSL_CONN_EOF:
      return Code::truncated;
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
    case bad_certificate:
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
    case MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED:
      return Code::verification_failed;
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
    case MBEDTLS_ERR_SSL_UNEXPECTED_RECORD:
    case unreadable_hello:
      return Code::protocol;
    default:
      return in_handshake ? Code::handshake_failed : Code::protocol;
  }
}

class MbedtlsContext final : public Context {
 public:
  using Context::Context;

  std::expected<std::unique_ptr<Session>, Error> make_session(NativeHandle handle,
                                                              const std::string& host) const override;
};

// MbedtlsSession has keys, certificates and a random generator of its own: the library's key operations change what
// they work on, so that sessions of two threads cannot share them.
class MbedtlsSession final : public Session {
 public:
  MbedtlsSession(std::shared_ptr<const Context> context, NativeHandle handle)
      : context_(std::move(context)), handle_(handle) {}

  Status set_up(const std::string& host);

  std::expected<Want, Error> handshake() noexcept override {
    const auto want = want_of(call([this] { return mbedtls_ssl_handshake(ssl_.get()); }));
    handshake_done_ = want.has_value() && *want == Want::nothing;
    return want;
  }
  std::expected<Moved, Error> read(MutableBytes storage) noexcept override {
    const auto moved = call([&] { return mbedtls_ssl_read(ssl_.get(), storage.data(), storage.size()); });
    if (moved.has_value() && moved->want == Want::nothing && moved->bytes == 0 && !moved->end) {
      // 0 is the end of the stream; the clean end has a code of its own.
      return std::unexpected(Error(Code::truncated, "the peer's stream ended without close_notify"));
    }
    return moved;
  }
  // After a want the library sends the record that it holds, and believes the length that it is given.
  std::expected<Moved, Error> write(ByteView plain) noexcept override {
    return call([&] { return mbedtls_ssl_write(ssl_.get(), plain.data(), plain.size()); });
  }
  std::expected<Want, Error> close_notify() noexcept override {
    return want_of(call([this] { return mbedtls_ssl_close_notify(ssl_.get()); }));
  }
  Facts facts() const override;

 private:
  static int on_send(void* self, const unsigned char* bytes, size_t size) noexcept;
  static int on_receive(void* self, unsigned char* bytes, size_t size) noexcept;

  const Setup& setup() const noexcept { return context_->setup(); }
  int load_credentials();
  int configure();

  template <typename Function>
  std::expected<Moved, Error> call(Function function) noexcept {
    const int code = function();
    if (code >= 0) {
      return Moved{.bytes = static_cast<std::size_t>(code)};
    }
    switch (code) {
      case MBEDTLS_ERR_SSL_WANT_READ:
        return Moved{.want = Want::read};
      case MBEDTLS_ERR_SSL_WANT_WRITE:
        return Moved{.want = Want::write};
      case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return handshake_done_ ? std::expected<Moved, Error>(Moved{.end = true})
                               : std::unexpected(Error(Code::handshake_failed, "the peer closed during the handshake"));
      case system_failed:
        return std::unexpected(system_error("connection", errno_));
      default:
        return std::unexpected(library_error(code_of(code, !handshake_done_), "the connection", code));
    }
  }

  const std::shared_ptr<const Context> context_;
  const NativeHandle handle_;
  Entropy entropy_;
  Drbg drbg_;
  Certificates authorities_;
  Certificates chain_;
  PrivateKey key_;
  Config config_;
  Ssl ssl_;  // freed first
  bool handshake_done_ = false;
  int errno_ = 0;  // of the callback that failed
};

int MbedtlsSession::on_send(void* self, const unsigned char* bytes, size_t size) noexcept {
  auto& session = *static_cast<MbedtlsSession*>(self);
  for (;;) {
    const ssize_t sent = ::send(number_of(session.handle_), bytes, size, MSG_NOSIGNAL);
    if (sent >= 0) {
      return static_cast<int>(sent);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    if (errno != EINTR) {
      session.errno_ = errno;
      return system_failed;
    }
  }
}

int MbedtlsSession::on_receive(void* self, unsigned char* bytes, size_t size) noexcept {
  auto& session = *static_cast<MbedtlsSession*>(self);
  for (;;) {
    const ssize_t received = ::recv(number_of(session.handle_), bytes, size, 0);
    if (received >= 0) {
      return static_cast<int>(received);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return MBEDTLS_ERR_SSL_WANT_READ;
    }
    if (errno != EINTR) {
      session.errno_ = errno;
      return system_failed;
    }
  }
}

Status MbedtlsSession::set_up(const std::string& host) {
  int code = mbedtls_ctr_drbg_seed(drbg_.get(), mbedtls_entropy_func, entropy_.get(), nullptr, 0);
  if (code == 0) {
    code = load_credentials();
  }
  if (code == 0) {
    code = configure();
  }
  if (code == 0) {
    code = mbedtls_ssl_setup(ssl_.get(), config_.get());
  }
  // Without a host the library would check no name at all.
  if (code == 0 && !setup().server && setup().verifies()) {
    code = mbedtls_ssl_set_hostname(ssl_.get(), host.c_str());
  }
  if (code != 0) {
    return std::unexpected(library_error(Code::invalid_argument, "making a connection", code));
  }
  mbedtls_ssl_set_bio(ssl_.get(), this, on_send, on_receive, nullptr);
  return {};
}

// A text for the library's parsers ends behind its NUL.
int MbedtlsSession::load_credentials() {
  const auto text = [](const std::string& pem) { return reinterpret_cast<const unsigned char*>(pem.c_str()); };
  int code = 0;
  if (setup().verifies()) {
    code = mbedtls_x509_crt_parse(authorities_.get(), text(setup().ca_pem), setup().ca_pem.size() + 1);
  }
  if (code == 0 && !setup().certificate_pem.empty()) {
    code = mbedtls_x509_crt_parse(chain_.get(), text(setup().certificate_pem), setup().certificate_pem.size() + 1);
    if (code == 0) {
      code = parse_key(key_.get(), {text(setup().private_key_pem), setup().private_key_pem.size() + 1}, drbg_.get());
    }
  }
  return code;
}

int MbedtlsSession::configure() {
  mbedtls_ssl_config* const config = config_.get();
  int code = mbedtls_ssl_config_defaults(config, setup().server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  if (code != 0) {
    return code;
  }
  configure_version(config, setup().tls_min, setup().tls_max, setup().has_key());
  mbedtls_ssl_conf_rng(config, mbedtls_ctr_drbg_random, drbg_.get());
  mbedtls_ssl_conf_authmode(config, setup().verifies() ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
  mbedtls_ssl_conf_ca_chain(config, authorities_.get(), nullptr);
  if (setup().has_key()) {
    const ByteView identity = as_bytes(setup().psk_identity);
    mbedtls_ssl_conf_ciphersuites(config, psk_suites);
    return mbedtls_ssl_conf_psk(config, setup().psk.data(), setup().psk.size(), identity.data(), identity.size());
  }
  return setup().certificate_pem.empty() ? 0 : mbedtls_ssl_conf_own_cert(config, chain_.get(), key_.get());
}

Facts MbedtlsSession::facts() const {
  const mbedtls_ssl_context* const ssl = ssl_.get();
  return {.tls_version = version_of(ssl),
          .cipher = mbedtls_ssl_get_ciphersuite(ssl),
          .psk = setup().has_key(),  // no other suite was on offer
          .peer_verified = setup().verifies() && mbedtls_ssl_get_peer_cert(ssl) != nullptr &&
                           mbedtls_ssl_get_verify_result(ssl) == 0};
}

std::expected<std::unique_ptr<Session>, Error> MbedtlsContext::make_session(NativeHandle handle,
                                                                            const std::string& host) const {
  auto session = std::make_unique<MbedtlsSession>(shared_from_this(), handle);
  RIG_TRY_STATUS(session->set_up(host));
  return session;
}

std::expected<std::shared_ptr<const Context>, Error> make_context(const Setup& setup) {
  if (setup.tls_min != RIG_TLS_1_2 && !has_tls13) {
    return std::unexpected(Error(Code::unsupported, "this mbedTLS has TLS 1.2 and no other version"));
  }
  if (const int code = use_library(); code != 0) {
    return std::unexpected(error_of(Code::internal, code, "mbedTLS has not started its cryptography (%d)", code));
  }
  return std::make_shared<MbedtlsContext>(setup);
}

std::string version() {
  std::array<char, 18> text{};  // the size that the library asks for
  mbedtls_version_get_string_full(text.data());
  return text.data();
}

}  // namespace

const Library& mbedtls_library() {
  static constexpr Library library{
      .name = "mbedtls",
      .capabilities = RIG_CAN_TLS12 | (has_tls13 ? RIG_CAN_TLS13 : 0) | RIG_CAN_PSK | RIG_CAN_CERTIFICATES,
      .version = version,
      .make_context = make_context};
  return library;
}

}  // namespace rig::direct
