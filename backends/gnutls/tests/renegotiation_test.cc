// Renegotiation between two engines: cut, refused, amid data, and started by both at once.
#include "backends/gnutls/tests/peers.h"

namespace rig {
namespace {

bool both_have(EnginePair& pair, unsigned handshakes) {
  return pair.engine(Side::client).facts().handshakes == handshakes &&
         pair.engine(Side::server).facts().handshakes == handshakes;
}

const auto renegotiate = [](TlsEngine& engine, CipherOut& out) { return engine.renegotiate(out); };

TEST(GnutlsRenegotiation, ACutStartIsFinishedByWhoeverComesNext) {
  for (const Side starter : {Side::client, Side::server}) {
    for (const bool by_read : {true, false}) {
      SCOPED_TRACE(std::string(starter == Side::client ? "client" : "server") + (by_read ? " by read" : " by itself"));
      EnginePair pair = test::psk_pair(TlsVersion::tls12);
      pair.knobs().out_bytes_max = 3;
      ASSERT_EQ(pair.call(starter, renegotiate), Need::room);
      ASSERT_EQ(pair.call(starter, renegotiate), Need::room);
      pair.knobs().out_bytes_max = 65536;
      if (by_read) {
        test::settle(pair);  // reads as long as they move anything
      }
      const auto last = pair.call(starter, renegotiate);
      ASSERT_EQ(last, Need::nothing) << last.error().detail();
      RIG_EXPECT_DONE(pair.run([&] { return both_have(pair, 2); }));
      pair.send(Side::client, 5000);
      pair.send(Side::server, 5000);
      RIG_EXPECT_DONE(pair.run_traffic());
    }
  }
}

// A write is cut, then the peer renegotiates: the record goes out first, and write() accepts it without sending again.
TEST(GnutlsRenegotiation, APartialWriteGoesFirst) {
  for (const Side starter : {Side::client, Side::server}) {
    const Side writer = other(starter);
    EnginePair pair = test::psk_pair(TlsVersion::tls12);
    test::settle(pair);
    Bytes storage(100);
    CipherOut out{MutableBytes(storage)};
    ASSERT_EQ(pair.engine(writer).write(position_coded(writer, 0, 20'000), out)->need, Need::room);
    pair.inject(writer, out.bytes());
    EXPECT_EQ(pair.call(writer, renegotiate).error().code(), Code::invalid_state);
    pair.renegotiate(starter);
    pair.knobs().out_bytes_max = 50;
    test::settle(pair);
    EXPECT_TRUE(both_have(pair, 2));
    EXPECT_EQ(pair.end(starter).received, 16'384U) << "the record that was cut";
    const auto rest = pair.call(writer, [writer](TlsEngine& engine, CipherOut& o) {
      return engine.write(position_coded(writer, 0, 20'000), o);
    });
    ASSERT_TRUE(rest.has_value()) << rest.error().detail();
    EXPECT_EQ(rest->accepted, 16'384U);
    EXPECT_EQ(rest->need, Need::room);
    pair.knobs().out_bytes_max = 65536;
    const auto last = pair.call(writer, [writer](TlsEngine& engine, CipherOut& o) {
      return engine.write(position_coded(writer, 16'384, 20'000 - 16'384), o);
    });
    ASSERT_TRUE(last.has_value()) << last.error().detail();
    EXPECT_EQ(last->accepted, 20'000U - 16'384U);
    test::settle(pair);
    EXPECT_EQ(pair.end(starter).received, 20'000U);
  }
}

TEST(GnutlsRenegotiation, WithCertificatesAndAResumedSession) {
  ContextConfig client = test::client_config();
  ContextConfig server = test::server_config();
  client.version_max = TlsVersion::tls12;
  client.allow_renegotiation = server.allow_renegotiation = true;
  const auto client_context = test::context_of(client);
  const auto server_context = test::context_of(server);
  EngineConfig config{.host = "localhost", .resume = {}};
  for (const bool resumed : {false, true}) {
    for (const Side starter : {Side::client, Side::server}) {
      EnginePair pair(test::engine_of(*client_context, config), test::engine_of(*server_context));
      RIG_EXPECT_DONE(pair.run_handshake());
      EXPECT_EQ(pair.engine(Side::server).facts().resumed, resumed);
      pair.renegotiate(starter);
      RIG_EXPECT_DONE(pair.run([&] { return both_have(pair, 2); }));
      EXPECT_TRUE(pair.engine(Side::client).facts().peer_verified);
      pair.renegotiate(other(starter));
      RIG_EXPECT_DONE(pair.run([&] { return both_have(pair, 3); }));
      pair.send(Side::client, 5000);
      pair.send(Side::server, 5000);
      RIG_EXPECT_DONE(pair.run_traffic());
      const auto session = pair.engine(Side::client).session();
      ASSERT_TRUE(session.has_value());
      if (!resumed && starter == Side::server) {
        config.resume = *session;
        ASSERT_FALSE(config.resume.empty());
      }
    }
  }
}

// RFC 5246, section 7.4.1.1: a HelloRequest is ignored by a client that negotiates already.
TEST(GnutlsRenegotiation, BothMayStartAtOnce) {
  for (const std::size_t feed_bytes_max : {1, 7, 33, 65536}) {
    for (const Side first : {Side::client, Side::server}) {
      SCOPED_TRACE("feed " + std::to_string(feed_bytes_max));
      EnginePair pair = test::psk_pair(TlsVersion::tls12);
      test::settle(pair);
      pair.knobs().feed_bytes_max = feed_bytes_max;
      for (const Side side : {first, other(first)}) {
        const auto write = [side](TlsEngine& engine, CipherOut& out) {
          return engine.write(position_coded(side, 0, 20'000), out);
        };
        ASSERT_EQ(pair.call(side, write)->accepted, 20'000U);
        ASSERT_EQ(pair.call(side, renegotiate), Need::nothing);
      }
      test::settle(pair);
      EXPECT_TRUE(both_have(pair, 2));
    }
  }
}

TEST(GnutlsRenegotiation, WithoutRoomTheRefusalWaits) {
  for (const Side starter : {Side::client, Side::server}) {
    ContextConfig client = test::psk_config(Role::client, TlsVersion::tls12);
    ContextConfig server = test::psk_config(Role::server, TlsVersion::tls12);
    (starter == Side::client ? server : client).allow_renegotiation = false;
    EnginePair pair = test::pair_of(client, server);
    RIG_EXPECT_DONE(pair.run_handshake());
    test::settle(pair);
    pair.renegotiate(starter);
    pair.step(starter);
    pair.knobs().out_bytes_max = 5;
    const std::uint64_t before = pair.cipher_total(other(starter));
    pair.step(other(starter));
    EXPECT_EQ(pair.end(other(starter)).last_need, Need::room);
    EXPECT_EQ(pair.cipher_total(other(starter)), before + 5);
    test::settle(pair);
    EXPECT_GT(pair.cipher_total(other(starter)), before + 5);
    EXPECT_TRUE(both_have(pair, 1));
    pair.send(Side::client, 5000);
    pair.send(Side::server, 5000);
    RIG_EXPECT_DONE(pair.run_traffic());
    RIG_EXPECT_DONE(pair.run_close());
  }
}

}  // namespace
}  // namespace rig
