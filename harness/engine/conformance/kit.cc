#include "harness/engine/conformance/kit.h"

#include <algorithm>
#include <array>
#include <map>
#include <regex>
#include <utility>

namespace rig::conformance {
namespace {

class FunctionTest final : public testing::Test {
 public:
  explicit FunctionTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

std::map<std::string, std::function<void(const Cell&)>>& registered_bodies() {
  static std::map<std::string, std::function<void(const Cell&)>> bodies;
  return bodies;
}

}  // namespace

std::string Cell::name() const {
  return std::string(client->name()) + "~" + std::string(server->name()) +
         (version == TlsVersion::tls12 ? ".tls12" : ".tls13") + (auth == Auth::psk ? ".psk" : ".certificate");
}

std::vector<Backend*> tls_backends() {
  std::vector<Backend*> found;
  for (Backend* backend : backends()) {
    if (backend->capabilities().tls12 || backend->capabilities().tls13) {
      found.push_back(backend);
    }
  }
  return found;
}

bool has(const Backend& backend, TlsVersion version) {
  return version == TlsVersion::tls12 ? backend.capabilities().tls12 : backend.capabilities().tls13;
}

std::vector<Cell> cells(Auth auth) {
  std::vector<Cell> found;
  const auto capable = [auth](const Backend& backend) {
    return auth == Auth::psk ? backend.capabilities().psk : backend.capabilities().certificates;
  };
  for (Backend* client : tls_backends()) {
    for (Backend* server : tls_backends()) {
      for (const TlsVersion version : {TlsVersion::tls12, TlsVersion::tls13}) {
        if (has(*client, version) && has(*server, version) && capable(*client) && capable(*server)) {
          found.push_back({.client = client, .server = server, .version = version, .auth = auth});
        }
      }
    }
  }
  return found;
}

std::vector<Cell> cells() {
  std::vector<Cell> all = cells(Auth::psk);
  const std::vector<Cell> more = cells(Auth::certificate);
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<Cell> able(std::vector<Cell> list, bool Capabilities::* capability) {
  std::erase_if(list, [capability](const Cell& cell) {
    return !(cell.client->capabilities().*capability && cell.server->capabilities().*capability);
  });
  return list;
}

Setup default_setup(const Cell& cell) {
  Setup setup;
  setup.client.role = Role::client;
  setup.server.role = Role::server;
  for (const Side side : {Side::client, Side::server}) {
    ContextConfig& config = setup.context(side);
    config.version_min = cell.version;
    config.version_max = cell.version;
    if (cell.auth == Auth::psk) {
      config.psk = test_psk();
    }
  }
  if (cell.auth == Auth::certificate) {
    setup.client.ca_pem = ca_pem();
    setup.server.credentials = credentials(Identity::server);
  }
  setup.connect.host = "localhost";
  return setup;
}

EnginePair Contexts::connect(const EngineConfig& client_config, const PairKnobs& knobs) const {
  return {must(client->make_engine(client_config), "the client's engine"),
          must(server->make_engine(EngineConfig{}), "the server's engine"), knobs};
}

Setup renegotiation_setup(const Cell& cell) {
  Setup setup = default_setup(cell);
  setup.client.allow_renegotiation = true;
  setup.server.allow_renegotiation = true;
  return setup;
}

bool can_renegotiate(const Cell& cell, Side starter) {
  const Capabilities& can = cell.backend(starter).capabilities();
  return starter == Side::client ? can.renegotiate_as_client : can.renegotiate_as_server;
}

namespace {

// make_context makes a context, by which nothing may be left to the thread (law H1).
std::shared_ptr<const Context> make_context(Backend& backend, const ContextConfig& config, std::string_view what) {
  const AmbientSource* const ambient = backend.ambient();
  if (ambient != nullptr) {
    ambient->clear();
  }
  auto context = must(backend.make_context(config), what);
  std::array<char, 200> sentence{};
  EXPECT_EQ(ambient == nullptr ? 0 : ambient->peek(sentence.data(), sentence.size()), 0U)
      << what << " has left an entry in the " << ambient->name << ": " << sentence.data();
  return context;
}

}  // namespace

Contexts make_contexts(const Cell& cell, const Setup& setup) {
  return {.client = make_context(*cell.client, setup.client, "the client's context"),
          .server = make_context(*cell.server, setup.server, "the server's context")};
}

EnginePair connect(const Cell& cell, const Setup& setup, const PairKnobs& knobs) {
  return make_contexts(cell, setup).connect(setup.connect, knobs);
}

EnginePair connected(const Cell& cell, const PairKnobs& knobs) {
  EnginePair pair = connect(cell, default_setup(cell), knobs);
  require_done(pair.run_handshake(), "the handshake");
  return pair;
}

void expect_done(const PairOutcome& outcome) {
  EXPECT_TRUE(outcome.done()) << outcome.detail;
}

void require_done(const PairOutcome& outcome, std::string_view what) {
  if (!outcome.done()) {
    throw std::runtime_error(std::string(what) + ": " + outcome.detail);
  }
}

void settle(EnginePair& pair) {
  const PairOutcome outcome = pair.run([] { return false; });
  EXPECT_EQ(outcome.kind, PairOutcome::Kind::stalled) << outcome.detail;
}

void expect_traffic(EnginePair& pair, std::uint64_t bytes) {
  pair.send(Side::client, bytes);
  pair.send(Side::server, bytes);
  expect_done(pair.run_traffic());
}

std::string error_text(const std::optional<Error>& error) {
  return error.has_value() ? std::string(code_name(error->code())) + ": " + std::string(error->detail()) : "no error";
}

std::optional<int> alert_of(const Error& error) {
  // RFC 8446, section 6, and those of TLS 1.2 (RFC 5246, section 7.2).
  static const std::map<int, std::string_view> names = {
      {0, "close_notify"},
      {10, "unexpected_message"},
      {20, "bad_record_mac"},
      {21, "decryption_failed"},
      {22, "record_overflow"},
      {30, "decompression_failure"},
      {40, "handshake_failure"},
      {42, "bad_certificate"},
      {43, "unsupported_certificate"},
      {44, "certificate_revoked"},
      {45, "certificate_expired"},
      {46, "certificate_unknown"},
      {47, "illegal_parameter"},
      {48, "unknown_ca"},
      {49, "access_denied"},
      {50, "decode_error"},
      {51, "decrypt_error"},
      {70, "protocol_version"},
      {71, "insufficient_security"},
      {80, "internal_error"},
      {86, "inappropriate_fallback"},
      {90, "user_canceled"},
      {100, "no_renegotiation"},
      {109, "missing_extension"},
      {110, "unsupported_extension"},
      {112, "unrecognized_name"},
      {115, "unknown_psk_identity"},
      {116, "certificate_required"},
      {120, "no_application_protocol"},
  };
  std::smatch parts;
  const std::string text(error.detail());
  if (!std::regex_search(text, parts, std::regex("fatal alert (\\S+) \\((\\d+)\\)"))) {
    ADD_FAILURE() << "no alert is named in: " << text;
    return std::nullopt;
  }
  const int number = std::stoi(parts[2].str());
  const auto known = names.find(number);
  EXPECT_TRUE(known == names.end() || known->second == parts[1].str()) << "another name than the RFC's: " << text;
  return number;
}

void expect_words(const Error& error) {
  const std::string text(error.detail());
  EXPECT_FALSE(text.empty()) << "a failure must be explained in words";
  EXPECT_TRUE(std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; })) << text;
  EXPECT_FALSE(std::regex_search(text, std::regex("^[ :]|[ :(]$|  |: [(]|[(][)]"))) << "words are missing in: " << text;
}

void expect_failure(EnginePair& pair, Side side, std::initializer_list<Code> codes) {
  const std::optional<Error>& failure = pair.failure(side);
  const char* who = side == Side::client ? "client" : "server";
  ASSERT_TRUE(failure.has_value()) << "the " << who << " did not fail";
  std::string expected;
  for (const Code code : codes) {
    if (failure->code() == code) {
      expect_words(*failure);
      if (code == Code::peer_alert) {
        alert_of(*failure);
      }
      return;
    }
    expected += std::string(code_name(code)) + " ";
  }
  ADD_FAILURE() << "the " << who << " failed with " << error_text(failure) << "; expected one of: " << expected;
}

void expect_alert(EnginePair& pair, Side side, const std::vector<int>& alerts) {
  expect_failure(pair, side, {Code::peer_alert});
  if (testing::Test::HasFailure()) {
    return;
  }
  const std::optional<int> alert = alert_of(*pair.failure(side));
  EXPECT_TRUE(alert.has_value() && std::ranges::find(alerts, *alert) != alerts.end())
      << "not what the peer is to be told: " << error_text(pair.failure(side));
}

void expect_no_new_keys(const Cell& cell, EnginePair& pair, Side from) {
  const bool tls13 = cell.version == TlsVersion::tls13;
  const std::uint64_t before = pair.cipher_total(from);
  for (const bool update : {true, false}) {
    const bool is_possible =
        update ? tls13 && cell.backend(from).capabilities().update_keys : !tls13 && can_renegotiate(cell, from);
    const auto answer = pair.call(from, [update](TlsEngine& engine, CipherOut& out) {
      return update ? engine.update_keys(out) : engine.renegotiate(out);
    });
    EXPECT_EQ(code_of(answer), is_possible ? Code::invalid_state : Code::unsupported)
        << (update ? "update_keys" : "renegotiate");
  }
  EXPECT_EQ(pair.cipher_total(from), before) << "a refused verb produces nothing";
}

void expect_dead(EnginePair& pair, Side side) {
  const std::optional<Error> first = pair.failure(side);
  ASSERT_TRUE(first.has_value());
  std::array<std::uint8_t, 256> buffer{};
  const std::uint64_t before = pair.cipher_total(side);
  std::vector<std::pair<const char*, std::optional<Error>>> answers;
  const auto ask = [&](const char* verb_name, auto verb) {
    const auto answer = pair.call(side, verb);
    answers.emplace_back(verb_name, answer.has_value() ? std::nullopt : std::optional<Error>(answer.error()));
  };
  ask("handshake", [](TlsEngine& engine, CipherOut& out) { return engine.handshake(out); });
  ask("read", [&](TlsEngine& engine, CipherOut& out) { return engine.read(MutableBytes(buffer), out); });
  ask("write", [&](TlsEngine& engine, CipherOut& out) { return engine.write(ByteView(buffer), out); });
  ask("renegotiate", [](TlsEngine& engine, CipherOut& out) { return engine.renegotiate(out); });
  ask("update_keys", [](TlsEngine& engine, CipherOut& out) { return engine.update_keys(out); });
  ask("close_notify", [](TlsEngine& engine, CipherOut& out) { return engine.close_notify(out); });
  ask("feed", [&](TlsEngine& engine, CipherOut&) { return engine.feed(ByteView(buffer)); });
  ask("read again", [&](TlsEngine& engine, CipherOut& out) { return engine.read(MutableBytes(buffer), out); });
  for (const auto& [verb, error] : answers) {
    EXPECT_EQ(error_text(error), error_text(first)) << verb << " must answer the first failure";
  }
  EXPECT_EQ(pair.cipher_total(side), before) << "a dead engine must produce nothing";
}

void add_test(const std::string& suite, const std::string& name, std::function<void()> body) {
  testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [body = std::move(body)]() -> testing::Test* { return new FunctionTest(body); });
}

const std::map<std::string, std::function<void(const Cell&)>>& cell_bodies() {
  return registered_bodies();
}

void add_cell_test(const std::string& suite, const std::vector<Cell>& list, std::function<void(const Cell&)> body) {
  registered_bodies()[suite] = body;
  for (const Cell& cell : list) {
    add_test(suite, cell.name(), [cell, body] { body(cell); });
  }
}

}  // namespace rig::conformance
