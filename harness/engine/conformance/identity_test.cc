// Who the peer is: certificates, names, client certificates, pre-shared keys. Each refusal has its class, on both
// sides.
#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

// The alerts of refusals (RFC 8446, section 6.2). A library may choose among those that say the same.
constexpr int bad_record_mac = 20;
constexpr int handshake_failure = 40;
constexpr int no_certificate = 41;  // of SSL 3.0; mbedTLS says so under TLS 1.3
constexpr int bad_certificate = 42;
constexpr int unsupported_certificate = 43;
constexpr int certificate_expired = 45;
constexpr int certificate_unknown = 46;
constexpr int illegal_parameter = 47;
constexpr int unknown_ca = 48;
constexpr int access_denied = 49;
constexpr int decrypt_error = 51;
constexpr int missing_extension = 109;
constexpr int unknown_psk_identity = 115;
constexpr int certificate_required = 116;
using Alerts = const std::vector<int>&;

// refused runs a handshake that `verifier` must refuse with verification_failed and one of `alerts`, and looks at what
// is left behind.
void refused(EnginePair& pair, Side verifier, Alerts alerts) {
  pair.send(Side::client, 100);
  pair.send(Side::server, 100);
  EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::failed);
  expect_failure(pair, verifier, {Code::verification_failed});
  expect_alert(pair, other(verifier), alerts);
  EXPECT_FALSE(pair.end(verifier).handshake_done);
  EXPECT_EQ(pair.end(verifier).written, 0U) << "a side that refused its peer may not have accepted data for it";
  EXPECT_EQ(pair.end(other(verifier)).received, 0U) << "nothing may leak to a peer that was refused";
  EXPECT_EQ(pair.end(verifier).received, 0U);
  EXPECT_FALSE(pair.engine(verifier).facts().peer_verified);
  expect_dead(pair, verifier);
  expect_dead(pair, other(verifier));
}

void refused_server(const Cell& cell, Identity identity, const std::string& host, Alerts alerts) {
  SCOPED_TRACE(std::string(identity_name(identity)) + " as " + host);
  Setup setup = default_setup(cell);
  setup.server.credentials = credentials(identity);
  setup.connect.host = host;
  EnginePair pair = connect(cell, setup);
  refused(pair, Side::client, alerts);
}

void server_certificates(const Cell& cell) {
  refused_server(cell, Identity::untrusted, "localhost", {unknown_ca});
  refused_server(cell, Identity::expired, "localhost", {certificate_expired});
  refused_server(cell, Identity::not_yet_valid, "localhost", {bad_certificate, certificate_unknown});
  refused_server(cell, Identity::wrong_host, "localhost", {bad_certificate});
  refused_server(cell, Identity::cn_only, "localhost", {bad_certificate});
  refused_server(cell, Identity::ip_as_dns, "127.0.0.1", {bad_certificate});

  Setup setup = default_setup(cell);
  setup.server.credentials = credentials(Identity::chained);
  EnginePair pair = connect(cell, setup);
  require_done(pair.run_handshake(), "a chain with an intermediate authority");
  EXPECT_TRUE(pair.engine(Side::client).facts().peer_verified);
}

// A certificate for client authentication on a server: a server may refuse to use it, else the client refuses it.
void server_with_a_client_certificate(const Cell& cell) {
  Setup setup = default_setup(cell);
  setup.client.peer_check = PeerCheck::verify;
  setup.server.credentials = credentials(Identity::client);
  EnginePair pair = connect(cell, setup);
  EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
  EXPECT_FALSE(pair.end(Side::client).handshake_done);
  const bool client_refused =
      pair.failure(Side::client).has_value() && pair.failure(Side::client)->code() == Code::verification_failed;
  expect_failure(pair, Side::server, {client_refused ? Code::peer_alert : Code::handshake_failed});
  expect_failure(pair, Side::client, {client_refused ? Code::verification_failed : Code::peer_alert});
}

// odd_names: what stands before a host's name in a certificate hides it from nobody, and is no name of a host.
void odd_names(const Cell& cell) {
  Setup setup = default_setup(cell);
  setup.server.credentials = credentials(Identity::odd_names);
  for (const char* host : {"localhost", "a.wild.test", "127.0.0.1", "::1"}) {
    SCOPED_TRACE(host);
    setup.connect.host = host;
    EnginePair pair = connect(cell, setup);
    expect_done(pair.run_handshake());
    EXPECT_TRUE(pair.engine(Side::client).facts().peer_verified);
  }
  refused_server(cell, Identity::odd_names, "someone@tlsrig.test", {bad_certificate});
  refused_server(cell, Identity::odd_names, "elsewhere.test", {bad_certificate});
}

// The same names are accepted and refused by every client.
void names(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  struct Row {
    const char* host;
    bool accepted;
  };
  const Row rows[] = {
      {"localhost", true},       {"LOCALHOST", true},   {"tlsrig.test", true},     {"a.wild.test", true},
      {"A.WILD.test", true},     {"wild.test", false},  {"a.b.wild.test", false},  {"elsewhere.test", false},
      {"127.0.0.1", true},       {"::1", true},         {"127.0.0.2", false},      {"::2", false},
      {"0:0:0:0:0:0:0:1", true}, {"localhos", false},   {"localhost.test", false}, {"tlsrig server", false},
      {".wild.test", false},     {"xlocalhost", false}, {"a-1.wild.test", true},   {"a_b.wild.test", false},
      {"a%b.wild.test", false},  {"localhost.", false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.host);
    EngineConfig config;
    config.host = row.host;
    EnginePair pair = contexts.connect(config);
    const PairOutcome outcome = pair.run_handshake();
    EXPECT_EQ(outcome.done(), row.accepted) << outcome.detail;
    if (!row.accepted) {
      expect_failure(pair, Side::client, {Code::verification_failed});
      EXPECT_NE(error_text(pair.failure(Side::client)).find(row.host), std::string::npos)
          << "it is not said who was expected: " << error_text(pair.failure(Side::client));
      expect_alert(pair, Side::server, {bad_certificate});
    } else if (outcome.done()) {
      EXPECT_TRUE(pair.engine(Side::client).facts().peer_verified);
      const bool address = std::string_view(row.host).find_first_not_of("0123456789.:") == std::string_view::npos;
      if (address) {
        EXPECT_EQ(pair.engine(Side::server).facts().server_name, "") << "an address is never sent as SNI";
      }
    }
  }
}

void a_host_that_cannot_be_asked_for_is_invalid(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  for (const std::string& host : {std::string(), std::string("local\0host", 10), std::string(256, 'a')}) {
    EngineConfig config;
    config.host = host;
    EXPECT_EQ(code_of(contexts.client->make_engine(config)), Code::invalid_argument) << host;
  }
}

void check_none_accepts_what_was_asked_for(const Cell& cell) {
  Setup setup = default_setup(cell);
  setup.client.peer_check = PeerCheck::none;
  setup.client.ca_pem.clear();
  setup.server.credentials = credentials(Identity::untrusted);
  for (const char* host : {"elsewhere.test", ""}) {
    setup.connect.host = host;
    EnginePair pair = connect(cell, setup);
    require_done(pair.run_handshake(), "nothing is checked");
    EXPECT_FALSE(pair.engine(Side::client).facts().peer_verified) << "nothing was verified";
    EXPECT_EQ(pair.engine(Side::server).facts().server_name, host);
    expect_traffic(pair, 100);
  }
}

Setup client_certificate_setup(const Cell& cell, PeerCheck check, std::optional<Identity> identity) {
  Setup setup = default_setup(cell);
  setup.server.peer_check = check;
  setup.server.ca_pem = ca_pem();
  if (identity.has_value()) {
    setup.client.credentials = credentials(*identity);
  }
  return setup;
}

void client_certificates(const Cell& cell) {
  struct Row {
    PeerCheck check;
    std::optional<Identity> identity;
    bool accepted;
    bool verified;
    std::vector<int> alerts = {};
  };
  const std::vector<int> missing = {handshake_failure, no_certificate, bad_certificate, certificate_required};
  const std::vector<int> unfit = {bad_certificate, unsupported_certificate};
  const Row rows[] = {
      {PeerCheck::verify, Identity::client, true, true},
      {PeerCheck::verify, std::nullopt, false, false, missing},
      {PeerCheck::verify, Identity::untrusted_client, false, false, {unknown_ca}},
      {PeerCheck::verify, Identity::server, false, false, unfit},  // not for client authentication
      {PeerCheck::optional, Identity::client, true, true},
      {PeerCheck::optional, std::nullopt, true, false},
      {PeerCheck::optional, Identity::untrusted_client, false, false, {unknown_ca, access_denied}},
      {PeerCheck::none, Identity::client, true, false},
      {PeerCheck::none, Identity::untrusted_client, true, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE("check " + std::to_string(static_cast<int>(row.check)) + ", client has " +
                 (row.identity.has_value() ? std::string(identity_name(*row.identity)) : "none"));
    EnginePair pair = connect(cell, client_certificate_setup(cell, row.check, row.identity));
    if (!row.accepted) {
      refused(pair, Side::server, row.alerts);
      continue;
    }
    require_done(pair.run_handshake(), "an acceptable client");
    EXPECT_EQ(pair.engine(Side::server).facts().peer_verified, row.verified);
    EXPECT_TRUE(pair.engine(Side::client).facts().peer_verified);
    expect_traffic(pair, 100);
    expect_done(pair.run_close());
  }
}

void wrong_psk(const Cell& cell) {
  for (const bool wrong_key : {true, false}) {
    SCOPED_TRACE(wrong_key ? "wrong key" : "wrong identity");
    Setup setup = default_setup(cell);
    if (wrong_key) {
      setup.client.psk->key.back() ^= 1;
    } else {
      setup.client.psk->identity = "somebody else";
    }
    EnginePair pair = connect(cell, setup);
    pair.send(Side::client, 100);
    pair.send(Side::server, 100);
    EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::failed);
    expect_failure(pair, Side::server, {Code::handshake_failed, Code::protocol, Code::verification_failed});
    const bool tls13 = cell.version == TlsVersion::tls13;
    const std::vector<int> wrong_secret =
        tls13 ? std::vector<int>{illegal_parameter, decrypt_error} : std::vector<int>{bad_record_mac};
    std::vector<int> unknown = {unknown_psk_identity, handshake_failure};
    if (tls13) {
      unknown.push_back(missing_extension);  // a client that has a key only says nothing of signatures
    }
    expect_alert(pair, Side::client, wrong_key ? wrong_secret : unknown);
    EXPECT_EQ(pair.end(Side::client).received + pair.end(Side::server).received, 0U);
    EXPECT_FALSE(pair.engine(Side::server).facts().psk && pair.end(Side::server).handshake_done);
    expect_dead(pair, Side::client);
    expect_dead(pair, Side::server);
  }
}

// psk_and_certificate_do_not_mix: a side that was told to use a key falls back to nothing else.
void psk_and_certificate_do_not_mix(const Cell& cell) {
  for (const Side psk_side : {Side::client, Side::server}) {
    Setup setup = default_setup(cell);
    setup.context(psk_side) = ContextConfig{};
    setup.context(psk_side).role = psk_side == Side::client ? Role::client : Role::server;
    setup.context(psk_side).version_min = cell.version;
    setup.context(psk_side).version_max = cell.version;
    setup.context(psk_side).psk = test_psk();
    EnginePair pair = connect(cell, setup);
    EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
    EXPECT_FALSE(pair.end(psk_side).handshake_done);
  }
}

// refusal is why `backend` refuses a context that is right but for `change`, and nothing if it makes it. It comes with
// words.
std::optional<Error> refusal(Backend& backend, Role role, const std::function<void(ContextConfig&)>& change) {
  ContextConfig config;
  config.role = role;
  config.ca_pem = ca_pem();
  if (role == Role::server) {
    config.credentials = credentials(Identity::server);
  }
  change(config);
  const auto context = backend.make_context(config);
  if (context.has_value()) {
    return std::nullopt;
  }
  expect_words(context.error());
  return context.error();
}

// made answers the class of the refusal only.
std::optional<Code> made(Backend& backend, Role role, const std::function<void(ContextConfig&)>& change) {
  const auto error = refusal(backend, role, change);
  return error.has_value() ? std::optional(error->code()) : std::nullopt;
}

void unusable_contexts(Backend& backend) {
  const auto code = [&backend](auto change, Role role) { return made(backend, role, change); };
  const auto invalid = std::optional(Code::invalid_argument);
  EXPECT_EQ(code([](ContextConfig&) {}, Role::client), std::nullopt);
  EXPECT_EQ(code([](ContextConfig&) {}, Role::server), std::nullopt);
  EXPECT_EQ(code([](ContextConfig& c) { c.credentials = mismatched_credentials(); }, Role::server), invalid);
  EXPECT_EQ(code([](ContextConfig& c) { c.credentials = mismatched_credentials(); }, Role::client), invalid);
  EXPECT_EQ(code([](ContextConfig& c) { c.credentials->certificate_chain_pem = "rubbish"; }, Role::server), invalid);
  EXPECT_EQ(code([](ContextConfig& c) { c.credentials->private_key_pem = "rubbish"; }, Role::server), invalid);
  EXPECT_EQ(code([](ContextConfig& c) { c.credentials.reset(); }, Role::server), invalid);
  EXPECT_EQ(code([](ContextConfig& c) { c.ca_pem = "rubbish"; }, Role::client), invalid);
  EXPECT_EQ(code([](ContextConfig& c) { c.ca_pem.clear(); }, Role::client), invalid);
  // One that cannot be read among others that can is no chain, and a trust anchor that is missing.
  constexpr const char* unreadable = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n";
  EXPECT_EQ(code([](ContextConfig& c) { c.ca_pem += unreadable; }, Role::client), invalid);
  EXPECT_EQ(code([](ContextConfig& c) { c.credentials->certificate_chain_pem += unreadable; }, Role::server), invalid);
  const auto demanding = [](ContextConfig& c) {
    c.ca_pem.clear();
    c.peer_check = PeerCheck::verify;
  };
  EXPECT_EQ(code(demanding, Role::server), invalid);
}

// checks_and_anchors: who is checked needs trust anchors, who is not needs none, and a server's certificate is not
// optional.
void checks_and_anchors(Backend& backend) {
  const auto invalid = std::optional(Code::invalid_argument);
  for (const bool anchors : {true, false}) {
    const auto code = [&backend, anchors](Role role, PeerCheck check) {
      return made(backend, role, [anchors, check](ContextConfig& config) {
        config.peer_check = check;
        config.ca_pem = anchors ? ca_pem() : "";
      });
    };
    const auto if_anchors = anchors ? std::nullopt : invalid;
    EXPECT_EQ(code(Role::client, PeerCheck::verify), if_anchors);
    EXPECT_EQ(code(Role::client, PeerCheck::optional), invalid);
    EXPECT_EQ(code(Role::client, PeerCheck::none), std::nullopt);
    EXPECT_EQ(code(Role::server, PeerCheck::verify), if_anchors);
    EXPECT_EQ(code(Role::server, PeerCheck::optional), if_anchors);
    EXPECT_EQ(code(Role::server, PeerCheck::none), std::nullopt);
  }
}

// keys_have_bounds: a key and its identity are not empty; the shortest is taken, and one that is too long for the
// library is no mistake of the caller.
void keys_have_bounds(Backend& backend) {
  for (const Role role : {Role::client, Role::server}) {
    const auto code = [&backend, role](std::string identity, std::size_t key_bytes) {
      return made(backend, role, [&identity, key_bytes](ContextConfig& config) {
        config.credentials.reset();
        config.ca_pem.clear();
        config.psk = Psk{.identity = identity, .key = Bytes(key_bytes, 7)};
      });
    };
    EXPECT_EQ(code("somebody", 0), Code::invalid_argument);
    EXPECT_EQ(code("", 16), Code::invalid_argument);
    EXPECT_EQ(code("s", 1), std::nullopt);
    EXPECT_EQ(code("somebody", 32), std::nullopt);
    EXPECT_NE(code("somebody", 100'000), Code::invalid_argument);
    EXPECT_NE(code("somebody", 100'000), Code::internal);
  }
}

// says is true if `number` stands in `text`, not as a part of another one.
bool says(std::string_view text, std::size_t number) {
  const std::string digits = std::to_string(number);
  constexpr std::string_view any = "0123456789";
  for (std::size_t at = text.find(digits); at != std::string_view::npos; at = text.find(digits, at + 1)) {
    const bool begins = at == 0 || !any.contains(text[at - 1]);
    const std::size_t end = at + digits.size();
    if (begins && (end == text.size() || !any.contains(text[end]))) {
      return true;
    }
  }
  return false;
}

// largest answers the largest number of bytes, from 1 on, with which a context is made; the next one is too many, which
// is no mistake of the caller, and the words say how many are not.
std::size_t largest(const std::function<std::optional<Error>(std::size_t)>& refusal_of) {
  constexpr std::size_t far_too_many = 100'000;
  std::size_t taken = 1;
  std::size_t refused = far_too_many;
  while (refused - taken > 1) {
    const std::size_t middle = taken + (refused - taken) / 2;
    (refusal_of(middle).has_value() ? refused : taken) = middle;
  }
  EXPECT_FALSE(refusal_of(taken).has_value());
  const auto error = refusal_of(taken + 1);
  if (!error.has_value()) {
    ADD_FAILURE() << taken << " bytes are taken and so are more";
    return taken;
  }
  EXPECT_EQ(error->code(), Code::unsupported) << "of more than " << taken << " bytes";
  EXPECT_TRUE(says(error->detail(), taken)) << "the bound is " << taken << ": " << error->detail();
  return taken;
}

// the_longest_keys_work: what a context takes as a key, and as its identity, can be used.
void the_longest_keys_work(const Cell& cell) {
  Backend& backend = *cell.client;
  const auto with = [&backend](const Psk& psk) {
    return refusal(backend, Role::client, [&psk](ContextConfig& config) {
      config.credentials.reset();
      config.ca_pem.clear();
      config.psk = psk;
    });
  };
  const std::size_t key_bytes =
      largest([&with](std::size_t bytes) { return with({.identity = "somebody", .key = Bytes(bytes, 7)}); });
  const std::size_t identity_bytes =
      largest([&with](std::size_t bytes) { return with({.identity = std::string(bytes, 'i'), .key = Bytes(16, 7)}); });
  for (const Psk& psk : {Psk{.identity = "somebody", .key = Bytes(key_bytes, 7)},
                         Psk{.identity = std::string(identity_bytes, 'i'), .key = Bytes(16, 7)}}) {
    SCOPED_TRACE("an identity of " + std::to_string(psk.identity.size()) + " bytes and a key of " +
                 std::to_string(psk.key.size()));
    Setup setup = default_setup(cell);
    setup.client.psk = psk;
    setup.server.psk = psk;
    EnginePair pair = connect(cell, setup);
    expect_traffic(pair, 100);
    EXPECT_TRUE(pair.engine(Side::server).facts().psk);
  }
}

// the_longest_protocols_work: a name of any length that a context takes can be agreed on.
void the_longest_protocols_work(const Cell& cell) {
  for (std::size_t bytes = 255;; --bytes) {
    ASSERT_GT(bytes, 0U);
    Setup setup = default_setup(cell);
    setup.client.alpn = {std::string(bytes, 'p')};
    setup.server.alpn = setup.client.alpn;
    if (!cell.client->make_context(setup.client).has_value()) {
      continue;
    }
    EnginePair pair = connect(cell, setup);
    require_done(pair.run_handshake(), "a protocol whose name is long");
    EXPECT_EQ(pair.engine(Side::server).facts().alpn, setup.client.alpn.front());
    EXPECT_EQ(pair.engine(Side::client).facts().alpn, setup.client.alpn.front());
    return;
  }
}

// protocols_have_bounds: 1 to 255 bytes (RFC 7301); what only this library does not take is unsupported.
void protocols_have_bounds(Backend& backend) {
  for (const Role role : {Role::client, Role::server}) {
    const auto code = [&backend, role](std::vector<std::string> protocols) {
      return made(backend, role, [&protocols](ContextConfig& config) { config.alpn = protocols; });
    };
    EXPECT_EQ(code({""}), Code::invalid_argument);
    EXPECT_EQ(code({"one", ""}), Code::invalid_argument);
    EXPECT_EQ(code({std::string(256, 'p')}), Code::invalid_argument);
    EXPECT_EQ(code({"p"}), std::nullopt);
    EXPECT_EQ(code({"one", "two"}), std::nullopt);
    const auto longest = code({std::string(255, 'p')});
    EXPECT_TRUE(longest == std::nullopt || longest == Code::unsupported);
  }
}

// versions_have_an_order: the highest is not below the lowest, and there is one at all.
void versions_have_an_order(Backend& backend) {
  for (const Role role : {Role::client, Role::server}) {
    const auto code = [&backend, role](TlsVersion min, TlsVersion max) {
      return made(backend, role, [min, max](ContextConfig& config) {
        config.version_min = min;
        config.version_max = max;
      });
    };
    EXPECT_EQ(code(TlsVersion::tls12, TlsVersion::none), Code::invalid_argument);
    if (has(backend, TlsVersion::tls13)) {
      EXPECT_EQ(code(TlsVersion::tls13, TlsVersion::tls12), Code::invalid_argument);
    }
    EXPECT_EQ(code(TlsVersion::tls12, TlsVersion::tls12), std::nullopt);
    EXPECT_EQ(code(TlsVersion::tls12, TlsVersion::tls13), std::nullopt);
  }
}

// own is every backend with itself as the peer.
std::vector<Cell> own(Auth auth) {
  std::vector<Cell> list = cells(auth);
  std::erase_if(list, [](const Cell& cell) { return cell.client != cell.server; });
  return list;
}

}  // namespace

void register_identity_tests() {
  const std::vector<Cell> certificates = cells(Auth::certificate);
  add_cell_test("server_certificates", certificates, server_certificates);
  add_cell_test("server_with_a_client_certificate", certificates, server_with_a_client_certificate);
  add_cell_test("names", own(Auth::certificate), names);
  add_cell_test("odd_names", own(Auth::certificate), odd_names);
  add_cell_test("a_host_that_cannot_be_asked_for_is_invalid", own(Auth::certificate),
                a_host_that_cannot_be_asked_for_is_invalid);
  add_cell_test("check_none_accepts_what_was_asked_for", certificates, check_none_accepts_what_was_asked_for);
  add_cell_test("client_certificates", certificates, client_certificates);
  add_cell_test("wrong_psk", cells(Auth::psk), wrong_psk);
  std::vector<Cell> both = certificates;
  std::erase_if(both,
                [](const Cell& cell) { return !cell.client->capabilities().psk || !cell.server->capabilities().psk; });
  add_cell_test("psk_and_certificate_do_not_mix", both, psk_and_certificate_do_not_mix);
  // What a configuration may be is no matter of the version, so one cell for each backend is enough.
  std::vector<Cell> one_each = own(Auth::certificate);
  std::erase_if(one_each, [](const Cell& cell) { return cell.version != TlsVersion::tls12; });
  add_cell_test("checks_and_anchors", one_each, [](const Cell& cell) { checks_and_anchors(*cell.client); });
  add_cell_test("versions_have_an_order", one_each, [](const Cell& cell) { versions_have_an_order(*cell.client); });
  std::vector<Cell> with_protocols = one_each;
  std::erase_if(with_protocols, [](const Cell& cell) { return !cell.client->capabilities().alpn; });
  add_cell_test("protocols_have_bounds", with_protocols, [](const Cell& cell) { protocols_have_bounds(*cell.client); });
  add_cell_test("the_longest_protocols_work", with_protocols, the_longest_protocols_work);
  std::vector<Cell> with_keys = one_each;
  std::erase_if(with_keys, [](const Cell& cell) { return !cell.client->capabilities().psk; });
  add_cell_test("the_longest_keys_work", own(Auth::psk), the_longest_keys_work);
  add_cell_test("keys_have_bounds", with_keys, [](const Cell& cell) { keys_have_bounds(*cell.client); });
  for (Backend* backend : tls_backends()) {
    if (backend->capabilities().certificates) {
      add_test("unusable_contexts", std::string(backend->name()), [backend] { unusable_contexts(*backend); });
    }
  }
}

}  // namespace rig::conformance
