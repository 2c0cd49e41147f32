#include "backends/mbedtls/versions.h"

#include <algorithm>

namespace rig::mbedtls {

#if MBEDTLS_VERSION_NUMBER >= 0x03000000

namespace {

mbedtls_ssl_protocol_version number_of(TlsVersion version) {
  return version == TlsVersion::tls13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2;
}

}  // namespace

bool is_verification(int code) {
  constexpr int codes[] = {MBEDTLS_ERR_X509_CERT_VERIFY_FAILED, MBEDTLS_ERR_X509_FATAL_ERROR,
                           MBEDTLS_ERR_SSL_BAD_CERTIFICATE, MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE,
                           MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED};
  return std::ranges::find(codes, code) != std::end(codes);
}

Status initialise_library() {
  const psa_status_t status = psa_crypto_init();
  if (status == PSA_SUCCESS) {
    return {};
  }
  return std::unexpected(error_of(status == PSA_ERROR_INSUFFICIENT_MEMORY ? Code::no_memory : Code::internal, status,
                                  "mbedTLS cannot start its cryptography (%d)", static_cast<int>(status)));
}

void configure_versions(mbedtls_ssl_config* config, TlsVersion min, TlsVersion max) {
  mbedtls_ssl_conf_min_tls_version(config, number_of(min));
  mbedtls_ssl_conf_max_tls_version(config, number_of(max));
}

// The first one is the one that a client of TLS 1.3 sends a share for; it is as cheap as the second, and all have it.
void configure_groups(mbedtls_ssl_config* config) {
  static constexpr std::uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                             MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1,
                                             MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
  mbedtls_ssl_conf_groups(config, groups);
}

void configure_tls13(mbedtls_ssl_config* config, bool psk, bool tickets) {
  mbedtls_ssl_conf_tls13_key_exchange_modes(config, psk ? MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL
                                                        : MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
  mbedtls_ssl_conf_new_session_tickets(config, tickets ? 1 : 0);
  mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
      config, tickets ? MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED
                      : MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_DISABLED);
}

int parse_key(mbedtls_pk_context* key, ByteView pem, mbedtls_ctr_drbg_context* random) {
  return mbedtls_pk_parse_key(key, pem.data(), pem.size(), nullptr, 0, mbedtls_ctr_drbg_random, random);
}

int check_pair(const mbedtls_pk_context* certificate, const mbedtls_pk_context* key, mbedtls_ctr_drbg_context* random) {
  return mbedtls_pk_check_pair(certificate, key, mbedtls_ctr_drbg_random, random);
}

TlsVersion version_of(const mbedtls_ssl_context& ssl) {
  return mbedtls_ssl_get_version_number(&ssl) == MBEDTLS_SSL_VERSION_TLS1_3 ? TlsVersion::tls13 : TlsVersion::tls12;
}

TlsVersion version_of(const mbedtls_ssl_session& session) {
  return session.MBEDTLS_PRIVATE(tls_version) == MBEDTLS_SSL_VERSION_TLS1_3 ? TlsVersion::tls13 : TlsVersion::tls12;
}

std::optional<int> pending_alert(const mbedtls_ssl_context& ssl) {
  return ssl.MBEDTLS_PRIVATE(send_alert) != 0 ? std::optional<int>(ssl.MBEDTLS_PRIVATE(alert_type)) : std::nullopt;
}

int cause_of(mbedtls_ssl_context& ssl, int code) {
  if (code != MBEDTLS_ERR_SSL_WANT_WRITE || ssl.MBEDTLS_PRIVATE(send_alert) == 0) {
    return code;
  }
  ssl.MBEDTLS_PRIVATE(send_alert) = 0;
  return ssl.MBEDTLS_PRIVATE(alert_reason);
}

std::optional<int> plain_alert(const mbedtls_ssl_context& ssl) {
  const unsigned char* const header = ssl.MBEDTLS_PRIVATE(in_hdr);
  const bool is_alert = header[0] == MBEDTLS_SSL_MSG_ALERT && header[3] == 0 && header[4] == 2;
  return is_alert && version_of(ssl) == TlsVersion::tls13 ? std::optional<int>(header[6]) : std::nullopt;
}

void use_traffic_keys(mbedtls_ssl_context& ssl) {
  const int state = ssl.MBEDTLS_PRIVATE(state);
  mbedtls_ssl_transform* const keys = ssl.MBEDTLS_PRIVATE(transform_application);
  if (version_of(ssl) == TlsVersion::tls13 && keys != ssl.MBEDTLS_PRIVATE(transform_out) &&
      (state == MBEDTLS_SSL_CLIENT_CERTIFICATE || state == MBEDTLS_SSL_CLIENT_FINISHED)) {
    mbedtls_ssl_set_outbound_transform(&ssl, keys);
  }
}

#else

bool is_verification(int code) {
  constexpr int codes[] = {MBEDTLS_ERR_X509_CERT_VERIFY_FAILED, MBEDTLS_ERR_X509_FATAL_ERROR,
                           MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE,  MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE,
                           MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED,   MBEDTLS_ERR_SSL_PEER_VERIFY_FAILED};
  return std::ranges::find(codes, code) != std::end(codes);
}

Status initialise_library() {
  return {};
}

// A higher maximum than the library has (3, 4) crashes it in the first handshake.
void configure_versions(mbedtls_ssl_config* config, TlsVersion, TlsVersion) {
  mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
  mbedtls_ssl_conf_max_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
}

// A server takes the first curve of its list that the client has, and the list that it has by itself begins with the
// largest: a key exchange costs ten times what it costs on P-256.
void configure_groups(mbedtls_ssl_config* config) {
  static constexpr mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
                                                    MBEDTLS_ECP_DP_SECP521R1, MBEDTLS_ECP_DP_NONE};
  mbedtls_ssl_conf_curves(config, curves);
}

void configure_tls13(mbedtls_ssl_config*, bool, bool) {}

int parse_key(mbedtls_pk_context* key, ByteView pem, mbedtls_ctr_drbg_context*) {
  return mbedtls_pk_parse_key(key, pem.data(), pem.size(), nullptr, 0);
}

int check_pair(const mbedtls_pk_context* certificate, const mbedtls_pk_context* key, mbedtls_ctr_drbg_context*) {
  return mbedtls_pk_check_pair(certificate, key);
}

TlsVersion version_of(const mbedtls_ssl_context&) {
  return TlsVersion::tls12;
}

TlsVersion version_of(const mbedtls_ssl_session&) {
  return TlsVersion::tls12;
}

int cause_of(mbedtls_ssl_context&, int code) {
  return code;
}

std::optional<int> plain_alert(const mbedtls_ssl_context&) {
  return std::nullopt;
}

void use_traffic_keys(mbedtls_ssl_context&) {}

std::optional<int> pending_alert(const mbedtls_ssl_context&) {
  return std::nullopt;
}

#endif

}  // namespace rig::mbedtls
