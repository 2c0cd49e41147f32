// Sessions, names and keys: what a resumption may not go round, and what facts() makes of it.
#include <openssl/pem.h>

#include <stdexcept>
#include <thread>

#include "backends/openssl/tests/peers.h"

namespace rig {
namespace {

using namespace test;

using Bio = std::unique_ptr<BIO, decltype([](BIO* bio) { BIO_free(bio); })>;
using Key = std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* key) { EVP_PKEY_free(key); })>;

// Sessions are a client and a server context, and a session of theirs.
struct Sessions {
  std::shared_ptr<const Context> client;
  std::shared_ptr<const Context> server;
  Bytes session;

  EnginePair connect(const EngineConfig& config) const { return {engine_of(*client, config), engine_of(*server)}; }
  EnginePair resume(const std::string& host = "localhost") const { return connect({.host = host, .resume = session}); }
};

Sessions sessions(const ContextConfig& client, const ContextConfig& server) {
  Sessions made{.client = context_of(client), .server = context_of(server), .session = {}};
  EnginePair pair = made.connect({.host = "localhost", .resume = {}});
  EXPECT_TRUE(pair.engine(Side::client).session()->empty()) << "there is none before the handshake";
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.send(Side::server, 10);
  RIG_EXPECT_DONE(pair.run_traffic());
  settle(pair);
  auto session = pair.engine(Side::client).session();
  EXPECT_TRUE(session.has_value());
  made.session = *session;
  EXPECT_EQ(code_of(pair.engine(Side::server).session()), Code::unsupported);
  RIG_EXPECT_DONE(pair.run_close());
  return made;
}

bool resumes(EnginePair pair) {
  RIG_EXPECT_DONE(pair.run_handshake());
  const bool resumed = pair.engine(Side::client).facts().resumed;
  EXPECT_EQ(pair.engine(Side::server).facts().resumed, resumed);
  pair.send(Side::client, 1000);
  RIG_EXPECT_DONE(pair.run_traffic());
  return resumed;
}

TEST(OpensslSession, ASessionIsTakenUpAndSaysWhoThePeerIs) {
  for (const TlsVersion version : both_versions) {
    const Sessions made = sessions(client_config(version), server_config(version));
    ASSERT_FALSE(made.session.empty());
    EXPECT_TRUE(resumes(made.resume()));
    EnginePair pair = made.resume();
    RIG_EXPECT_DONE(pair.run_handshake());
    EXPECT_TRUE(pair.engine(Side::client).facts().peer_verified);
    EXPECT_EQ(pair.engine(Side::server).facts().server_name, "localhost");
    EXPECT_FALSE(pair.engine(Side::client).facts().psk);
  }
}

// The library repeats none of these checks when it resumes.
TEST(OpensslSession, ASessionIsNotTakenUpForAnotherHost) {
  for (const TlsVersion version : both_versions) {
    const Sessions made = sessions(client_config(version), server_config(version));
    EXPECT_TRUE(resumes(made.resume("tlsrig.test"))) << "another name of the same certificate";
    EXPECT_TRUE(resumes(made.resume("127.0.0.1")));
    for (const char* host : {"elsewhere.test", "127.0.0.2", ".wild.test"}) {
      EnginePair pair = made.resume(host);
      EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
      ASSERT_TRUE(pair.failure(Side::client).has_value());
      EXPECT_EQ(pair.failure(Side::client)->code(), Code::verification_failed);
    }
  }
}

TEST(OpensslSession, ASessionWithoutVerificationIsNotTakenUpByOneThatVerifies) {
  for (const TlsVersion version : both_versions) {
    ContextConfig careless = client_config(version);
    careless.peer_check = PeerCheck::none;  // with trust anchors that would have accepted the chain
    Sessions made = sessions(careless, server_config(version));
    EXPECT_TRUE(resumes(made.resume())) << "it suits the one who made it";
    made.client = context_of(client_config(version));
    EXPECT_FALSE(resumes(made.resume()));
  }
}

TEST(OpensslSession, KeysAndCertificatesDoNotMix) {
  for (const TlsVersion version : both_versions) {
    const Sessions keys = sessions(psk_config(Role::client, version), psk_config(Role::server, version));
    ASSERT_FALSE(keys.session.empty());
    EXPECT_TRUE(resumes(keys.resume()));
    EnginePair pair = keys.resume();
    RIG_EXPECT_DONE(pair.run_handshake());
    EXPECT_TRUE(pair.engine(Side::client).facts().psk);
    EXPECT_TRUE(pair.engine(Side::server).facts().psk);
    EXPECT_FALSE(pair.engine(Side::client).facts().peer_verified);
    Sessions certificates = sessions(client_config(version), server_config(version));
    certificates.session = keys.session;
    EXPECT_FALSE(resumes(certificates.resume()));
    // A server that has lost its ticket keys falls back to the external key.
    Sessions forgotten = keys;
    forgotten.server = context_of(psk_config(Role::server, version));
    EXPECT_FALSE(resumes(forgotten.resume()));
  }
}

TEST(OpensslSession, WhatIsNoSessionIsRefused) {
  const Sessions made = sessions(client_config(TlsVersion::tls13), server_config(TlsVersion::tls13));
  Bytes longer = made.session;
  longer.push_back(0);
  EXPECT_EQ(code_of(made.client->make_engine({.host = "localhost", .resume = longer})), Code::invalid_argument);
  EXPECT_EQ(code_of(made.server->make_engine({.host = "", .resume = made.session})), Code::invalid_argument);
  for (std::size_t size = 1; size < made.session.size(); size += 7) {
    const Bytes shorter(made.session.begin(), made.session.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(code_of(made.client->make_engine({.host = "localhost", .resume = shorter})), Code::invalid_argument);
  }
}

TEST(OpensslSession, AHostThatNoNameCanBeIsRefused) {
  const auto context = context_of(client_config(TlsVersion::tls13));
  EXPECT_EQ(code_of(context->make_engine({.host = std::string("local\0host", 10), .resume = {}})),
            Code::invalid_argument);
  EXPECT_EQ(code_of(context->make_engine({.host = std::string(256, 'a'), .resume = {}})), Code::invalid_argument);
}

TEST(OpensslSession, ContextsThatCannotBe) {
  const auto code = [](ContextConfig config, auto change) {
    change(config);
    return code_of(openssl_backend().make_context(config));
  };
  const ContextConfig client = client_config(TlsVersion::tls13);
  const ContextConfig key = psk_config(Role::client, TlsVersion::tls13);
  const auto invalid = std::optional(Code::invalid_argument);
  EXPECT_EQ(code(client, [](auto& c) { c.version_max = TlsVersion::tls12; }), invalid);
  EXPECT_EQ(code(client, [](auto& c) { c.version_min = TlsVersion::none; }), invalid);
  EXPECT_EQ(code(client, [](auto& c) { c.peer_check = PeerCheck::optional; }), invalid);
  EXPECT_EQ(code(client, [](auto& c) { c.alpn = {""}; }), invalid);
  EXPECT_EQ(code(client, [](auto& c) { c.alpn = {std::string(256, 'a')}; }), invalid);
  EXPECT_EQ(code(client, [](auto& c) { c.alpn.assign(300, std::string(255, 'a')); }), invalid);
  EXPECT_EQ(code(key, [](auto& c) { c.psk->key.clear(); }), invalid);
  EXPECT_EQ(code(key, [](auto& c) { c.psk->identity.clear(); }), invalid);
  EXPECT_EQ(code(key, [](auto& c) { c.psk->identity.push_back('\0'); }), invalid);
  EXPECT_EQ(code(key, [](auto& c) { c.psk->identity.assign(256, 'i'); }), Code::unsupported);
  EXPECT_EQ(code(key, [](auto& c) { c.psk->key.assign(513, 1); }), Code::unsupported);
}

TEST(OpensslSession, AnEncryptedKeyIsRefusedAndNobodyIsAskedForAPassword) {
  const Credentials plain = credentials(Identity::server);
  const Bio source(BIO_new_mem_buf(plain.private_key_pem.c_str(), -1));
  const Key key(PEM_read_bio_PrivateKey(source.get(), nullptr, nullptr, nullptr));
  const Bio sink(BIO_new(BIO_s_mem()));
  char password[] = "secret";
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(sink.get(), key.get(), EVP_aes_128_cbc(), password, 6, nullptr, nullptr), 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(sink.get(), &text);
  ContextConfig config = server_config(TlsVersion::tls13);
  config.credentials->private_key_pem.assign(text, static_cast<std::size_t>(size));
  EXPECT_EQ(code_of(openssl_backend().make_context(config)), Code::invalid_argument);
}

// The longest key and identity that are accepted also work.
TEST(OpensslSession, TheLongestKeyWorks) {
  for (const TlsVersion version : both_versions) {
    ContextConfig client = psk_config(Role::client, version);
    client.psk = Psk{.identity = std::string(255, 'i'), .key = Bytes(512, 9)};
    ContextConfig server = psk_config(Role::server, version);
    server.psk = client.psk;
    EnginePair pair = pair_of(client, server);
    RIG_EXPECT_DONE(pair.run_handshake());
    EXPECT_TRUE(pair.engine(Side::server).facts().psk);
    EXPECT_FALSE(pair.engine(Side::server).facts().resumed);
  }
}

TEST(OpensslSession, AKeyLogThatThrowsEndsTheConnectionAndNotTheProcess) {
  for (const TlsVersion version : both_versions) {
    for (const bool memory : {true, false}) {
      ContextConfig client = client_config(version);
      client.key_log = [memory](std::string_view) {
        if (memory) {
          throw std::bad_alloc();
        }
        throw std::runtime_error("no");
      };
      EnginePair pair = pair_of(client, server_config(version));
      EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
      ASSERT_TRUE(pair.failure(Side::client).has_value());
      EXPECT_EQ(pair.failure(Side::client)->code(), memory ? Code::no_memory : Code::internal);
      EXPECT_FALSE(pair.end(Side::client).handshake_done);
    }
  }
}

// A client that was told to use a key accepts no certificate in its place.
TEST(OpensslSession, ACertificateInPlaceOfAKeyIsRefused) {
  EnginePair pair = pair_of(psk_config(Role::client, TlsVersion::tls13), server_config(TlsVersion::tls13));
  EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
  ASSERT_TRUE(pair.failure(Side::client).has_value());
  EXPECT_EQ(pair.failure(Side::client)->code(), Code::verification_failed);
  EXPECT_NE(pair.failure(Side::client)->detail().find("pre-shared key"), std::string_view::npos);
}

// Engines of one context run in several threads at once, and each thread has an error queue of its own.
TEST(OpensslSession, EnginesOfOneContextAreIndependent) {
  const auto client = context_of(client_config(TlsVersion::tls13));
  const auto server = context_of(server_config(TlsVersion::tls13));
  const auto life = [&] {
    for (int turn = 0; turn < 5; ++turn) {
      EnginePair pair(engine_of(*client, {.host = turn % 2 == 0 ? "localhost" : "elsewhere.test", .resume = {}}),
                      engine_of(*server));
      EXPECT_EQ(pair.run_handshake().done(), turn % 2 == 0);
      EXPECT_EQ(ERR_peek_error(), 0U);
    }
  };
  std::thread one(life);
  std::thread two(life);
  one.join();
  two.join();
}

TEST(OpensslSession, RuntimeVersionNamesTheLibrary) {
  EXPECT_TRUE(openssl_backend().runtime_version().starts_with("OpenSSL 3."));
  EXPECT_EQ(openssl_backend().name(), "openssl");
}

}  // namespace
}  // namespace rig
