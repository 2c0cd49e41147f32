// The name rule, as a table and over real handshakes; what a failed verification says.
#include "backends/mbedtls/verify.h"

#include <gtest/gtest.h>

#include "backends/mbedtls/tests/peers.h"

namespace rig {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

struct HostCase {
  Identity identity;
  std::string host;
  bool accepted;
};

TEST(MbedtlsNames, AHandshakeAcceptsExactlyTheNamesOfTheCertificate) {
  const HostCase cases[] = {
      {Identity::server, "localhost", true},
      {Identity::server, "LOCALHOST", true},
      {Identity::server, "tlsrig.test", true},
      {Identity::server, "a.wild.test", true},
      {Identity::server, "a.b.wild.test", false},
      {Identity::server, "wild.test", false},
      {Identity::server, "tlsrig server", false},
      {Identity::server, "127.0.0.1", true},
      {Identity::server, "::1", true},
      {Identity::server, "0:0:0:0:0:0:0:1", true},
      {Identity::server, "127.0.0.2", false},
      {Identity::server, "::2", false},
      {Identity::cn_only, "localhost", false},
      {Identity::wrong_host, "localhost", false},
      {Identity::ip_as_dns, "127.0.0.1", false},
      {Identity::chained, "localhost", true},
      {Identity::wrong_host, "elsewhere.test", true},
  };
  const auto client = test::context_of(test::client_config());
  for (const HostCase& c : cases) {
    SCOPED_TRACE(std::string(identity_name(c.identity)) + " as " + c.host);
    EnginePair pair(test::engine_of(*client, {.host = c.host, .resume = {}}),
                    test::engine_of(*test::context_of(test::server_config(c.identity))));
    EXPECT_EQ(pair.run_handshake().done(), c.accepted);
    EXPECT_EQ(pair.engine(Side::client).facts().peer_verified, c.accepted);
    if (!c.accepted) {
      EXPECT_EQ(pair.failure(Side::client)->code(), Code::verification_failed);
      EXPECT_NE(pair.failure(Side::client)->detail().find("not issued to '" + c.host + "'"), std::string_view::npos);
      EXPECT_EQ(pair.failure(Side::server)->code(), Code::peer_alert);
      EXPECT_NE(pair.failure(Side::server)->detail().find("bad_certificate"), std::string_view::npos);
    }
  }
}

struct ChainCase {
  Identity identity;
  std::string_view says;
  std::string_view alert;
};

TEST(MbedtlsVerify, ABadChainIsRefusedInWords) {
  const ChainCase cases[] = {
      {Identity::untrusted, "not correctly signed", "unknown_ca"},
      {Identity::expired, "expired", "certificate_expired"},
      {Identity::not_yet_valid, "future", "certificate_unknown"},
  };
  for (const ChainCase& c : cases) {
    SCOPED_TRACE(identity_name(c.identity));
    EnginePair pair = test::pair_of(test::client_config(), test::server_config(c.identity));
    EXPECT_FALSE(pair.run_handshake().done());
    EXPECT_EQ(pair.failure(Side::client)->code(), Code::verification_failed);
    EXPECT_NE(pair.failure(Side::client)->detail().find(c.says), std::string_view::npos)
        << pair.failure(Side::client)->detail();
    EXPECT_NE(pair.failure(Side::server)->detail().find(c.alert), std::string_view::npos)
        << pair.failure(Side::server)->detail();
  }
}

TEST(MbedtlsVerify, NothingIsCheckedOnlyIfThatIsAskedFor) {
  ContextConfig client;
  client.peer_check = PeerCheck::none;
  EnginePair pair = test::pair_of(client, test::server_config(Identity::untrusted), {}, {.host = "", .resume = {}});
  RIG_EXPECT_DONE(pair.run_handshake());
  EXPECT_FALSE(pair.engine(Side::client).facts().peer_verified);
}

TEST(MbedtlsVerify, AClientThatVerifiesMustHaveAHost) {
  const auto client = test::context_of(test::client_config());
  EXPECT_EQ(client->make_engine({}).error().code(), Code::invalid_argument);
  EXPECT_EQ(client->make_engine({.host = "local\0host"s, .resume = {}}).error().code(), Code::invalid_argument);
  EXPECT_EQ(client->make_engine({.host = std::string(300, 'a'), .resume = {}}).error().code(), Code::invalid_argument);
}

struct ClientCase {
  PeerCheck check;
  std::optional<Identity> identity;
  bool accepted;
  bool verified;
};

TEST(MbedtlsVerify, AServerChecksClientCertificatesAsItWasTold) {
  const ClientCase cases[] = {
      {PeerCheck::verify, Identity::client, true, true},
      {PeerCheck::verify, std::nullopt, false, false},
      {PeerCheck::verify, Identity::untrusted_client, false, false},
      {PeerCheck::optional, Identity::client, true, true},
      {PeerCheck::optional, std::nullopt, true, false},
      {PeerCheck::optional, Identity::untrusted_client, false, false},
      {PeerCheck::optional, Identity::expired, false, false},
      {PeerCheck::optional, Identity::server, false, false},  // trusted, but for servers only
      {PeerCheck::verify, Identity::server, false, false},
      {PeerCheck::none, Identity::client, true, false},
      {PeerCheck::none, Identity::untrusted_client, true, false},
  };
  for (const ClientCase& c : cases) {
    SCOPED_TRACE(std::string(c.identity ? identity_name(*c.identity) : "none") + " with check " +
                 std::to_string(static_cast<int>(c.check)));
    ContextConfig client = test::client_config();
    if (c.identity.has_value()) {
      client.credentials = credentials(*c.identity);
    }
    ContextConfig server = test::server_config();
    server.peer_check = c.check;
    server.ca_pem = ca_pem();
    EnginePair pair = test::pair_of(client, server);
    EXPECT_EQ(pair.run_handshake().done(), c.accepted);
    EXPECT_EQ(pair.engine(Side::server).facts().peer_verified, c.verified);
    if (!c.accepted) {
      EXPECT_EQ(pair.failure(Side::server)->code(), Code::verification_failed) << pair.failure(Side::server)->detail();
      EXPECT_EQ(pair.failure(Side::client)->code(), Code::peer_alert) << pair.failure(Side::client)->detail();
    }
  }
}

}  // namespace
}  // namespace rig
