// Contexts, sessions and names: what is refused, and in which class.
#include <gnutls/abstract.h>

#include <functional>
#include <string>

#include "backends/gnutls/errors.h"
#include "backends/gnutls/tests/peers.h"
#include "backends/gnutls/tests/raw_peer.h"
#include "backends/gnutls/verify.h"

namespace rig {
namespace {

TEST(GnutlsContext, WhatCannotBeIsRefusedInWords) {
  struct Row {
    const char* about;
    Role role;
    std::function<void(ContextConfig&)> change;
    Code code;
  };
  const Row rows[] = {
      {"no version", Role::client, [](auto& c) { c.version_min = TlsVersion::none; }, Code::invalid_argument},
      {"versions upside down", Role::client,
       [](auto& c) {
         c.version_min = TlsVersion::tls13;
         c.version_max = TlsVersion::tls12;
       },
       Code::invalid_argument},
      {"a key without bytes", Role::client, [](auto& c) { c.psk = Psk{.identity = "me", .key = {}}; },
       Code::invalid_argument},
      {"a key without identity", Role::server, [](auto& c) { c.psk = Psk{.identity = "", .key = {1}}; },
       Code::invalid_argument},
      {"a server's certificate optional", Role::client, [](auto& c) { c.peer_check = PeerCheck::optional; },
       Code::invalid_argument},
      {"an empty protocol", Role::client, [](auto& c) { c.alpn = {""}; }, Code::invalid_argument},
      {"a protocol beyond the standard", Role::client, [](auto& c) { c.alpn = {std::string(256, 'x')}; },
       Code::invalid_argument},
      {"a protocol beyond the library", Role::client, [](auto& c) { c.alpn = {std::string(32, 'x')}; },
       Code::unsupported},
      {"nine protocols", Role::client, [](auto& c) { c.alpn = std::vector<std::string>(9, "x"); }, Code::unsupported},
      {"an anchor that cannot be read", Role::client,
       [](auto& c) { c.ca_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"; },
       Code::invalid_argument},
      {"no certificate among the anchors", Role::client, [](auto& c) { c.ca_pem = "\n"; }, Code::invalid_argument},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.about);
    ContextConfig config = row.role == Role::client ? test::client_config() : test::server_config();
    row.change(config);
    const Error error = test::refusal_of(config);
    EXPECT_EQ(error.code(), row.code) << error.detail();
    EXPECT_FALSE(error.detail().empty());
  }
}

TEST(GnutlsContext, TheLongestProtocolsWork) {
  ContextConfig client = test::psk_config(Role::client, TlsVersion::tls13);
  client.alpn = std::vector<std::string>(8, std::string(31, 'x'));
  ContextConfig server = test::psk_config(Role::server, TlsVersion::tls13);
  server.alpn = {std::string(31, 'x')};
  EnginePair pair = test::pair_of(client, server);
  RIG_EXPECT_DONE(pair.run_handshake());
  EXPECT_EQ(pair.engine(Side::client).facts().alpn, std::string(31, 'x'));
}

TEST(GnutlsContext, EnginesThatCannotBeAreRefused) {
  const auto code = [](const Context& context, const EngineConfig& config) {
    const auto engine = context.make_engine(config);
    return engine.has_value() ? Code::internal : engine.error().code();
  };
  const auto client = test::context_of(test::client_config());
  const auto server = test::context_of(test::server_config());
  EXPECT_EQ(code(*client, {.host = "", .resume = {}}), Code::invalid_argument);
  EXPECT_EQ(code(*client, {.host = std::string("local\0host", 10), .resume = {}}), Code::invalid_argument);
  EXPECT_EQ(code(*client, {.host = "localhost", .resume = Bytes(100)}), Code::invalid_argument);
  EXPECT_EQ(code(*server, {.host = "", .resume = Bytes(100)}), Code::invalid_argument);
}

// A session is taken up only where the same would be checked.
TEST(GnutlsContext, ASessionIsBoundToItsChecks) {
  for (const TlsVersion version : {TlsVersion::tls12, TlsVersion::tls13}) {
    ContextConfig verifying = test::client_config();
    verifying.version_min = verifying.version_max = version;
    ContextConfig blind = verifying;
    blind.peer_check = PeerCheck::none;
    ContextConfig other_anchors = verifying;
    other_anchors.ca_pem += other_ca_pem();
    const auto server = test::context_of(test::server_config());
    const auto connect = [&](const ContextConfig& config, const std::string& host, Bytes resume) {
      EnginePair pair(test::engine_of(*test::context_of(config), {.host = host, .resume = std::move(resume)}),
                      test::engine_of(*server));
      RIG_EXPECT_DONE(pair.run_handshake());
      pair.send(Side::server, 1);
      RIG_EXPECT_DONE(pair.run_traffic());
      return std::pair(pair.engine(Side::client).facts(), *pair.engine(Side::client).session());
    };
    for (const ContextConfig& first : {verifying, blind}) {
      const Bytes session = connect(first, "localhost", {}).second;
      ASSERT_FALSE(session.empty());
      const bool verified = first.peer_check != PeerCheck::none;
      const Facts same = connect(first, "localhost", session).first;
      EXPECT_TRUE(same.resumed);
      EXPECT_EQ(same.peer_verified, verified);
      EXPECT_FALSE(connect(first, "tlsrig.test", session).first.resumed);
      EXPECT_FALSE(connect(other_anchors, "localhost", session).first.resumed);
      EXPECT_FALSE(connect(verified ? blind : verifying, "localhost", session).first.resumed);
    }
    Bytes garbled = connect(verifying, "localhost", {}).second;
    garbled.resize(garbled.size() / 2);
    const auto engine = test::context_of(verifying)->make_engine({.host = "localhost", .resume = garbled});
    ASSERT_FALSE(engine.has_value());
    EXPECT_EQ(engine.error().code(), Code::invalid_argument);
  }
}

TEST(GnutlsContext, AResumedServerKeepsItsClientsCertificate) {
  for (const TlsVersion version : {TlsVersion::tls12, TlsVersion::tls13}) {
    ContextConfig client = test::client_config();
    client.version_min = client.version_max = version;
    client.credentials = credentials(Identity::client);
    ContextConfig server = test::server_config();
    server.peer_check = PeerCheck::verify;
    server.ca_pem = ca_pem();
    const auto client_context = test::context_of(client);
    const auto server_context = test::context_of(server);
    EngineConfig config{.host = "localhost", .resume = {}};
    for (const bool resumed : {false, true}) {
      EnginePair pair(test::engine_of(*client_context, config), test::engine_of(*server_context));
      RIG_EXPECT_DONE(pair.run_handshake());
      test::settle(pair);
      EXPECT_EQ(pair.engine(Side::server).facts().resumed, resumed);
      EXPECT_TRUE(pair.engine(Side::server).facts().peer_verified);
      config.resume = *pair.engine(Side::client).session();
      ASSERT_FALSE(config.resume.empty());
    }
  }
}

// A peer that has a raw public key only (RFC 7250) finds no engine that takes it.
TEST(GnutlsContext, RawPublicKeysAreRefused) {
  const auto engine = test::engine_of(*test::context_of(test::client_config()), {.host = "localhost", .resume = {}});
  const Credentials server = credentials(Identity::server);
  gnutls_certificate_credentials_t raw = nullptr;
  ASSERT_EQ(gnutls_certificate_allocate_credentials(&raw), 0);
  const gnutls::CertificateCredentials owned(raw);
  gnutls_x509_privkey_t key = nullptr;
  ASSERT_EQ(gnutls_x509_privkey_init(&key), 0);
  const gnutls::Owned<gnutls_x509_privkey_t, gnutls_x509_privkey_deinit> owned_key(key);
  const gnutls_datum_t key_pem{reinterpret_cast<unsigned char*>(const_cast<char*>(server.private_key_pem.data())),
                               static_cast<unsigned>(server.private_key_pem.size())};
  ASSERT_EQ(gnutls_x509_privkey_import(key, &key_pem, GNUTLS_X509_FMT_PEM), 0);
  gnutls_pubkey_t public_key = nullptr;
  ASSERT_EQ(gnutls_pubkey_init(&public_key), 0);
  const gnutls::Owned<gnutls_pubkey_t, gnutls_pubkey_deinit> owned_public_key(public_key);
  gnutls_privkey_t private_key = nullptr;
  ASSERT_EQ(gnutls_privkey_init(&private_key), 0);
  const gnutls::Owned<gnutls_privkey_t, gnutls_privkey_deinit> owned_private_key(private_key);
  ASSERT_EQ(gnutls_privkey_import_x509(private_key, key, 0), 0);
  ASSERT_EQ(gnutls_pubkey_import_privkey(public_key, private_key, 0, 0), 0);
  gnutls::Datum spki;
  ASSERT_EQ(gnutls_pubkey_export2(public_key, GNUTLS_X509_FMT_DER, spki.get()), 0);
  gnutls_datum_t pkcs8{};
  ASSERT_EQ(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_DER, nullptr, GNUTLS_PKCS_PLAIN, &pkcs8), 0);
  ASSERT_EQ(
      gnutls_certificate_set_rawpk_key_mem(raw, spki.get(), &pkcs8, GNUTLS_X509_FMT_DER, nullptr, 0, nullptr, 0, 0), 0);
  gnutls_free(pkcs8.data);
  test::RawPeer peer(*engine, GNUTLS_SERVER | GNUTLS_ENABLE_RAWPK, "NORMAL:-CTYPE-ALL:+CTYPE-RAWPK");
  ASSERT_EQ(gnutls_credentials_set(peer.session(), GNUTLS_CRD_CERTIFICATE, raw), 0);
  EXPECT_LT(peer.handshake(), 0);
  EXPECT_EQ(engine->facts().handshakes, 0U);
  EXPECT_FALSE(engine->facts().peer_verified);
}

TEST(GnutlsVerify, ANameThatCannotBeMappedIsNotSent) {
  ContextConfig client = test::client_config();
  client.peer_check = PeerCheck::none;
  EnginePair pair(test::engine_of(*test::context_of(client), {.host = "xn--\xff", .resume = {}}),
                  test::engine_of(*test::context_of(test::server_config())));
  RIG_EXPECT_DONE(pair.run_handshake());
  EXPECT_EQ(pair.engine(Side::server).facts().server_name, "");
}

TEST(GnutlsVerify, AnExpiredCertificateIsExplained) {
  EnginePair pair = test::pair_of(test::client_config(), test::server_config(Identity::expired));
  EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
  const Error& client = *pair.failure(Side::client);
  EXPECT_EQ(client.code(), Code::verification_failed);
  EXPECT_NE(client.detail().find("expired"), std::string_view::npos) << client.detail();
  EXPECT_NE(pair.failure(Side::server)->detail().find("certificate_expired"), std::string_view::npos);
}

TEST(GnutlsErrors, EachKindHasItsClass) {
  using gnutls::connection_error;
  using gnutls::Evidence;
  const Evidence later;
  const Evidence first{.in_handshake = true};
  struct Row {
    int number;
    Code in_handshake;
    Code after;
  };
  const Row rows[] = {
      {GNUTLS_E_MEMORY_ERROR, Code::no_memory, Code::no_memory},
      {GNUTLS_E_FATAL_ALERT_RECEIVED, Code::peer_alert, Code::peer_alert},
      {GNUTLS_E_PREMATURE_TERMINATION, Code::truncated, Code::truncated},
      {GNUTLS_E_CERTIFICATE_ERROR, Code::verification_failed, Code::verification_failed},
      {GNUTLS_E_NO_CERTIFICATE_FOUND, Code::verification_failed, Code::verification_failed},
      {GNUTLS_E_UNEXPECTED_PACKET, Code::protocol, Code::protocol},
      {GNUTLS_E_DECRYPTION_FAILED, Code::handshake_failed, Code::protocol},
      {GNUTLS_E_INTERNAL_ERROR, Code::handshake_failed, Code::protocol},
      {GNUTLS_E_INVALID_SESSION, Code::internal, Code::internal},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(connection_error(row.number, first).code(), row.in_handshake) << gnutls_strerror_name(row.number);
    EXPECT_EQ(connection_error(row.number, later).code(), row.after) << gnutls_strerror_name(row.number);
    EXPECT_EQ(connection_error(row.number, later).number(), row.number);
  }
  EXPECT_EQ(connection_error(GNUTLS_E_UNEXPECTED_PACKET, {.end_seen = true}).code(), Code::truncated);
  EXPECT_NE(connection_error(GNUTLS_E_FATAL_ALERT_RECEIVED, {.received_alert = 255}).detail().find("unknown alert"),
            std::string_view::npos);
  EXPECT_EQ(gnutls::library_error(Code::internal, "trying", GNUTLS_E_MEMORY_ERROR).code(), Code::no_memory);
}

TEST(GnutlsErrors, StrangersAreNamed) {
  const auto words = [](std::string_view bytes) {
    const Error error =
        gnutls::connection_error(GNUTLS_E_UNEXPECTED_PACKET, {.in_handshake = true, .first_bytes = as_bytes(bytes)});
    EXPECT_EQ(error.code(), Code::protocol);
    return std::string(error.detail());
  };
  EXPECT_EQ(words("GET / HTTP/1.1\r\n"), "the peer speaks plain HTTP, not TLS");
  EXPECT_EQ(words("220 mail ready\r\n"),
            "the peer does not speak TLS: its first bytes are plain text (\"220 mail ready\")");
  EXPECT_EQ(words("\x01\x02\x03"), "the peer does not speak TLS: its first bytes are no TLS record");
  EXPECT_NE(words("\x16\x03\x03").find("the handshake failed"), std::string::npos);
}

}  // namespace
}  // namespace rig
