// GnuTLS over gnutls_transport_set_int: the library writes the descriptor itself, and reads it as it would (on_pull).
#include <gnutls/gnutls.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <type_traits>
#include <utility>

#include "harness/base/owned.h"
#include "harness/subjects/direct/session.h"
#include "harness/subjects/direct/tcp.h"

namespace rig::direct {
namespace {

template <typename Handle, auto release>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Free<release>>;
using Priorities = Owned<gnutls_priority_t, gnutls_priority_deinit>;
using Certificates = Owned<gnutls_certificate_credentials_t, gnutls_certificate_free_credentials>;
using ClientKey = Owned<gnutls_psk_client_credentials_t, gnutls_psk_free_client_credentials>;
using ServerKey = Owned<gnutls_psk_server_credentials_t, gnutls_psk_free_server_credentials>;
using TlsSession = Owned<gnutls_session_t, gnutls_deinit>;

// With a pre-shared key only suites of SHA-256 are on offer: in TLS 1.3 the key is bound to it.
constexpr const char* psk_priorities =
    ":+AES-128-GCM:+CHACHA20-POLY1305:+AEAD:+SHA256:+PSK:+ECDHE-PSK:+GROUP-ALL:+SIGN-ALL:+COMP-NULL";

gnutls_datum_t datum_of(ByteView bytes) noexcept {
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

Error library_error(Code otherwise, const char* doing, int code) noexcept {
  return error_of(code == GNUTLS_E_MEMORY_ERROR ? Code::no_memory : otherwise, code, "%s failed: %s", doing,
                  gnutls_strerror(code));
}

// code_of is the class of a failure of a connection.
Code code_of(int code, bool in_handshake) noexcept {
  switch (code) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
      return Code::peer_alert;
    case GNUTLS_E_PREMATURE_TERMINATION:
      return Code::truncated;
    case GNUTLS_E_CERTIFICATE_ERROR:
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
      return Code::verification_failed;
    case GNUTLS_E_UNEXPECTED_PACKET:
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET:
    case GNUTLS_E_RECORD_OVERFLOW:
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
      return Code::protocol;
    default:
      return in_handshake ? Code::handshake_failed : Code::protocol;
  }
}

class GnutlsContext final : public Context {
 public:
  using Context::Context;

  static std::expected<std::shared_ptr<const Context>, Error> make(const Setup& setup);
  std::expected<std::unique_ptr<Session>, Error> make_session(NativeHandle handle,
                                                              const std::string& host) const override;

 private:
  int load_versions();
  int load_key();
  int load_certificates();
  int prepare(gnutls_session_t session) const;

  Priorities priorities_;
  Certificates certificates_;
  ClientKey client_key_;
  ServerKey server_key_;
};

class GnutlsSession final : public Session {
 public:
  GnutlsSession(std::shared_ptr<const Context> context, TlsSession session, const std::string& host)
      : context_(std::move(context)), host_(host), session_(std::move(session)) {}

  // set_up says what is checked of the peer, and who it is to be.
  int set_up(NativeHandle handle) noexcept;

  std::expected<Want, Error> handshake() noexcept override {
    const auto want = want_of(call([this] { return gnutls_handshake(session_.get()); }));
    handshake_done_ = want.has_value() && *want == Want::nothing;
    return want;
  }
  std::expected<Moved, Error> read(MutableBytes storage) noexcept override {
    auto moved = call([&] { return gnutls_record_recv(session_.get(), storage.data(), storage.size()); });
    if (moved.has_value()) {
      moved->end = moved->want == Want::nothing && moved->bytes == 0;
    }
    return moved;
  }
  // After a want the library sends what it holds of the last call, whatever it is given, and says the length of that.
  std::expected<Moved, Error> write(ByteView plain) noexcept override {
    return call([&] { return gnutls_record_send(session_.get(), plain.data(), plain.size()); });
  }
  std::expected<Want, Error> close_notify() noexcept override {
    return want_of(call([this] { return gnutls_bye(session_.get(), GNUTLS_SHUT_WR); }));
  }
  Facts facts() const override;

 private:
  // call goes on through what is no failure: an interrupted system call, a warning, a wish for a renegotiation.
  template <typename Function>
  std::expected<Moved, Error> call(Function function) noexcept {
    for (;;) {
      errno = 0;
      const ssize_t result = function();
      const int errno_value = errno;
      if (result >= 0) {
        return Moved{.bytes = static_cast<std::size_t>(result)};
      }
      const int code = static_cast<int>(result);
      if (code == GNUTLS_E_AGAIN) {
        const bool writes = gnutls_record_get_direction(session_.get()) == 1;
        return Moved{.want = writes ? Want::write : Want::read};
      }
      if (gnutls_error_is_fatal(code) != 0) {
        return std::unexpected(failure(code, errno_value));
      }
    }
  }

  // on_pull reads as the library would, but leaves no number behind the end of a stream. The library tells a reset as
  // an end, so that errno has to say which it was, and after a call that did not fail that may hold anything.
  static ssize_t on_pull(gnutls_transport_ptr_t self, void* storage, std::size_t room) noexcept {
    const ssize_t taken = ::recv(number_of(static_cast<const GnutlsSession*>(self)->handle_), storage, room, 0);
    if (taken == 0) {
      errno = 0;
    }
    return taken;
  }

  Error failure(int code, int errno_value) noexcept {
    // The library takes a reset for an end of the stream; the number of the system's says which it was.
    const bool by_system =
        code == GNUTLS_E_PUSH_ERROR || code == GNUTLS_E_PULL_ERROR || code == GNUTLS_E_PREMATURE_TERMINATION;
    if (by_system && errno_value != 0) {
      return system_error("connection", errno_value);
    }
    if (!handshake_done_) {
      gnutls_alert_send_appropriate(session_.get(), code);
    }
    return library_error(code_of(code, !handshake_done_), "the connection", code);
  }

  const std::shared_ptr<const Context> context_;
  const std::string host_;
  const TlsSession session_;
  NativeHandle handle_{};
  bool handshake_done_ = false;
};

int GnutlsSession::set_up(NativeHandle handle) noexcept {
  const Setup& setup = context_->setup();
  gnutls_session_t const session = session_.get();
  gnutls_transport_set_int(session, number_of(handle));
  gnutls_transport_ptr_t receiver = nullptr;
  gnutls_transport_ptr_t sender = nullptr;
  gnutls_transport_get_ptr2(session, &receiver, &sender);
  gnutls_transport_set_ptr2(session, this, sender);
  gnutls_transport_set_pull_function(session, on_pull);
  handle_ = handle;
  if (setup.verifies()) {
    gnutls_session_set_verify_cert(session, setup.server ? nullptr : host_.c_str(), 0);
  }
  if (setup.verifies() && setup.server) {
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
  }
  // An address is no server name (RFC 6066, section 3).
  const bool named = !setup.server && !host_.empty() && !is_address(host_.c_str());
  return named ? gnutls_server_name_set(session, GNUTLS_NAME_DNS, host_.data(), host_.size()) : 0;
}

Facts GnutlsSession::facts() const {
  gnutls_session_t const session = session_.get();
  unsigned certificates = 0;
  const bool certified = gnutls_certificate_get_peers(session, &certificates) != nullptr && certificates > 0;
  const char* const cipher = gnutls_ciphersuite_get(session);
  return {.tls_version = gnutls_protocol_get_version(session) == GNUTLS_TLS1_3 ? RIG_TLS_1_3 : RIG_TLS_1_2,
          .cipher = cipher != nullptr ? cipher : "",
          .psk = gnutls_auth_get_type(session) == GNUTLS_CRD_PSK,
          .peer_verified =
              context_->setup().verifies() && certified && gnutls_session_get_verify_cert_status(session) == 0};
}

// key_of_identity gives a server the key of the client that calls; the library frees it.
int key_of_identity(gnutls_session_t session, const gnutls_datum_t* identity, gnutls_datum_t* key) noexcept {
  const Setup& setup = static_cast<const GnutlsContext*>(gnutls_session_get_ptr(session))->setup();
  if (!std::ranges::equal(ByteView(identity->data, identity->size), as_bytes(setup.psk_identity))) {
    return -1;
  }
  key->data = static_cast<unsigned char*>(gnutls_malloc(setup.psk.size()));
  if (key->data == nullptr) {
    return -1;
  }
  key->size = static_cast<unsigned>(setup.psk.size());
  std::ranges::copy(setup.psk, key->data);
  return 0;
}

int GnutlsContext::load_versions() {
  std::string text = setup().has_key() ? "NONE" : "NORMAL:-VERS-ALL";
  text += setup().tls_max == RIG_TLS_1_3 ? ":+VERS-TLS1.3" : "";
  text += setup().tls_min == RIG_TLS_1_2 ? ":+VERS-TLS1.2" : "";
  text += setup().has_key() ? psk_priorities : "";
  gnutls_priority_t made = nullptr;
  const int code = gnutls_priority_init2(&made, text.c_str(), nullptr, 0);
  priorities_.reset(code < 0 ? nullptr : made);
  return code;
}

int GnutlsContext::load_key() {
  if (setup().server) {
    gnutls_psk_server_credentials_t made = nullptr;
    const int code = gnutls_psk_allocate_server_credentials(&made);
    server_key_.reset(made);
    if (code >= 0) {
      gnutls_psk_set_server_credentials_function2(made, key_of_identity);
    }
    return code;
  }
  gnutls_psk_client_credentials_t made = nullptr;
  const int code = gnutls_psk_allocate_client_credentials(&made);
  client_key_.reset(made);
  const auto identity = datum_of(as_bytes(setup().psk_identity));
  const auto key = datum_of(setup().psk);
  return code < 0 ? code : gnutls_psk_set_client_credentials2(made, &identity, &key, GNUTLS_PSK_KEY_RAW);
}

int GnutlsContext::load_certificates() {
  gnutls_certificate_credentials_t made = nullptr;
  int code = gnutls_certificate_allocate_credentials(&made);
  certificates_.reset(made);
  if (code >= 0 && !setup().ca_pem.empty()) {
    const gnutls_datum_t anchors = datum_of(as_bytes(setup().ca_pem));
    code = gnutls_certificate_set_x509_trust_mem(made, &anchors, GNUTLS_X509_FMT_PEM);
  }
  if (code >= 0 && !setup().certificate_pem.empty()) {
    const gnutls_datum_t chain = datum_of(as_bytes(setup().certificate_pem));
    const gnutls_datum_t key = datum_of(as_bytes(setup().private_key_pem));
    code = gnutls_certificate_set_x509_key_mem2(made, &chain, &key, GNUTLS_X509_FMT_PEM, nullptr, 0);
  }
  return code;
}

std::expected<std::shared_ptr<const Context>, Error> GnutlsContext::make(const Setup& setup) {
  auto context = std::make_shared<GnutlsContext>(setup);
  int code = context->load_versions();
  if (code >= 0) {
    code = setup.has_key() ? context->load_key() : context->load_certificates();
  }
  if (code < 0) {
    return std::unexpected(library_error(Code::invalid_argument, "making a context", code));
  }
  return context;
}

int GnutlsContext::prepare(gnutls_session_t session) const {
  gnutls_session_set_ptr(session, const_cast<GnutlsContext*>(this));
  const int code = gnutls_priority_set(session, priorities_.get());
  if (code < 0) {
    return code;
  }
  return server_key_   ? gnutls_credentials_set(session, GNUTLS_CRD_PSK, server_key_.get())
         : client_key_ ? gnutls_credentials_set(session, GNUTLS_CRD_PSK, client_key_.get())
                       : gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, certificates_.get());
}

std::expected<std::unique_ptr<Session>, Error> GnutlsContext::make_session(NativeHandle handle,
                                                                           const std::string& host) const {
  // Without NO_SIGNAL the library sends without MSG_NOSIGNAL, and a peer that is gone ends the process.
  const unsigned flags = (setup().server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL;
  gnutls_session_t made = nullptr;
  int code = gnutls_init(&made, flags);
  TlsSession owned(code < 0 ? nullptr : made);
  if (code >= 0) {
    code = prepare(made);
  }
  auto session = std::make_unique<GnutlsSession>(shared_from_this(), std::move(owned), host);
  if (code >= 0) {
    code = session->set_up(handle);
  }
  if (code < 0) {
    return std::unexpected(library_error(Code::internal, "making a connection", code));
  }
  return session;
}

}  // namespace

const Library& gnutls_library() {
  static constexpr Library library{.name = "gnutls",
                                   .capabilities = RIG_CAN_TLS12 | RIG_CAN_TLS13 | RIG_CAN_PSK | RIG_CAN_CERTIFICATES,
                                   .version = [] { return std::string("GnuTLS ") + gnutls_check_version(nullptr); },
                                   .make_context = GnutlsContext::make};
  return library;
}

}  // namespace rig::direct
