// RawPeer: the library's own session without our engine, for what an engine never does to its peer.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "backends/gnutls/library.h"
#include "harness/engine/engine.h"
#include "harness/engine/identities.h"

namespace rig::test {

// RawPeer speaks to one engine in memory, with the pre-shared key of the tests.
class RawPeer {
 public:
  RawPeer(TlsEngine& engine, unsigned flags, const char* priorities) : engine_(engine) {
    gnutls_session_t made = nullptr;
    EXPECT_EQ(gnutls_init(&made, flags | GNUTLS_NONBLOCK), 0);
    session_.reset(made);
    EXPECT_EQ(gnutls_priority_set_direct(made, priorities, nullptr), 0) << priorities;
    const Psk psk = test_psk();
    const gnutls_datum_t identity = datum(as_bytes(psk.identity));
    const gnutls_datum_t key = datum(ByteView(psk.key));
    gnutls_psk_client_credentials_t client = nullptr;
    EXPECT_EQ(gnutls_psk_allocate_client_credentials(&client), 0);
    client_.reset(client);
    EXPECT_EQ(gnutls_psk_set_client_credentials2(client, &identity, &key, GNUTLS_PSK_KEY_RAW), 0);
    gnutls_psk_server_credentials_t server = nullptr;
    EXPECT_EQ(gnutls_psk_allocate_server_credentials(&server), 0);
    server_.reset(server);
    gnutls_psk_set_server_credentials_function2(server, find_key);
    void* const mine = (flags & GNUTLS_SERVER) != 0 ? static_cast<void*>(server) : static_cast<void*>(client);
    EXPECT_EQ(gnutls_credentials_set(made, GNUTLS_CRD_PSK, mine), 0);
    gnutls_transport_set_ptr(made, this);
    gnutls_transport_set_push_function(made, push);
    gnutls_transport_set_pull_function(made, pull);
  }

  gnutls_session_t session() noexcept { return session_.get(); }

  // call runs one verb of the engine and takes what it produced.
  template <typename Verb>
  auto call(Verb&& verb) {
    Bytes storage(65536);
    CipherOut out(storage);
    auto answer = verb(engine_, out);
    from_engine_.insert(from_engine_.end(), out.bytes().begin(), out.bytes().end());
    return answer;
  }

  // handshake runs both sides until they are done, or one of them fails (then the code of the raw side is returned).
  int handshake() {
    for (int turn = 0; turn < 20; ++turn) {
      const int code = gnutls_handshake(session_.get());
      const auto need = call([](TlsEngine& engine, CipherOut& out) { return engine.handshake(out); });
      if (!need.has_value() || (code == 0 && *need == Need::nothing) || gnutls_error_is_fatal(code) != 0) {
        engine_error_ = need.has_value() ? std::nullopt : std::optional(need.error());
        return code == GNUTLS_E_AGAIN ? gnutls_handshake(session_.get()) : code;
      }
    }
    return GNUTLS_E_TIMEDOUT;
  }
  const std::optional<Error>& engine_error() const noexcept { return engine_error_; }

  // read lets the engine read once.
  std::expected<ReadStep, Error> read() {
    return call([this](TlsEngine& engine, CipherOut& out) { return engine.read(plain_, out); });
  }

  // write lets the engine write `text`.
  std::expected<WriteStep, Error> write(std::string_view text) {
    return call([text](TlsEngine& engine, CipherOut& out) { return engine.write(as_bytes(text), out); });
  }

  // text is what the engine's last read delivered, given its answer.
  std::string text(const std::expected<ReadStep, Error>& step) const {
    return step.has_value() ? std::string(as_text(ByteView(plain_).first(step->bytes)))
                            : "error: " + std::string(step.error().detail());
  }

  // send and receive are the raw side's.
  void send(std::string_view text) {
    EXPECT_EQ(gnutls_record_send(session_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string receive() {
    std::array<char, 100> text{};
    const ssize_t bytes = gnutls_record_recv(session_.get(), text.data(), text.size());
    return bytes >= 0 ? std::string(text.data(), static_cast<std::size_t>(bytes)) : gnutls_strerror_name(bytes);
  }

  // unread is how much the engine has produced and the raw side has not taken.
  std::size_t unread() const noexcept { return from_engine_.size(); }

 private:
  static gnutls_datum_t datum(ByteView bytes) {
    return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
  }
  static int find_key(gnutls_session_t, const gnutls_datum_t*, gnutls_datum_t* key) {
    const Psk psk = test_psk();
    key->data = static_cast<unsigned char*>(gnutls_malloc(psk.key.size()));
    key->size = static_cast<unsigned>(psk.key.size());
    std::ranges::copy(psk.key, key->data);
    return 0;
  }
  static ssize_t push(gnutls_transport_ptr_t self, const void* bytes, size_t size) {
    const ByteView cipher(static_cast<const std::uint8_t*>(bytes), size);
    static_cast<void>(static_cast<RawPeer*>(self)->engine_.feed(cipher));  // a dead engine takes nothing
    return static_cast<ssize_t>(size);
  }
  static ssize_t pull(gnutls_transport_ptr_t self, void* bytes, size_t size) {
    RawPeer& peer = *static_cast<RawPeer*>(self);
    Bytes& input = peer.from_engine_;
    const std::size_t taken = std::min(size, input.size());
    std::copy_n(input.begin(), taken, static_cast<std::uint8_t*>(bytes));
    input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(taken));
    if (taken == 0) {
      gnutls_transport_set_errno(peer.session_.get(), EAGAIN);
      return -1;
    }
    return static_cast<ssize_t>(taken);
  }

  TlsEngine& engine_;
  Bytes from_engine_;
  Bytes plain_ = Bytes(1000);
  std::optional<Error> engine_error_;
  gnutls::PskClientCredentials client_;
  gnutls::PskServerCredentials server_;
  gnutls::Session session_;
};

}  // namespace rig::test
