// RawClient: the library's own client without our engine, for what an engine never does to its peer.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "backends/mbedtls/library.h"
#include "harness/engine/engine.h"
#include "harness/engine/identities.h"

namespace rig::test {

// RawClient speaks to one engine in memory. It has no session tickets, so that servers give it session ids.
class RawClient {
 public:
  explicit RawClient(TlsEngine& server) : server_(server) {
    const Psk psk = test_psk();
    static constexpr int suites[] = {MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256, 0};
    EXPECT_EQ(mbedtls_ctr_drbg_seed(drbg_.get(), mbedtls_entropy_func, entropy_.get(), nullptr, 0), 0);
    EXPECT_EQ(mbedtls_ssl_config_defaults(config_.get(), MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                          MBEDTLS_SSL_PRESET_DEFAULT),
              0);
    mbedtls::configure_versions(config_.get(), TlsVersion::tls12, TlsVersion::tls12);
    mbedtls_ssl_conf_rng(config_.get(), mbedtls_ctr_drbg_random, drbg_.get());
    mbedtls_ssl_conf_ciphersuites(config_.get(), suites);
    mbedtls_ssl_conf_session_tickets(config_.get(), MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    mbedtls_ssl_conf_renegotiation(config_.get(), MBEDTLS_SSL_RENEGOTIATION_ENABLED);
    EXPECT_EQ(mbedtls_ssl_conf_psk(config_.get(), psk.key.data(), psk.key.size(),
                                   reinterpret_cast<const unsigned char*>(psk.identity.data()), psk.identity.size()),
              0);
    EXPECT_EQ(mbedtls_ssl_setup(ssl_.get(), config_.get()), 0);
    mbedtls_ssl_set_bio(ssl_.get(), this, send, receive, nullptr);
  }

  mbedtls_ssl_context* ssl() noexcept { return ssl_.get(); }

  // handshake runs both sides until they are done.
  void handshake() {
    for (int turn = 0; turn < 10; ++turn) {
      const int code = mbedtls_ssl_handshake(ssl_.get());
      Bytes storage(65536);
      CipherOut out(storage);
      const auto need = server_.handshake(out);
      ASSERT_TRUE(need.has_value()) << need.error().detail();
      from_server_.insert(from_server_.end(), out.bytes().begin(), out.bytes().end());
      if (code == 0 && *need == Need::nothing) {
        return;
      }
    }
    FAIL() << "the handshake did not come to an end";
  }

 private:
  static int send(void* self, const unsigned char* bytes, size_t size) {
    EXPECT_TRUE(static_cast<RawClient*>(self)->server_.feed({bytes, size}).has_value());
    return static_cast<int>(size);
  }
  static int receive(void* self, unsigned char* bytes, size_t size) {
    Bytes& input = static_cast<RawClient*>(self)->from_server_;
    const std::size_t taken = std::min(size, input.size());
    std::copy_n(input.begin(), taken, bytes);
    input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(taken));
    return taken == 0 ? MBEDTLS_ERR_SSL_WANT_READ : static_cast<int>(taken);
  }

  TlsEngine& server_;
  Bytes from_server_;
  mbedtls::Entropy entropy_;
  mbedtls::Drbg drbg_;
  mbedtls::Config config_;
  mbedtls::Ssl ssl_;
};

}  // namespace rig::test
