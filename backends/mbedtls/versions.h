// What is different between mbedTLS 2.28 and 3.6, said once: the rest of this folder asks for the version nowhere.
// Private to this folder.
#pragma once

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/version.h>

#include <cstdint>
#include <optional>

#include "harness/base/bytes.h"
#include "harness/base/error.h"
#include "harness/engine/engine.h"

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>

// 3.6 exports these, in no header that it installs. The first is the only way to push out a record without making
// another.
extern "C" int mbedtls_ssl_flush_output(mbedtls_ssl_context* ssl);
extern "C" int mbedtls_ssl_ciphersuite_uses_psk(const mbedtls_ssl_ciphersuite_t* suite);
extern "C" void mbedtls_ssl_set_outbound_transform(mbedtls_ssl_context* ssl, mbedtls_ssl_transform* transform);
#else
#include <mbedtls/ssl_internal.h>  // for the same functions

// mbedTLS 3 wraps the names of struct members that are no longer public; in 2.28 they are public.
#define MBEDTLS_PRIVATE(member) member
#endif

namespace rig::mbedtls {

// Secret is which key of a connection the library exports.
enum class Secret : std::uint8_t {
  master,  // of TLS 1.2
  client_handshake,
  server_handshake,
  client_traffic,
  server_traffic,
  other,
};

// SecretHook is told of each secret. It must not throw.
using SecretHook = void (*)(void* self, Secret kind, ByteView secret, const unsigned char* client_random);

// version_bytes_max is the room for the library's name and version.
inline constexpr std::size_t version_bytes_max = 18;

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
// has_tls13 says whether the library has TLS 1.3.
inline constexpr bool has_tls13 = true;
// ticket_received is what a read answers to a session ticket of TLS 1.3.
inline constexpr int ticket_received = MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
// unreadable_hello is the code for a hello that cannot be read, version_refused the one for a hello in which no version
// is in common.
inline constexpr int unreadable_hello = MBEDTLS_ERR_SSL_DECODE_ERROR;
inline constexpr int version_refused = MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION;
#else
// has_tls13 says whether the library has TLS 1.3.
inline constexpr bool has_tls13 = false;
// ticket_received is a number that no error has.
inline constexpr int ticket_received = 1;
// unreadable_hello is the code for a hello that cannot be read (or is refused, with an alert), version_refused the one
// for a hello in which no version is in common.
inline constexpr int unreadable_hello = MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO;
inline constexpr int version_refused = MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION;
#endif

// is_verification is true for the codes by which a certificate of the peer is refused.
bool is_verification(int code);

// initialise_library does what a process must have done before its first connection: TLS 1.3 is done over PSA. Once it
// has succeeded it does nothing. Thread: any, in builds with MBEDTLS_THREADING_C.
Status initialise_library();

// configure_versions sets what may be negotiated.
void configure_versions(mbedtls_ssl_config* config, TlsVersion min, TlsVersion max);

// configure_groups sets the curves, the cheapest first.
void configure_groups(mbedtls_ssl_config* config);

// configure_tls13 sets how keys are agreed on (a pre-shared key, or certificates and the tickets that follow them), and
// whether there are tickets.
void configure_tls13(mbedtls_ssl_config* config, bool psk, bool tickets);

// parse_key and check_pair are the library's functions of these names; 3.6 blinds what it computes with `random`.
int parse_key(mbedtls_pk_context* key, ByteView pem, mbedtls_ctr_drbg_context* random);
int check_pair(const mbedtls_pk_context* certificate, const mbedtls_pk_context* key, mbedtls_ctr_drbg_context* random);

// version_of is the version of a connection, or of a session.
TlsVersion version_of(const mbedtls_ssl_context& ssl);
TlsVersion version_of(const mbedtls_ssl_session& session);

// pending_alert is the fatal alert that the library is about to send, also where it will be encrypted. 2.28 sends its
// alerts at once.
std::optional<int> pending_alert(const mbedtls_ssl_context& ssl);

// cause_of is what a call that answered `code` has failed with. Where there is no room for its alert 3.6 answers
// WANT_WRITE, and makes the alert anew with each call that follows, for as long as there is too little room.
int cause_of(mbedtls_ssl_context& ssl, int code);

// plain_alert is the alert in the record that could not be decrypted, if it is one in the clear: a client of TLS 1.3
// may not have changed its keys yet when it refuses what the server says, and the library does not look.
std::optional<int> plain_alert(const mbedtls_ssl_context& ssl);

// use_traffic_keys has a server that has sent its Finished under TLS 1.3 write with its traffic keys (RFC 8446, section
// 4.4.4). The library goes on with those of the handshake until the client's Finished has come, and no client can read
// what is wrong with its certificate.
void use_traffic_keys(mbedtls_ssl_context& ssl);

// export_secrets has `hook` called for each secret of `ssl`.
template <SecretHook hook>
void export_secrets(mbedtls_ssl_context* ssl, mbedtls_ssl_config* config, void* self) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
  (void)config;
  mbedtls_ssl_set_export_keys_cb(
      ssl,
      [](void* user, mbedtls_ssl_key_export_type type, const unsigned char* secret, size_t bytes,
         const unsigned char client_random[32], const unsigned char[32], mbedtls_tls_prf_types) {
        const Secret kind =
            type == MBEDTLS_SSL_KEY_EXPORT_TLS12_MASTER_SECRET                        ? Secret::master
            : type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_HANDSHAKE_TRAFFIC_SECRET   ? Secret::client_handshake
            : type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_HANDSHAKE_TRAFFIC_SECRET   ? Secret::server_handshake
            : type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_CLIENT_APPLICATION_TRAFFIC_SECRET ? Secret::client_traffic
            : type == MBEDTLS_SSL_KEY_EXPORT_TLS1_3_SERVER_APPLICATION_TRAFFIC_SECRET ? Secret::server_traffic
                                                                                      : Secret::other;
        hook(user, kind, {secret, bytes}, client_random);
      },
      self);
#else
  (void)ssl;
  mbedtls_ssl_conf_export_keys_ext_cb(
      config,
      [](void* user, const unsigned char* master, const unsigned char*, size_t, size_t, size_t,
         const unsigned char client_random[32], const unsigned char[32], mbedtls_tls_prf_types) {
        constexpr std::size_t master_bytes = 48;
        hook(user, Secret::master, {master, master_bytes}, client_random);
        return 0;
      },
      self);
#endif
}

}  // namespace rig::mbedtls
