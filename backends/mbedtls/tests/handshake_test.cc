// What a handshake negotiates, refuses and resumes.
#include <gtest/gtest.h>

#include "backends/mbedtls/library.h"
#include "backends/mbedtls/tests/peers.h"

namespace rig {
namespace {

using test::client_config;
using test::context_of;
using test::engine_of;
using test::pair_of;
using test::psk_config;
using test::refusal_of;
using test::server_config;

TEST(MbedtlsContext, RefusesInWordsWhatItCannotBe) {
  ContextConfig config = client_config();
  config.version_min = config.version_max = TlsVersion::tls13;
  if (!mbedtls::has_tls13) {
    EXPECT_EQ(refusal_of(config).code(), Code::unsupported);
    EXPECT_NE(refusal_of(config).detail().find("TLS 1.3"), std::string_view::npos);
  }

  config = client_config();
  config.version_max = TlsVersion::none;
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);

  config = client_config();
  config.ca_pem.clear();
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);
  config.ca_pem = "no certificate";
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);
  config.ca_pem = ca_pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);

  config = client_config();
  config.peer_check = PeerCheck::optional;
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);

  config = client_config();
  config.alpn = {"h2", ""};
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);

  config = server_config();
  config.credentials = mismatched_credentials();
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);
  config.credentials->private_key_pem = "no key";
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);
  config.credentials->certificate_chain_pem = "no certificate";
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);
  config.credentials.reset();
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);

  config = psk_config(Role::client);
  config.psk->key.clear();
  EXPECT_EQ(refusal_of(config).code(), Code::invalid_argument);
  config.psk->key.assign(MBEDTLS_PSK_MAX_LEN + 1, 1);
  EXPECT_EQ(refusal_of(config).code(), Code::unsupported);
  config = psk_config(Role::client);
  config.psk->identity.assign(70000, 'i');
  EXPECT_EQ(refusal_of(config).code(), Code::unsupported);
}

TEST(MbedtlsBackend, SaysWhatItIs) {
  EXPECT_EQ(mbedtls_backend().name(), "mbedtls");
  // What is loaded is what the code was compiled against.
  const std::string number = "TLS " MBEDTLS_VERSION_STRING;
  EXPECT_TRUE(mbedtls_backend().runtime_version().ends_with(number)) << mbedtls_backend().runtime_version();
  EXPECT_TRUE(mbedtls_backend().capabilities().tls12);
  EXPECT_EQ(mbedtls_backend().capabilities().tls13, mbedtls::has_tls13);
}

TEST(MbedtlsHandshake, FactsAreReadBack) {
  ContextConfig client = client_config();
  ContextConfig server = server_config();
  client.alpn = {"http/1.1", "h2"};
  server.alpn = {"h2", "http/1.1"};
  EnginePair pair = pair_of(client, server);
  EXPECT_EQ(pair.engine(Side::client).facts().handshakes, 0U);
  RIG_EXPECT_DONE(pair.run_handshake());
  for (const Side side : {Side::client, Side::server}) {
    const Facts facts = pair.engine(side).facts();
    EXPECT_EQ(facts.version, TlsVersion::tls12);
    EXPECT_TRUE(facts.cipher.starts_with("TLS-ECDHE-RSA-WITH-")) << facts.cipher;
    EXPECT_EQ(facts.alpn, "h2");  // the server's preference
    EXPECT_EQ(facts.server_name, side == Side::server ? "localhost" : "");
    EXPECT_EQ(facts.peer_verified, side == Side::client);
    EXPECT_EQ(facts.handshakes, 1U);
    EXPECT_FALSE(facts.resumed);
    EXPECT_FALSE(facts.psk);
  }
}

TEST(MbedtlsHandshake, AnAddressIsNoServerName) {
  EnginePair pair = pair_of(client_config(), server_config(), {}, {.host = "127.0.0.1", .resume = {}});
  RIG_EXPECT_DONE(pair.run_handshake());
  EXPECT_EQ(pair.engine(Side::server).facts().server_name, "");
}

TEST(MbedtlsHandshake, AlpnWithoutOverlapEndsInAFatalAlert) {
  ContextConfig client = client_config();
  ContextConfig server = server_config();
  client.alpn = {"h2"};
  server.alpn = {"imap"};
  EnginePair pair = pair_of(client, server);
  EXPECT_FALSE(pair.run_handshake().done());
  EXPECT_EQ(pair.failure(Side::server)->code(), Code::handshake_failed);
  EXPECT_EQ(pair.failure(Side::client)->code(), Code::peer_alert);
  EXPECT_NE(pair.failure(Side::client)->detail().find("no_application_protocol"), std::string_view::npos);
}

TEST(MbedtlsHandshake, ADifferentPskFails) {
  ContextConfig client = psk_config(Role::client);
  client.psk->key.back() ^= 1;
  EnginePair wrong_key = pair_of(client, psk_config(Role::server));
  EXPECT_FALSE(wrong_key.run_handshake().done());
  EXPECT_EQ(wrong_key.failure(Side::server)->code(), Code::handshake_failed);
  EXPECT_NE(wrong_key.failure(Side::server)->detail().find("pre-shared key"), std::string_view::npos);
  EXPECT_EQ(wrong_key.failure(Side::client)->code(), Code::peer_alert);

  client = psk_config(Role::client);
  client.psk->identity += "2";
  EnginePair wrong_identity = pair_of(client, psk_config(Role::server));
  EXPECT_FALSE(wrong_identity.run_handshake().done());
  EXPECT_EQ(wrong_identity.failure(Side::server)->code(), Code::handshake_failed);
  EXPECT_NE(wrong_identity.failure(Side::client)->detail().find("unknown_psk_identity"), std::string_view::npos);
}

TEST(MbedtlsHandshake, PskAndCertificatesDoNotMeet) {
  EnginePair pair = pair_of(psk_config(Role::client), server_config());
  EXPECT_FALSE(pair.run_handshake().done());
  EXPECT_EQ(pair.failure(Side::server)->code(), Code::handshake_failed);
  EXPECT_EQ(pair.failure(Side::client)->code(), Code::peer_alert);
}

std::string words_for(std::string_view first_bytes) {
  const auto engine = engine_of(*context_of(server_config()));
  EXPECT_TRUE(engine->feed(as_bytes(first_bytes)).has_value());
  Bytes storage(1000);
  CipherOut out(storage);
  const auto answer = engine->handshake(out);
  EXPECT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code(), Code::protocol);
  return std::string(answer.error().detail());
}

TEST(MbedtlsHandshake, AForeignProtocolIsNamed) {
  EXPECT_NE(words_for("GET / HTTP/1.1\r\n\r\n").find("plain HTTP"), std::string::npos);
  EXPECT_NE(words_for("SSH-2.0-OpenSSH\r\n").find("\"SSH-2.0-OpenSSH\""), std::string::npos);
  EXPECT_NE(words_for("\x01\x02\x03\x04\x05\x06").find("no TLS record"), std::string::npos);
  if (mbedtls::has_tls13) {
    return;  // 3.6 looks at a record's version later, and takes messages in pieces: it waits for the rest of these two
  }
  EXPECT_NE(words_for(std::string_view("\x16\x02\x00\x00\x05hello", 10)).find("no TLS record"), std::string::npos);
  // A TLS record with nonsense inside is the peer's error too, but no foreign protocol.
  EXPECT_NE(words_for(std::string_view("\x16\x03\x01\x00\x05hello", 10)).find("handshake failed"), std::string::npos);
}

TEST(MbedtlsHandshake, AClientNamesAForeignServer) {
  const auto client = engine_of(*context_of(client_config()), {.host = "localhost", .resume = {}});
  Bytes storage(1000);
  CipherOut out(storage);
  EXPECT_EQ(*client->handshake(out), Need::input);
  ASSERT_TRUE(client->feed(as_bytes("HTTP/1.0 400 Bad Request\r\n")).has_value());
  EXPECT_EQ(client->handshake(out).error().code(), Code::protocol);
}

TEST(MbedtlsHandshake, AnEndOfInputWithinItIsATruncation) {
  for (const bool server : {false, true}) {
    const auto engine = server ? engine_of(*context_of(server_config()))
                               : engine_of(*context_of(client_config()), {.host = "localhost", .resume = {}});
    Bytes storage(1000);
    CipherOut out(storage);
    engine->end_of_input();
    EXPECT_EQ(engine->handshake(out).error().code(), Code::truncated);
    EXPECT_EQ(engine->feed(as_bytes("x")).error().code(), Code::truncated);
  }
}

TEST(MbedtlsHandshake, TheKeyLogIsInNssFormat) {
  std::vector<std::string> lines[2];
  ContextConfig client = psk_config(Role::client);
  ContextConfig server = psk_config(Role::server);
  client.key_log = [&](std::string_view line) { lines[0].emplace_back(line); };
  server.key_log = [&](std::string_view line) { lines[1].emplace_back(line); };
  EnginePair pair = pair_of(client, server);
  std::string hello;
  pair.tamper([&](Side from, std::uint64_t offset, Bytes& cipher) {
    if (from == Side::client && offset == 0) {
      hello.assign(as_text(cipher));
    }
  });
  RIG_EXPECT_DONE(pair.run_handshake());
  ASSERT_EQ(lines[0].size(), 1U);
  EXPECT_EQ(lines[0], lines[1]);
  // The client's random stands in its hello behind 5 bytes of record, 4 of message and 2 of version.
  std::string random;
  for (const char c : hello.substr(11, 32)) {
    constexpr std::string_view digits = "0123456789abcdef";
    random += digits[static_cast<std::uint8_t>(c) >> 4];
    random += digits[static_cast<std::uint8_t>(c) & 15];
  }
  EXPECT_TRUE(lines[0][0].starts_with("CLIENT_RANDOM " + random + " ")) << lines[0][0];
  EXPECT_EQ(lines[0][0].size(), 14U + 64 + 1 + 96);
}

TEST(MbedtlsHandshake, AKeyLogThatThrowsEndsTheEngine) {
  for (const bool memory : {false, true}) {
    ContextConfig client = psk_config(Role::client);
    client.key_log = [memory](std::string_view) {
      if (memory) {
        throw std::bad_alloc();
      }
      throw 1;
    };
    EnginePair pair = pair_of(client, psk_config(Role::server));
    EXPECT_FALSE(pair.run_handshake().done());
    EXPECT_EQ(pair.failure(Side::client)->code(), memory ? Code::no_memory : Code::internal);
  }
}

TEST(MbedtlsHandshake, AKeyLogThatThrowsWithinARenegotiationEndsTheEngine) {
  unsigned lines = 0;
  ContextConfig client = psk_config(Role::client);
  client.allow_renegotiation = true;
  client.key_log = [&lines](std::string_view) {
    if (++lines == 2) {
      throw std::bad_alloc();
    }
  };
  ContextConfig server = psk_config(Role::server);
  server.allow_renegotiation = true;
  EnginePair pair = pair_of(client, server);
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.renegotiate(Side::client);
  EXPECT_EQ(pair.run([] { return false; }).kind, PairOutcome::Kind::failed);
  EXPECT_EQ(pair.failure(Side::client)->code(), Code::no_memory);
}

struct ResumptionCase {
  bool psk;
  bool client_tickets;
  bool server_tickets;
  bool resumed;
};

TEST(MbedtlsResumption, BothSidesAgreeThatASessionWasTakenUpAgain) {
  for (const ResumptionCase& c :
       {ResumptionCase{false, true, true, true}, ResumptionCase{true, true, true, true},
        ResumptionCase{false, true, false, false}, ResumptionCase{false, false, true, false}}) {
    SCOPED_TRACE(std::to_string(c.psk) + std::to_string(c.client_tickets) + std::to_string(c.server_tickets));
    ContextConfig client_settings = c.psk ? psk_config(Role::client) : client_config();
    ContextConfig server_settings = c.psk ? psk_config(Role::server) : server_config();
    client_settings.session_tickets = c.client_tickets;
    server_settings.session_tickets = c.server_tickets;
    const auto client = context_of(client_settings);
    const auto server = context_of(server_settings);
    EngineConfig connection{.host = "localhost", .resume = {}};
    for (int round = 0; round < 3; ++round) {
      EnginePair pair(engine_of(*client, connection), engine_of(*server));
      RIG_EXPECT_DONE(pair.run_handshake());
      EXPECT_EQ(pair.engine(Side::client).facts().resumed, c.resumed && round > 0);
      EXPECT_EQ(pair.engine(Side::server).facts().resumed, c.resumed && round > 0);
      EXPECT_EQ(pair.engine(Side::client).facts().peer_verified, !c.psk);
      EXPECT_EQ(pair.engine(Side::server).facts().psk, c.psk);
      pair.send(Side::client, 100000);
      pair.send(Side::server, 100000);
      RIG_EXPECT_DONE(pair.run_traffic());
      connection.resume = *pair.engine(Side::client).session();
      EXPECT_EQ(connection.resume.empty(), !c.client_tickets);
      EXPECT_EQ(pair.engine(Side::server).session().error().code(), Code::unsupported);
      RIG_EXPECT_DONE(pair.run_close());
    }
  }
}

TEST(MbedtlsResumption, ASessionThatTheServerDoesNotKnowBecomesAFullHandshake) {
  const auto client = context_of(psk_config(Role::client));
  const auto server = context_of(psk_config(Role::server));
  EnginePair first(engine_of(*client, {.host = "localhost", .resume = {}}), engine_of(*server));
  RIG_EXPECT_DONE(first.run_handshake());
  const Bytes session = *first.engine(Side::client).session();
  // Another server has other ticket keys and an empty cache: it must fall back to a full handshake.
  const auto stranger = context_of(psk_config(Role::server));
  EnginePair second(engine_of(*client, {.host = "localhost", .resume = session}), engine_of(*stranger));
  RIG_EXPECT_DONE(second.run_handshake());
  EXPECT_FALSE(second.engine(Side::client).facts().resumed);
  EXPECT_FALSE(second.engine(Side::server).facts().resumed);
}

TEST(MbedtlsResumption, ASessionDoesNotGoRoundTheChecks) {
  ContextConfig careless;
  careless.peer_check = PeerCheck::none;
  const auto server = context_of(server_config());
  EnginePair unchecked(engine_of(*context_of(careless), {.host = "localhost", .resume = {}}), engine_of(*server));
  RIG_EXPECT_DONE(unchecked.run_handshake());
  const Bytes unverified = *unchecked.engine(Side::client).session();
  ASSERT_FALSE(unverified.empty());

  const auto careful = context_of(client_config());
  EnginePair full(engine_of(*careful, {.host = "localhost", .resume = unverified}), engine_of(*server));
  RIG_EXPECT_DONE(full.run_handshake());
  EXPECT_FALSE(full.engine(Side::client).facts().resumed);
  EXPECT_TRUE(full.engine(Side::client).facts().peer_verified);

  const Bytes verified = *full.engine(Side::client).session();
  EnginePair other_host(engine_of(*careful, {.host = "other.test", .resume = verified}), engine_of(*server));
  EXPECT_FALSE(other_host.run_handshake().done());
  EXPECT_EQ(other_host.failure(Side::client)->code(), Code::verification_failed);

  EnginePair psk(engine_of(*context_of(psk_config(Role::client)), {.host = "localhost", .resume = verified}),
                 engine_of(*context_of(psk_config(Role::server))));
  RIG_EXPECT_DONE(psk.run_handshake());
  EXPECT_FALSE(psk.engine(Side::client).facts().resumed);

  EnginePair again(engine_of(*context_of(careless), {.host = "", .resume = verified}), engine_of(*server));
  RIG_EXPECT_DONE(again.run_handshake());
  EXPECT_TRUE(again.engine(Side::client).facts().resumed);
}

TEST(MbedtlsResumption, ASessionThatCannotBeReadIsRefused) {
  const Bytes nonsense(40, 7);
  EXPECT_EQ(context_of(client_config())->make_engine({.host = "localhost", .resume = nonsense}).error().code(),
            Code::invalid_argument);
  EXPECT_EQ(context_of(server_config())->make_engine({.host = "", .resume = nonsense}).error().code(),
            Code::invalid_argument);
  const auto client = engine_of(*context_of(client_config()), {.host = "localhost", .resume = {}});
  EXPECT_TRUE(client->session()->empty());
}

}  // namespace
}  // namespace rig
