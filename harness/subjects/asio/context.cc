#include "harness/subjects/asio/context.h"

#include <openssl/ssl.h>

#include <asio/error.hpp>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

namespace asio_guest {
namespace {

// Asio keeps its own object at a context's app data.
int context_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

const Context& context_of(SSL* session) {
  return *static_cast<Context*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), context_index()));
}

unsigned client_key(SSL* session, const char*, char* identity, unsigned identity_bytes, unsigned char* key,
                    unsigned key_bytes) {
  const Context& context = context_of(session);
  if (context.psk_identity.size() >= identity_bytes || context.psk.size() > key_bytes) {
    return 0;
  }
  std::memcpy(identity, context.psk_identity.c_str(), context.psk_identity.size() + 1);
  std::memcpy(key, context.psk.data(), context.psk.size());
  return static_cast<unsigned>(context.psk.size());
}

unsigned server_key(SSL* session, const char* identity, unsigned char* key, unsigned key_bytes) {
  const Context& context = context_of(session);
  if (identity == nullptr || context.psk_identity != identity || context.psk.size() > key_bytes) {
    return 0;
  }
  std::memcpy(key, context.psk.data(), context.psk.size());
  return static_cast<unsigned>(context.psk.size());
}

asio::const_buffer text(const char* pem) {
  return asio::buffer(std::string_view(pem));
}

rig_status tls_class(int reason) {
  if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
    return RIG_PEER_ALERT;
  }
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return RIG_VERIFICATION_FAILED;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_PSK_IDENTITY_NOT_FOUND:
    case SSL_R_BINDER_DOES_NOT_VERIFY:
    case SSL_R_DIGEST_CHECK_FAILED:
      return RIG_HANDSHAKE_FAILED;
    default:
      return RIG_PROTOCOL;
  }
}

rig_status class_of(const asio::error_code& failure) {
  if (failure.category() == asio::error::get_ssl_category()) {
    return tls_class(ERR_GET_REASON(static_cast<unsigned long>(failure.value())));
  }
  const std::pair<asio::error_code, rig_status> classes[] = {{asio::error::eof, RIG_CLEAN_END},
                                                             {asio::ssl::error::stream_truncated, RIG_TRUNCATED},
                                                             {asio::error::connection_reset, RIG_RESET},
                                                             {asio::error::broken_pipe, RIG_RESET},
                                                             {asio::error::connection_aborted, RIG_RESET},
                                                             {asio::error::connection_refused, RIG_REFUSED},
                                                             {asio::error::host_unreachable, RIG_UNREACHABLE},
                                                             {asio::error::network_unreachable, RIG_UNREACHABLE},
                                                             {asio::error::timed_out, RIG_TIMEOUT},
                                                             {asio::error::operation_aborted, RIG_ABORTED},
                                                             {asio::error::not_connected, RIG_CLOSED},
                                                             {asio::error::no_memory, RIG_NO_MEMORY},
                                                             {asio::error::no_descriptors, RIG_NO_DESCRIPTORS},
                                                             {asio::error::address_in_use, RIG_ADDRESS_IN_USE},
                                                             {asio::error::invalid_argument, RIG_INVALID_ARGUMENT}};
  for (const auto& [known, status] : classes) {
    if (failure == known) {
      return status;
    }
  }
  return RIG_REFUSED_BY_SYSTEM;
}

}  // namespace

Context::Context(const rig_context_config& config)
    : tls(config.server != 0 ? asio::ssl::context::tls_server : asio::ssl::context::tls_client),
      verifies(config.verify_peer != 0 && config.psk_identity == nullptr) {
  const auto number = [](std::uint32_t version) { return version == RIG_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION; };
  SSL_CTX_set_min_proto_version(tls.native_handle(), number(config.tls_min));
  SSL_CTX_set_max_proto_version(tls.native_handle(), number(config.tls_max));
  tls.set_options(SSL_OP_NO_RENEGOTIATION);
  if (config.psk_identity != nullptr) {
    take_key(config);
  }
  if (config.certificate_pem != nullptr) {
    tls.use_certificate_chain(text(config.certificate_pem));
    tls.use_private_key(text(config.private_key_pem), asio::ssl::context::pem);
  }
  if (verifies) {
    tls.add_certificate_authority(text(config.ca_pem));
    tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
  }
}

void Context::take_key(const rig_context_config& config) {
  psk_identity = config.psk_identity;
  psk.assign(config.psk, config.psk + config.psk_bytes);
  SSL_CTX* const native = tls.native_handle();
  SSL_CTX_set_ex_data(native, context_index(), this);
  SSL_CTX_set_psk_client_callback(native, config.server != 0 ? nullptr : client_key);
  SSL_CTX_set_psk_server_callback(native, config.server != 0 ? server_key : nullptr);
  SSL_CTX_set_cipher_list(native, "PSK");
  SSL_CTX_set_ciphersuites(native, "TLS_AES_128_GCM_SHA256");  // in TLS 1.3 such a key belongs to SHA-256
  // A TLS 1.3 server may ignore the key and send a certificate, which nobody here would trust.
  tls.set_verify_mode(config.server != 0 ? asio::ssl::verify_none : asio::ssl::verify_peer);
}

void describe(SSL* session, bool verifies, rig_socket_info& info) {
  const bool tls13 = SSL_version(session) == TLS1_3_VERSION;
  const SSL_CIPHER* const cipher = SSL_get_current_cipher(session);
  info.tls_version = tls13 ? RIG_TLS_1_3 : RIG_TLS_1_2;
  info.psk = (tls13 ? SSL_session_reused(session) : SSL_CIPHER_get_auth_nid(cipher) == NID_auth_psk) ? 1 : 0;
  info.peer_verified = verifies && SSL_get_verify_result(session) == X509_V_OK ? 1 : 0;
  info.handshakes = 1;
  std::snprintf(info.cipher, sizeof info.cipher, "%s", SSL_CIPHER_get_name(cipher));
}

std::string library_version() {
  return std::string("OpenSSL ") + OpenSSL_version(OPENSSL_FULL_VERSION_STRING);
}

bool is_bad_record(const asio::error_code& failure) {
  return failure.category() == asio::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(failure.value())) == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC;
}

rig_status error_of(const asio::error_code& failure, std::optional<rig_status> known, rig_error* error) {
  const rig_status status = known.value_or(class_of(failure));
  if (error != nullptr) {
    error->status = status;
    error->number = failure.value();
    std::snprintf(error->detail, sizeof error->detail, "%s", failure.message().c_str());
  }
  return status;
}

}  // namespace asio_guest
