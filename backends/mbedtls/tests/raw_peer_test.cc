// What the engine makes of a peer that does what no engine does, and of contexts shared by threads.
#include "backends/mbedtls/tests/raw_peer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "backends/mbedtls/tests/peers.h"

namespace rig {
namespace {

using test::context_of;
using test::engine_of;
using test::psk_config;
using test::RawClient;

struct Room {
  explicit Room(std::size_t bytes = 65536) : storage(bytes), out(storage) {}
  Bytes storage;
  CipherOut out;
};

TEST(MbedtlsRawPeer, ASessionIdIsTakenUpFromTheServersCache) {
  const auto context = context_of(psk_config(Role::server));
  mbedtls::Session session;
  for (const bool again : {false, true}) {
    const auto server = engine_of(*context);
    RawClient client(*server);
    if (again) {
      ASSERT_EQ(mbedtls_ssl_set_session(client.ssl(), session.get()), 0);
    }
    client.handshake();
    EXPECT_EQ(server->facts().resumed, again);
    ASSERT_EQ(mbedtls_ssl_get_session(client.ssl(), session.get()), 0);
  }
}

// The library answers 0 to two empty records in a row, which is also its word for a truncation.
TEST(MbedtlsRawPeer, EmptyRecordsAreNoTruncation) {
  const auto server = engine_of(*context_of(psk_config(Role::server)));
  RawClient client(*server);
  client.handshake();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(mbedtls_ssl_write(client.ssl(), nullptr, 0), 0);
  }
  Room room;
  Bytes text(10);
  const auto empty = server->read(text, room.out);
  ASSERT_TRUE(empty.has_value()) << empty.error().detail();
  EXPECT_EQ(empty->need, Need::input);
  EXPECT_FALSE(server->readable());
  ASSERT_EQ(mbedtls_ssl_write(client.ssl(), reinterpret_cast<const unsigned char*>("hello"), 5), 5);
  EXPECT_EQ(server->read(text, room.out)->bytes, 5U);
}

// The library stops at a warning that it ignores, with data behind it that nobody would come back for.
TEST(MbedtlsRawPeer, DataBehindAWarningIsDelivered) {
  for (const int warning : {MBEDTLS_SSL_ALERT_MSG_USER_CANCELED, MBEDTLS_SSL_ALERT_MSG_NO_RENEGOTIATION}) {
    const auto server = engine_of(*context_of(psk_config(Role::server)));
    RawClient client(*server);
    client.handshake();
    ASSERT_EQ(mbedtls_ssl_send_alert_message(client.ssl(), MBEDTLS_SSL_ALERT_LEVEL_WARNING,
                                             static_cast<unsigned char>(warning)),
              0);
    ASSERT_EQ(mbedtls_ssl_write(client.ssl(), reinterpret_cast<const unsigned char*>("hello"), 5), 5);
    Room room;
    Bytes text(10);
    EXPECT_EQ(server->read(text, room.out)->bytes, 5U);
  }
}

TEST(MbedtlsRawPeer, ACloseNotifyWithinTheHandshakeIsNoCleanEnd) {
  const auto server = engine_of(*context_of(psk_config(Role::server)));
  RawClient client(*server);
  EXPECT_EQ(mbedtls_ssl_handshake(client.ssl()), MBEDTLS_ERR_SSL_WANT_READ);
  Room room;
  EXPECT_EQ(*server->handshake(room.out), Need::input);
  ASSERT_TRUE(server->feed(as_bytes(std::string_view("\x15\x03\x03\x00\x02\x01\x00", 7))).has_value());
  EXPECT_EQ(server->handshake(room.out).error().code(), Code::handshake_failed);
}

// Two HelloRequests, or a request that crosses the client's own start, are more than the library's client can take: it
// must fail in words, and at once.
TEST(MbedtlsRawPeer, BothSidesStartingARenegotiationAtOnceIsAnErrorAndNoHang) {
  EnginePair pair = test::psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.hold(Side::client, true);
  pair.renegotiate(Side::client);
  pair.renegotiate(Side::server);
  pair.step(Side::client);
  pair.step(Side::server);
  ASSERT_GT(pair.in_flight(Side::client), 0U);
  ASSERT_GT(pair.in_flight(Side::server), 0U);
  pair.hold(Side::client, false);
  EXPECT_EQ(pair.run([] { return false; }).kind, PairOutcome::Kind::failed);
  EXPECT_EQ(pair.failure(Side::client)->code(), mbedtls::has_tls13 ? Code::protocol : Code::handshake_failed);
  EXPECT_EQ(pair.failure(Side::server)->code(), Code::peer_alert);
}

TEST(MbedtlsThreads, EnginesOfOneContextAreIndependent) {
  ContextConfig server_settings = test::server_config();
  server_settings.peer_check = PeerCheck::optional;
  server_settings.ca_pem = ca_pem();
  ContextConfig client_settings = test::client_config();
  client_settings.credentials = credentials(Identity::client);
  const auto client = context_of(client_settings);
  const auto server = context_of(server_settings);
  std::atomic<unsigned> resumed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      EngineConfig connection{.host = "localhost", .resume = {}};
      for (int round = 0; round < 4; ++round) {
        EnginePair pair(engine_of(*client, connection), engine_of(*server));
        RIG_EXPECT_DONE(pair.run_handshake());
        pair.send(Side::client, 50000);
        pair.send(Side::server, 50000);
        RIG_EXPECT_DONE(pair.run_traffic());
        EXPECT_TRUE(pair.engine(Side::server).facts().peer_verified);
        resumed += pair.engine(Side::server).facts().resumed ? 1 : 0;
        connection.resume = round == 1 ? Bytes() : *pair.engine(Side::client).session();
        RIG_EXPECT_DONE(pair.run_close());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(resumed, 8U);  // rounds 1 and 3 of each thread
}

}  // namespace
}  // namespace rig
