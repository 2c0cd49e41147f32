// RawPair: two sessions of OpenSSL over a socket pair, driven by hand as a layer drives them, and the laws at the door.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "backends/openssl/library.h"
#include "harness/engine/identities.h"
#include "harness/oracle/door_laws.h"

namespace rig::test {

inline openssl::SslContext raw_context(bool server, int version) {
  openssl::SslContext context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  if (server) {
    const Credentials own = credentials(Identity::server);
    const openssl::Bio chain(
        BIO_new_mem_buf(own.certificate_chain_pem.data(), static_cast<int>(own.certificate_chain_pem.size())));
    const openssl::Bio key(BIO_new_mem_buf(own.private_key_pem.data(), static_cast<int>(own.private_key_pem.size())));
    const openssl::Certificate leaf(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    const openssl::PrivateKey secret(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), leaf.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), secret.get()), 1);
  }
  return context;
}

// RawPair has its laws asked from the first handshake call on. Whoever breaks one is the test itself.
class RawPair {
 public:
  explicit RawPair(int version = TLS1_3_VERSION, bool poison = false)
      : laws_(log_, poison), client_context_(raw_context(false, version)), server_context_(raw_context(true, version)) {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, descriptors_.data()), 0);
    ERR_clear_error();
    open_door(&laws_);
    client_.reset(SSL_new(client_context_.get()));
    server_.reset(SSL_new(server_context_.get()));
    SSL_set_fd(client(), descriptors_[0]);
    SSL_set_fd(server(), descriptors_[1]);
    SSL_set_connect_state(client());
    SSL_set_accept_state(server());
  }
  ~RawPair() {
    client_.reset();
    server_.reset();
    open_door(nullptr);
    ERR_clear_error();
    close(descriptors_[0]);
    close(descriptors_[1]);
  }
  RawPair(const RawPair&) = delete;
  RawPair& operator=(const RawPair&) = delete;

  SSL* client() { return client_.get(); }
  SSL* server() { return server_.get(); }
  int client_descriptor() const { return descriptors_[0]; }
  int server_descriptor() const { return descriptors_[1]; }

  // shake_hands completes the handshake, and has the client read the tickets.
  void shake_hands() {
    for (int turn = 0; turn < 20; ++turn) {
      ERR_clear_error();
      const int client_done = SSL_do_handshake(client());
      ERR_clear_error();
      const int server_done = SSL_do_handshake(server());
      if (client_done == 1 && server_done == 1) {
        break;
      }
    }
    ASSERT_EQ(SSL_is_init_finished(client()), 1);
    ASSERT_EQ(SSL_is_init_finished(server()), 1);
    EXPECT_EQ(read_client(), SSL_ERROR_WANT_READ);
  }

  // read_client clears, reads and asks, as it should be done; the answer of SSL_get_error.
  int read_client() {
    char byte = 0;
    ERR_clear_error();
    return SSL_get_error(client(), SSL_read(client(), &byte, 1));
  }

  // clog writes from `buffer` until a write of all of it waits for room.
  void clog(const std::vector<char>& buffer) {
    int result = 1;
    for (int i = 0; i < 1000 && result > 0; ++i) {
      ERR_clear_error();
      result = SSL_write(client(), buffer.data(), static_cast<int>(buffer.size()));
    }
    ASSERT_EQ(SSL_get_error(client(), result), SSL_ERROR_WANT_WRITE);
  }
  // drain has the server read all there is.
  void drain() {
    std::vector<char> buffer(20'000);
    do {
      ERR_clear_error();
    } while (SSL_read(server(), buffer.data(), static_cast<int>(buffer.size())) > 0);
  }

  // wait is the client's thread going to wait for its descriptor, and coming back.
  void wait() {
    door_waiting(
        {.function = "poll",
         .caller = __builtin_return_address(0),
         .waits_for_input = [](const DoorWait& wait, int descriptor) { return *descriptor_of(wait) == descriptor; },
         .ignores_room = [](const DoorWait&, int) { return true; },
         .set = descriptors_.data()});
    door_resumed();
  }

  // broken lists the laws that were broken: "H1 E3".
  std::string broken() const {
    std::string names;
    for (const Violation& violation : log_.kept()) {
      names += (names.empty() ? "" : " ") + std::string(law_name(violation.law));
    }
    return names;
  }
  std::string message() const { return log_.kept().empty() ? "" : log_.kept().front().message; }
  std::uint64_t calls() const { return laws_.calls(); }

 private:
  static const int* descriptor_of(const DoorWait& wait) { return static_cast<const int*>(wait.set); }

  ViolationLog log_;
  DoorLaws laws_;
  openssl::SslContext client_context_;
  openssl::SslContext server_context_;
  std::array<int, 2> descriptors_{};
  openssl::Ssl client_;
  openssl::Ssl server_;
};

}  // namespace rig::test
