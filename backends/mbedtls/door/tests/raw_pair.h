// Session: one side of a connection of mbedTLS with a pre-shared key, over a pipe of bytes that the test holds.
#pragma once

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>

#include <algorithm>
#include <cstddef>
#include <deque>

namespace rig::test {

// Pipe is one direction: what is in it, and how much fits.
struct Pipe {
  std::deque<unsigned char> bytes;
  std::size_t bytes_max = 100'000;
  bool ended = false;
};

// Session never fails to be made: its parts are constants.
class Session {
 public:
  Session(bool server, Pipe& in, Pipe& out) : in_(&in), out_(&out) {
    mbedtls_entropy_init(&entropy_);
    mbedtls_ctr_drbg_init(&random_);
    mbedtls_ssl_config_init(&config_);
    mbedtls_ssl_init(&context_);
    mbedtls_ctr_drbg_seed(&random_, mbedtls_entropy_func, &entropy_, nullptr, 0);
    mbedtls_ssl_config_defaults(&config_, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    // Its TLS 1.3 would have to be initialised; a door has the same functions for both.
    mbedtls_ssl_conf_max_tls_version(&config_, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
    mbedtls_ssl_conf_rng(&config_, mbedtls_ctr_drbg_random, &random_);
    mbedtls_ssl_conf_authmode(&config_, MBEDTLS_SSL_VERIFY_NONE);
    constexpr unsigned char key[16] = {1, 2, 3};
    constexpr unsigned char name[4] = {'n', 'a', 'm', 'e'};
    mbedtls_ssl_conf_psk(&config_, key, sizeof key, name, sizeof name);
    mbedtls_ssl_setup(&context_, &config_);
    mbedtls_ssl_set_bio(&context_, this, sent, received, nullptr);
  }
  ~Session() {
    mbedtls_ssl_free(&context_);
    mbedtls_ssl_config_free(&config_);
    mbedtls_ctr_drbg_free(&random_);
    mbedtls_entropy_free(&entropy_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  mbedtls_ssl_context* context() { return &context_; }

 private:
  static int sent(void* user, const unsigned char* data, std::size_t bytes) {
    Pipe& pipe = *static_cast<Session*>(user)->out_;
    const std::size_t taken = std::min(bytes, pipe.bytes_max - std::min(pipe.bytes_max, pipe.bytes.size()));
    pipe.bytes.insert(pipe.bytes.end(), data, data + taken);
    return taken == 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : static_cast<int>(taken);
  }
  static int received(void* user, unsigned char* data, std::size_t bytes) {
    Pipe& pipe = *static_cast<Session*>(user)->in_;
    const std::size_t given = std::min(bytes, pipe.bytes.size());
    std::copy_n(pipe.bytes.begin(), given, data);
    pipe.bytes.erase(pipe.bytes.begin(), pipe.bytes.begin() + static_cast<std::ptrdiff_t>(given));
    if (given == 0) {
      return pipe.ended ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    }
    return static_cast<int>(given);
  }

  Pipe* in_;
  Pipe* out_;
  mbedtls_entropy_context entropy_;
  mbedtls_ctr_drbg_context random_;
  mbedtls_ssl_config config_;
  mbedtls_ssl_context context_;
};

// Pair is two of them.
struct Pair {
  Pipe up;
  Pipe down;
  Session client{false, down, up};
  Session server{true, up, down};

  // shake_hands answers whether both sides came through.
  bool shake_hands() {
    int client_result = -1;
    int server_result = -1;
    for (int turn = 0; turn < 20 && (client_result != 0 || server_result != 0); ++turn) {
      client_result = client_result != 0 ? mbedtls_ssl_handshake(client.context()) : 0;
      server_result = server_result != 0 ? mbedtls_ssl_handshake(server.context()) : 0;
    }
    return client_result == 0 && server_result == 0;
  }
};

}  // namespace rig::test
