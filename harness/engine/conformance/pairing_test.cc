// Every pairing: handshake, echo, clean close, and facts on which both sides agree.
#include <algorithm>
#include <array>
#include <regex>
#include <set>

#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

void pairing_count_is_what_the_capabilities_promise() {
  ASSERT_FALSE(tls_backends().empty()) << "this build has no TLS library: nothing would be tested";
  std::size_t expected = 0;
  for (const TlsVersion version : {TlsVersion::tls12, TlsVersion::tls13}) {
    for (const bool psk : {true, false}) {
      std::size_t capable = 0;
      for (const Backend* backend : backends()) {
        const Capabilities& can = backend->capabilities();
        const bool speaks = version == TlsVersion::tls12 ? can.tls12 : can.tls13;
        capable += speaks && (psk ? can.psk : can.certificates) ? 1 : 0;
      }
      expected += capable * capable;
    }
  }
  EXPECT_EQ(cells().size(), expected);
  std::set<std::string> names;
  for (const Cell& cell : cells()) {
    names.insert(cell.name());
  }
  EXPECT_EQ(names.size(), expected) << "names must tell the cells apart";
  // The three libraries that the rig is released with: nine pairings over TLS 1.2 and at least four over TLS 1.3, each
  // with a pre-shared key and with certificates. A backend that declares less of itself by mistake shows here.
  const bool complete = find_backend("openssl") && find_backend("gnutls") && find_backend("mbedtls");
  if (complete) {
    EXPECT_GE(expected, 26U);
  }
}

void capabilities_are_consistent(const Backend& backend) {
  const Capabilities& can = backend.capabilities();
  EXPECT_TRUE(can.certificates || can.psk) << "a TLS library must have some authentication";
  EXPECT_TRUE(can.close_notify);
  EXPECT_FALSE(can.update_keys && !can.tls13) << "key updates belong to TLS 1.3";
  const bool renegotiates = can.renegotiate_as_client || can.renegotiate_as_server;
  EXPECT_FALSE(renegotiates && !can.tls12) << "renegotiation belongs to TLS 1.2";
  EXPECT_FALSE(can.renegotiate_in_flight && !renegotiates);
  EXPECT_FALSE(backend.runtime_version().empty());
  EXPECT_EQ(find_backend(backend.name()), &backend);
}

// says_what_it_is: the version is the library's name and its number, and a thread that has left nothing behind is told
// of nothing.
void says_what_it_is(const Cell& cell) {
  const Backend& backend = *cell.client;
  static const std::regex name_and_number("[A-Za-z]+( TLS)? [0-9]+([.][0-9]+)+[^ ]*");
  EXPECT_TRUE(std::regex_match(backend.runtime_version(), name_and_number)) << backend.runtime_version();
  const AmbientSource* const ambient = backend.ambient();
  if (ambient == nullptr) {
    return;
  }
  EXPECT_NE(std::string_view(ambient->name), "");
  ambient->clear();
  std::array<char, 100> sentence{};
  EXPECT_EQ(ambient->peek(sentence.data(), sentence.size()), 0U);
  EXPECT_STREQ(sentence.data(), "");
}

void facts_agree(const Cell& cell, EnginePair& pair) {
  const Facts client = pair.engine(Side::client).facts();
  const Facts server = pair.engine(Side::server).facts();
  EXPECT_EQ(client.library, cell.client->name());
  EXPECT_EQ(server.library, cell.server->name());
  EXPECT_EQ(client.version, cell.version);
  EXPECT_EQ(server.version, cell.version);
  EXPECT_FALSE(client.cipher.empty());
  EXPECT_FALSE(server.cipher.empty());
  EXPECT_EQ(client.alpn, "");
  EXPECT_EQ(server.alpn, "");
  EXPECT_EQ(server.server_name, "localhost");
  EXPECT_EQ(client.server_name, "");
  EXPECT_EQ(client.handshakes, 1U);
  EXPECT_EQ(server.handshakes, 1U);
  EXPECT_FALSE(client.resumed);
  EXPECT_FALSE(server.resumed);
  EXPECT_EQ(client.psk, cell.auth == Auth::psk);
  EXPECT_EQ(server.psk, cell.auth == Auth::psk);
  EXPECT_EQ(client.peer_verified, cell.auth == Auth::certificate);
  EXPECT_FALSE(server.peer_verified) << "no client certificate was asked for";
  EXPECT_EQ(client.key_updates_out + client.key_updates_in, 0U);
  EXPECT_EQ(server.key_updates_out + server.key_updates_in, 0U);
}

void handshake_echo_close(const Cell& cell) {
  EnginePair pair = connect(cell, default_setup(cell));
  require_done(pair.run_handshake(), "the handshake");
  facts_agree(cell, pair);
  // One side speaks, then the other: an echo; then both at once.
  pair.send(Side::client, 1000);
  require_done(pair.run_traffic(), "client to server");
  pair.send(Side::server, 1000);
  require_done(pair.run_traffic(), "server to client");
  expect_traffic(pair, 50'000);
  for (const Side side : {Side::client, Side::server}) {
    const auto again = pair.call(side, [](TlsEngine& engine, CipherOut& out) { return engine.handshake(out); });
    EXPECT_EQ(again, Need::nothing) << "a handshake that is done stays done";
  }
  expect_done(pair.run_close());
  facts_agree(cell, pair);
}

// With both sides open to all versions, the highest that both have is taken.
void highest_common_version(const Cell& cell) {
  Setup setup = default_setup(cell);
  for (const Side side : {Side::client, Side::server}) {
    setup.context(side).version_min =
        has(cell.backend(side), TlsVersion::tls12) ? TlsVersion::tls12 : TlsVersion::tls13;
    setup.context(side).version_max = TlsVersion::tls13;
  }
  const bool both_13 = has(*cell.client, TlsVersion::tls13) && has(*cell.server, TlsVersion::tls13);
  EnginePair pair = connect(cell, setup);
  require_done(pair.run_handshake(), "the handshake");
  EXPECT_EQ(pair.engine(Side::client).facts().version, both_13 ? TlsVersion::tls13 : TlsVersion::tls12);
  EXPECT_EQ(pair.engine(Side::server).facts().version, both_13 ? TlsVersion::tls13 : TlsVersion::tls12);
  expect_traffic(pair, 1000);
  expect_done(pair.run_close());
}

// A side that will have one version only, against one that will have the other only: refused by the server, in words.
void no_common_version(const Cell& cell) {
  const TlsVersion server_version = cell.version == TlsVersion::tls12 ? TlsVersion::tls13 : TlsVersion::tls12;
  Setup setup = default_setup(cell);
  setup.server.version_min = server_version;
  setup.server.version_max = server_version;
  EnginePair pair = connect(cell, setup);
  EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
  // A TLS 1.3 client learns of an older server from its ServerHello and refuses itself; else the server refuses.
  const bool server_refused =
      pair.failure(Side::server).has_value() && pair.failure(Side::server)->code() != Code::peer_alert;
  expect_failure(pair, server_refused ? Side::server : Side::client, {Code::handshake_failed, Code::protocol});
  expect_failure(pair, server_refused ? Side::client : Side::server, {Code::peer_alert});
  expect_dead(pair, Side::client);
  expect_dead(pair, Side::server);
}

void missing_version_is_unsupported(Backend& backend) {
  for (const TlsVersion version : {TlsVersion::tls12, TlsVersion::tls13}) {
    for (const Role role : {Role::client, Role::server}) {
      ContextConfig config;
      config.role = role;
      config.version_min = version;
      config.version_max = version;
      config.psk = test_psk();
      const auto context = backend.make_context(config);
      EXPECT_EQ(code_of(context), has(backend, version) ? std::nullopt : std::optional(Code::unsupported))
          << version_name(version);
    }
  }
}

}  // namespace

void register_pairing_tests() {
  add_test("pairings", "count_is_what_the_capabilities_promise", pairing_count_is_what_the_capabilities_promise);
  for (Backend* backend : tls_backends()) {
    const std::string name(backend->name());
    add_test("capabilities_are_consistent", name, [backend] { capabilities_are_consistent(*backend); });
    add_test("missing_version_is_unsupported", name, [backend] { missing_version_is_unsupported(*backend); });
  }
  std::vector<Cell> one_each = cells(Auth::psk);
  std::erase_if(one_each,
                [](const Cell& cell) { return cell.client != cell.server || cell.version != TlsVersion::tls12; });
  add_cell_test("says_what_it_is", one_each, says_what_it_is);
  add_cell_test("handshake_echo_close", cells(), handshake_echo_close);
  std::vector<Cell> ranges = cells(Auth::certificate);
  std::erase_if(ranges, [](const Cell& cell) {
    const bool both_13 = has(*cell.client, TlsVersion::tls13) && has(*cell.server, TlsVersion::tls13);
    return cell.version != (both_13 ? TlsVersion::tls13 : TlsVersion::tls12);
  });
  add_cell_test("highest_common_version", ranges, highest_common_version);

  // Here the cell's version is the client's; the server will have the other one only.
  std::vector<Cell> disjoint;
  for (Backend* client : tls_backends()) {
    for (Backend* server : tls_backends()) {
      if (has(*client, TlsVersion::tls13) && has(*server, TlsVersion::tls12)) {
        disjoint.push_back({client, server, TlsVersion::tls13, Auth::certificate});
      }
      if (has(*client, TlsVersion::tls12) && has(*server, TlsVersion::tls13)) {
        disjoint.push_back({client, server, TlsVersion::tls12, Auth::certificate});
      }
    }
  }
  add_cell_test("no_common_version", disjoint, no_common_version);
}

}  // namespace rig::conformance
