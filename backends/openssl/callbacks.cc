#include "backends/openssl/callbacks.h"

#include <algorithm>
#include <cstring>

#include "backends/openssl/engine.h"

namespace rig::openssl {
namespace {

OpensslEngine& engine_of(const SSL* ssl) noexcept {
  return *static_cast<OpensslEngine*>(SSL_get_app_data(ssl));
}

// on_alpn chooses by the server's preference. Source: RFC 7301, 3.2.
int on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
            unsigned offered_size, void*) noexcept {
  // The library has checked that the list is well-formed.
  for (const std::string& protocol : engine_of(ssl).config().alpn) {
    for (ByteView list(offered, offered_size); !list.empty(); list = list.subspan(1U + list[0])) {
      const ByteView name = list.subspan(1, list[0]);
      if (as_text(name) == protocol) {
        *chosen = name.data();
        *chosen_size = list[0];
        return SSL_TLSEXT_ERR_OK;
      }
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// on_server_name accepts the name, so that a TLS 1.2 session keeps it.
int on_server_name(SSL* ssl, int*, void*) noexcept {
  return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) == nullptr ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

unsigned put_key(const Psk& psk, unsigned char* key, unsigned key_bytes_max) noexcept {
  if (psk.key.size() > key_bytes_max) {
    return 0;
  }
  std::copy(psk.key.begin(), psk.key.end(), key);
  return static_cast<unsigned>(psk.key.size());
}

// The callbacks of TLS 1.2 serve TLS 1.3 as well, where the key belongs to SHA-256.
unsigned on_psk_client(SSL* ssl, const char*, char* identity, unsigned identity_bytes_max, unsigned char* key,
                       unsigned key_bytes_max) noexcept {
  const Psk& psk = *engine_of(ssl).config().psk;
  if (psk.identity.size() >= identity_bytes_max) {
    return 0;
  }
  std::memcpy(identity, psk.identity.c_str(), psk.identity.size() + 1);
  return put_key(psk, key, key_bytes_max);
}

// In TLS 1.3 it is asked for each identity that the client offers, session tickets among them.
unsigned on_psk_server(SSL* ssl, const char* identity, unsigned char* key, unsigned key_bytes_max) noexcept {
  OpensslEngine& engine = engine_of(ssl);
  const Psk& psk = *engine.config().psk;
  const bool known = identity != nullptr && psk.identity == identity;
  engine.on_psk(known);
  return known ? put_key(psk, key, key_bytes_max) : 0;
}

void on_key_log(const SSL* ssl, const char* line) noexcept {
  engine_of(ssl).on_key_log(line);
}

// on_chain stands in for the verification where there is none: a client without checks accepts all and a client with a
// pre-shared key accepts none. Either way the session says that nothing was verified.
int on_chain(X509_STORE_CTX* verification, void* psk) noexcept {
  X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION);
  return psk == nullptr ? 1 : 0;
}

}  // namespace

int on_certificate(int accepted, X509_STORE_CTX* verification) noexcept {
  const auto* ssl =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const bool leaf = X509_STORE_CTX_get_error_depth(verification) == 0;
  // The library takes a host with a leading dot for "any name below", which no host is.
  if (accepted == 1 && leaf && engine_of(ssl).host().starts_with('.')) {
    X509_STORE_CTX_set_error(verification, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
  }
  return accepted;
}

void set_callbacks(const OpensslContext& context) {
  SSL_CTX* const library = context.library();
  if (context.config().key_log) {
    SSL_CTX_set_keylog_callback(library, on_key_log);
  }
  if (context.client() && !context.verifies()) {
    SSL_CTX_set_cert_verify_callback(library, on_chain, context.psk() ? library : nullptr);
  }
  if (context.psk() && context.client()) {
    SSL_CTX_set_psk_client_callback(library, on_psk_client);
  } else if (context.psk()) {
    SSL_CTX_set_psk_server_callback(library, on_psk_server);
  }
  if (!context.client()) {
    SSL_CTX_set_tlsext_servername_callback(library, on_server_name);
    if (!context.config().alpn.empty()) {
      SSL_CTX_set_alpn_select_cb(library, on_alpn, nullptr);
    }
  }
}

}  // namespace rig::openssl
