// RawPair: two sessions of GnuTLS with anonymous keys over a socket pair, driven by hand, and the laws at the door.
#pragma once

#include <gnutls/gnutls.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "harness/oracle/door_laws.h"

namespace rig::test {

// RawPair has its laws asked as long as it lives. Whoever breaks one is the test itself.
class RawPair {
 public:
  explicit RawPair(bool poison = false) : laws_(log_, poison) {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, descriptors_.data()), 0);
    gnutls_anon_allocate_client_credentials(&client_credentials_);
    gnutls_anon_allocate_server_credentials(&server_credentials_);
    open_door(&laws_);
    constexpr const char* priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ANON-ECDH";
    for (const bool is_server : {false, true}) {
      gnutls_session_t& session = is_server ? server_ : client_;
      EXPECT_EQ(gnutls_init(&session, (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK), 0);
      EXPECT_EQ(gnutls_priority_set_direct(session, priorities, nullptr), 0);
      gnutls_transport_set_int(session, descriptors_[is_server ? 1 : 0]);
    }
    gnutls_credentials_set(client_, GNUTLS_CRD_ANON, client_credentials_);
    gnutls_credentials_set(server_, GNUTLS_CRD_ANON, server_credentials_);
  }
  ~RawPair() {
    gnutls_deinit(client_);
    gnutls_deinit(server_);
    open_door(nullptr);
    gnutls_anon_free_client_credentials(client_credentials_);
    gnutls_anon_free_server_credentials(server_credentials_);
    close(descriptors_[0]);
    close(descriptors_[1]);
  }
  RawPair(const RawPair&) = delete;
  RawPair& operator=(const RawPair&) = delete;

  gnutls_session_t client() { return client_; }
  gnutls_session_t server() { return server_; }
  int client_descriptor() const { return descriptors_[0]; }
  int server_descriptor() const { return descriptors_[1]; }

  void shake_hands() {
    int client_result = GNUTLS_E_AGAIN;
    int server_result = GNUTLS_E_AGAIN;
    for (int turn = 0; turn < 20 && (client_result != 0 || server_result != 0); ++turn) {
      client_result = client_result != 0 ? gnutls_handshake(client_) : 0;
      server_result = server_result != 0 ? gnutls_handshake(server_) : 0;
    }
    ASSERT_EQ(client_result, 0);
    ASSERT_EQ(server_result, 0);
  }

  // clog sends all of `buffer` until that waits for room.
  void clog(const std::vector<char>& buffer) {
    ssize_t result = 1;
    for (int i = 0; i < 1000 && result > 0; ++i) {
      result = gnutls_record_send(client_, buffer.data(), buffer.size());
    }
    ASSERT_EQ(result, GNUTLS_E_AGAIN);
  }
  // drain has the server read all there is, and the client finish what it holds back.
  void drain() {
    std::vector<char> buffer(20'000);
    while (gnutls_record_recv(server_, buffer.data(), buffer.size()) > 0) {
    }
  }

  // fill leaves no room for what the client sends.
  void fill() {
    const std::vector<char> bytes(20'000);
    while (::write(descriptors_[0], bytes.data(), bytes.size()) > 0) {
    }
  }

  // wait is the client's thread going to wait for its descriptor to have input, and room as well.
  void wait(bool room = false) {
    constexpr auto ignores = [](const DoorWait&, int) { return true; };
    constexpr auto heeds = [](const DoorWait&, int) { return false; };
    door_waiting({.function = "poll",
                  .caller = __builtin_return_address(0),
                  .waits_for_input = [](const DoorWait& wait,
                                        int descriptor) { return *static_cast<const int*>(wait.set) == descriptor; },
                  .ignores_room = room ? +heeds : +ignores,
                  .set = descriptors_.data()});
    door_resumed();
  }

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
  ViolationLog log_;
  DoorLaws laws_;
  std::array<int, 2> descriptors_{};
  gnutls_anon_client_credentials_t client_credentials_ = nullptr;
  gnutls_anon_server_credentials_t server_credentials_ = nullptr;
  gnutls_session_t client_ = nullptr;
  gnutls_session_t server_ = nullptr;
};

}  // namespace rig::test
