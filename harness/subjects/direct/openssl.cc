// OpenSSL over SSL_set_fd: the library reads and writes the descriptor itself.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
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

// Inbound follows the records that the library takes off the descriptor. It reads nothing ahead: a header, then a body.
class Inbound {
 public:
  void take(ByteView bytes) noexcept {
    while (!bytes.empty()) {
      const bool heads = header_bytes_ < header_.size();
      const std::size_t count = heads ? 1 : std::min(bytes.size(), body_bytes_);
      if (heads) {
        header_[header_bytes_++] = bytes[0];
        body_bytes_ = std::size_t{header_[3]} << 8 | header_[4];
      } else {
        body_bytes_ -= count;
      }
      if (header_bytes_ == header_.size() && body_bytes_ == 0) {
        header_bytes_ = 0;
      }
      bytes = bytes.subspan(count);
    }
  }
  // within is true while a record was read in part; within_handshake says that it is one of a handshake (TLS 1.2).
  bool within() const noexcept { return header_bytes_ > 0; }
  bool within_handshake() const noexcept { return header_bytes_ == header_.size() && header_[0] == SSL3_RT_HANDSHAKE; }

 private:
  std::array<std::uint8_t, SSL3_RT_HEADER_LENGTH> header_{};
  std::size_t header_bytes_ = 0;
  std::size_t body_bytes_ = 0;  // that are still to come
};

// Renegotiation. The library answers a handshake of the peer from inside a read, also while the rest of a write of ours
// is in it, and fails then (bad write retry, bad length). And a write within a renegotiation takes the peer's data for
// a handshake message, and fails. So a read does not come to a handshake record before the write is through, and no
// write begins before the renegotiation is.
class OpensslSession final : public Session {
 public:
  OpensslSession(std::shared_ptr<const Context> context, Ssl ssl);

  std::expected<Want, Error> handshake() noexcept override {
    return want_of(call([this] { return SSL_do_handshake(ssl_.get()); }));
  }
  std::expected<Moved, Error> read(MutableBytes storage) noexcept override {
    const int room = static_cast<int>(std::min<std::size_t>(storage.size(), INT_MAX));
    held_ = false;
    auto moved = call([&] { return SSL_read(ssl_.get(), storage.data(), room); }, true);
    if (moved.has_value() && moved->want == Want::read && held_) {
      moved->want = Want::other;
    }
    return moved;
  }
  // The library wants the same buffer and the same length again after a want; nothing here loosens that.
  std::expected<Moved, Error> write(ByteView plain) noexcept override {
    if (renegotiating()) {
      return behind_renegotiation();
    }
    const int size = static_cast<int>(std::min<std::size_t>(plain.size(), INT_MAX));
    auto moved = call([&] { return SSL_write(ssl_.get(), plain.data(), size); });
    writing_ = moved.has_value() && moved->want != Want::nothing;
    return moved;
  }
  std::expected<Want, Error> close_notify() noexcept override {
    if (renegotiating()) {
      return want_of(behind_renegotiation());
    }
    // 0 says that ours is out and the peer's has not come.
    return want_of(call([this] { return SSL_shutdown(ssl_.get()) < 0 ? -1 : 1; }));
  }
  Status may_renegotiate() const noexcept override;
  std::expected<Want, Error> renegotiate() noexcept override;
  std::uint32_t handshakes() const noexcept override { return std::max(handshakes_, std::uint32_t{1}); }
  Facts facts() const override;

 private:
  static void on_message(int outgoing, int version, int type, const void* bytes, size_t size, SSL* ssl,
                         void* self) noexcept;
  static long on_descriptor(BIO* bio, int doing, const char* bytes, size_t size, int, long, int result,
                            size_t* moved) noexcept;

  bool tls12() const noexcept { return SSL_version(ssl_.get()) == TLS1_2_VERSION; }
  // Where renegotiation is not allowed the library refuses it by itself, with an alert, and comes to no handshake.
  bool allowed() const noexcept { return context_->setup().allow_renegotiation; }
  bool renegotiating() const noexcept {
    return allowed() && handshakes_ > 0 && tls12() && SSL_in_init(ssl_.get()) != 0;
  }
  // behind_renegotiation is what a verb answers that has to wait for its end, which a peer that is gone cannot bring.
  std::expected<Moved, Error> behind_renegotiation() const noexcept {
    if ((SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0) {
      return std::unexpected(Error(Code::handshake_failed, "the peer closed the connection within a renegotiation"));
    }
    return Moved{.want = Want::other};
  }

  // call clears the queue before the library's function, for SSL_get_error() takes a stranger's entry for a failure of
  // this connection (nginx@9af7dc2b4), and asks what came of it before anything else can happen.
  template <typename Function>
  std::expected<Moved, Error> call(Function function, bool reads = false) noexcept {
    const QuietPipe quiet;
    ERR_clear_error();
    errno = 0;
    const int result = function();
    const int errno_value = errno;
    if (SSL_in_init(ssl_.get()) == 0) {
      handshakes_ = std::min(finished_in_, finished_out_);
    }
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
  Inbound inbound_;
  bool writing_ = false;  // a write is to come again
  bool asking_ = false;   // nothing is to be read
  bool held_ = false;     // what there was to read was kept from the library
  std::uint32_t finished_in_ = 0;
  std::uint32_t finished_out_ = 0;
  std::uint32_t handshakes_ = 0;
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

OpensslSession::OpensslSession(std::shared_ptr<const Context> context, Ssl ssl)
    : context_(std::move(context)), ssl_(std::move(ssl)) {
  SSL_set_msg_callback(ssl_.get(), on_message);
  SSL_set_msg_callback_arg(ssl_.get(), this);
  BIO_set_callback_ex(SSL_get_rbio(ssl_.get()), on_descriptor);
  BIO_set_callback_arg(SSL_get_rbio(ssl_.get()), reinterpret_cast<char*>(this));
}

// A handshake is complete when both have finished it; the library has other words only for one that it began itself.
void OpensslSession::on_message(int outgoing, int, int type, const void* bytes, size_t size, SSL*,
                                void* self) noexcept {
  auto& session = *static_cast<OpensslSession*>(self);
  if (type == SSL3_RT_HANDSHAKE && size > 0 && *static_cast<const std::uint8_t*>(bytes) == SSL3_MT_FINISHED) {
    ++(outgoing != 0 ? session.finished_out_ : session.finished_in_);
  }
}

// Stands before and behind each call of the system that the library makes for the descriptor.
long OpensslSession::on_descriptor(BIO* bio, int doing, const char* bytes, size_t, int, long, int result,
                                   size_t* moved) noexcept {
  auto& session = *reinterpret_cast<OpensslSession*>(BIO_get_callback_arg(bio));
  const bool holds = session.asking_ || (session.writing_ && session.tls12() && session.inbound_.within_handshake());
  if (doing == BIO_CB_READ && holds) {
    session.held_ = true;
    BIO_clear_retry_flags(bio);
    BIO_set_retry_read(bio);
    return -1;
  }
  if (doing != (BIO_CB_READ | BIO_CB_RETURN)) {
    return result;
  }
  if (result > 0) {
    session.inbound_.take({reinterpret_cast<const std::uint8_t*>(bytes), *moved});
  }
  // The library asks errno whether to come again, also behind the end of the stream, where it may hold anything.
  if (result == 0) {
    BIO_clear_retry_flags(bio);
    BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  }
  return result;
}

Status OpensslSession::may_renegotiate() const noexcept {
  if (!tls12()) {
    return std::unexpected(Error(Code::unsupported, "TLS 1.3 has no renegotiation"));
  }
  if (!allowed()) {
    return std::unexpected(Error(Code::unsupported, "renegotiation is not allowed in this context"));
  }
  if (SSL_get_secure_renegotiation_support(ssl_.get()) != 1) {
    return std::unexpected(Error(Code::unsupported, "the peer has no secure renegotiation (RFC 5746)"));
  }
  if (SSL_get_shutdown(ssl_.get()) != 0) {
    return std::unexpected(Error(Code::invalid_state, "the connection is being closed"));
  }
  if (renegotiating() || SSL_renegotiate_pending(ssl_.get()) != 0) {
    return std::unexpected(Error(Code::invalid_state, "a renegotiation is under way"));
  }
  return {};
}

// A peek drives the first message, because a read may find application data in its way and a handshake may not; what is
// found stays where it is, and nothing is taken off the descriptor. Within a record the library would put it off to a
// call that may never come.
std::expected<Want, Error> OpensslSession::renegotiate() noexcept {
  if (writing_ || inbound_.within()) {
    return Want::other;
  }
  const bool begins = !renegotiating() && SSL_renegotiate_pending(ssl_.get()) == 0;
  asking_ = true;
  const auto peeked = call(
      [&] {
        std::uint8_t byte = 0;
        return begins && SSL_renegotiate(ssl_.get()) != 1 ? -1 : SSL_peek(ssl_.get(), &byte, 1);
      },
      true);
  asking_ = false;
  if (!peeked.has_value()) {
    return std::unexpected(peeked.error());
  }
  return peeked->want == Want::write ? Want::write : Want::nothing;
}

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
  // Since 3.0 a server refuses the client's renegotiation unless told otherwise.
  SSL_CTX_set_options(
      library_.get(),
      SSL_OP_NO_TICKET | (setup().allow_renegotiation ? SSL_OP_ALLOW_CLIENT_RENEGOTIATION : SSL_OP_NO_RENEGOTIATION));
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
      .capabilities = RIG_CAN_TLS12 | RIG_CAN_TLS13 | RIG_CAN_PSK | RIG_CAN_CERTIFICATES |
                      RIG_CAN_RENEGOTIATE_AS_CLIENT | RIG_CAN_RENEGOTIATE_AS_SERVER | RIG_CAN_RENEGOTIATE_IN_FLIGHT,
      .version = [] { return std::string("OpenSSL ") + OpenSSL_version(OPENSSL_FULL_VERSION_STRING); },
      .make_context = make_context};
  return library;
}

}  // namespace rig::direct
