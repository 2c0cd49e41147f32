// TLS 1.3, where the library has it: what is decided in another way than under TLS 1.2.
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/mbedtls/tests/peers.h"

namespace rig {
namespace {

using test::context_of;
using test::engine_of;

struct Configs {
  ContextConfig client;
  ContextConfig server;
};

Configs configs(bool psk) {
  Configs both{psk ? test::psk_config(Role::client) : test::client_config(),
               psk ? test::psk_config(Role::server) : test::server_config()};
  both.client.version_max = both.server.version_max = TlsVersion::tls13;
  return both;
}

EnginePair pair_of(const Configs& both, const PairKnobs& knobs = {}) {
  return test::pair_of(both.client, both.server, knobs);
}

// session_of is what the client of a connection has once a ticket could have arrived.
Bytes session_of(EnginePair& pair) {
  pair.send(Side::server, 100);
  RIG_EXPECT_DONE(pair.run_traffic());
  return *pair.engine(Side::client).session();
}

TEST(MbedtlsTls13, IsTakenWhereBothHaveIt) {
  for (const bool psk : {true, false}) {
    EnginePair pair = pair_of(configs(psk));
    RIG_EXPECT_DONE(pair.run_handshake());
    for (const Side side : {Side::client, Side::server}) {
      const Facts facts = pair.engine(side).facts();
      EXPECT_EQ(facts.version, TlsVersion::tls13);
      EXPECT_TRUE(facts.cipher.starts_with("TLS1-3-")) << facts.cipher;
      EXPECT_EQ(facts.psk, psk);
      EXPECT_EQ(facts.peer_verified, side == Side::client && !psk);
      EXPECT_FALSE(facts.resumed);
    }
    RIG_EXPECT_DONE(pair.run_close());
  }
}

TEST(MbedtlsTls13, AHandshakePassesOneByteAtATime) {
  PairKnobs knobs;
  knobs.out_bytes_max = knobs.feed_bytes_max = 1;
  for (const bool psk : {true, false}) {
    EnginePair pair = pair_of(configs(psk), knobs);
    RIG_EXPECT_DONE(pair.run_handshake());
    pair.send(Side::client, 40'000);
    pair.send(Side::server, 40'000);
    RIG_EXPECT_DONE(pair.run_traffic());
    RIG_EXPECT_DONE(pair.run_close());
  }
}

TEST(MbedtlsTls13, ASessionIsTakenUpAgainForItsHostOnly) {
  const Configs both = configs(false);
  const auto client = context_of(both.client);
  const auto server = context_of(both.server);
  EnginePair first(engine_of(*client, {.host = "localhost", .resume = {}}), engine_of(*server));
  RIG_EXPECT_DONE(first.run_handshake());
  EXPECT_TRUE(first.engine(Side::client).session()->empty()) << "no ticket has come yet";
  const Bytes session = session_of(first);
  ASSERT_FALSE(session.empty());
  EXPECT_EQ(*first.engine(Side::client).session(), session) << "it can be asked for again";
  for (const bool same_host : {true, false}) {
    const std::string host = same_host ? "localhost" : "tlsrig.test";
    EnginePair again(engine_of(*client, {.host = host, .resume = session}), engine_of(*server));
    RIG_EXPECT_DONE(again.run_handshake());
    EXPECT_EQ(again.engine(Side::client).facts().resumed, same_host);
    EXPECT_EQ(again.engine(Side::server).facts().resumed, same_host);
    EXPECT_TRUE(again.engine(Side::client).facts().peer_verified);
  }
}

TEST(MbedtlsTls13, AServerThatAsksForCertificatesGivesNoTickets) {
  Configs both = configs(false);
  both.server.peer_check = PeerCheck::verify;
  both.server.ca_pem = ca_pem();
  both.client.credentials = credentials(Identity::client);
  EnginePair pair = pair_of(both);
  RIG_EXPECT_DONE(pair.run_handshake());
  EXPECT_TRUE(pair.engine(Side::server).facts().peer_verified);
  EXPECT_TRUE(session_of(pair).empty());
}

// Left to itself the library makes the alert anew for each call that has too little room for it.
TEST(MbedtlsTls13, AFatalAlertIsSentOnceHoweverSmallTheRoom) {
  Configs both = configs(true);
  both.client.psk->key.back() ^= 1;
  constexpr std::size_t alert_bytes = 7;  // in the clear
  for (const std::size_t room : {1, 6, 7, 65536}) {
    PairKnobs knobs;
    knobs.out_bytes_max = room;
    EnginePair pair = pair_of(both, knobs);
    EXPECT_FALSE(pair.run_handshake().done());
    EXPECT_EQ(pair.failure(Side::server)->code(), Code::handshake_failed) << pair.failure(Side::server)->detail();
    EXPECT_EQ(pair.cipher_total(Side::server), std::min(room, alert_bytes));
    if (room >= alert_bytes) {
      EXPECT_EQ(pair.failure(Side::client)->code(), Code::peer_alert);
      EXPECT_NE(pair.failure(Side::client)->detail().find("decrypt_error"), std::string_view::npos);
    }
  }
}

TEST(MbedtlsTls13, HasNeitherRenegotiationsNorKeyUpdates) {
  Configs both = configs(true);
  both.client.allow_renegotiation = both.server.allow_renegotiation = true;
  EnginePair pair = pair_of(both);
  RIG_EXPECT_DONE(pair.run_handshake());
  for (const Side side : {Side::client, Side::server}) {
    Bytes storage(1000);
    CipherOut out(storage);
    EXPECT_EQ(pair.engine(side).renegotiate(out).error().code(), Code::unsupported);
    EXPECT_EQ(pair.engine(side).update_keys(out).error().code(), Code::unsupported);
    EXPECT_EQ(out.size(), 0U);
  }
  pair.send(Side::client, 1000);
  pair.send(Side::server, 1000);
  RIG_EXPECT_DONE(pair.run_traffic());
}

}  // namespace
}  // namespace rig
