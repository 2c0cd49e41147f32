// ALPN, curves, key log, key updates: where a backend declares them they work, elsewhere they are refused in words.
#include <algorithm>
#include <map>
#include <new>
#include <regex>
#include <stdexcept>

#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

void alpn_is_chosen(const Cell& cell) {
  struct Row {
    std::vector<std::string> client;
    std::vector<std::string> server;
    std::string chosen;
  };
  const Row rows[] = {
      {{"h2", "http/1.1"}, {"http/1.1"}, "http/1.1"},
      {{"one", "two"}, {"two", "one"}, "two"},  // the server's preference decides
      {{"one"}, {}, ""},
      {{}, {"one"}, ""},
  };
  for (const Row& row : rows) {
    Setup setup = default_setup(cell);
    setup.client.alpn = row.client;
    setup.server.alpn = row.server;
    EnginePair pair = connect(cell, setup);
    require_done(pair.run_handshake(), "a handshake with ALPN");
    EXPECT_EQ(pair.engine(Side::client).facts().alpn, row.chosen);
    EXPECT_EQ(pair.engine(Side::server).facts().alpn, row.chosen);
    expect_traffic(pair, 100);
  }
}

// No protocol in common: refused by the server. Source: RFC 7301 section 3.2.
void alpn_without_overlap(const Cell& cell) {
  Setup setup = default_setup(cell);
  setup.client.alpn = {"one"};
  setup.server.alpn = {"two", "three"};
  EnginePair pair = connect(cell, setup);
  EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
  expect_failure(pair, Side::server, {Code::handshake_failed});
  expect_alert(pair, Side::client, {120});  // no_application_protocol
}

// agreed_curve is that of a ServerKeyExchange of TLS 1.2 (RFC 8422, section 5.4), which nobody has encrypted; nothing
// if there is none in `stream`.
std::optional<unsigned> agreed_curve(ByteView stream) {
  constexpr std::uint8_t handshake_record = 22, server_key_exchange = 12, named_curve = 3;
  Bytes messages;
  for (std::size_t at = 0; at + 5 <= stream.size() && stream[at] == handshake_record;) {
    const std::size_t body = std::min<std::size_t>(stream[at + 3] << 8 | stream[at + 4], stream.size() - at - 5);
    const ByteView part = stream.subspan(at + 5, body);
    messages.insert(messages.end(), part.begin(), part.end());
    at += 5 + body;
  }
  for (std::size_t at = 0; at + 7 <= messages.size();) {
    if (messages[at] == server_key_exchange && messages[at + 4] == named_curve) {
      return messages[at + 5] << 8 | messages[at + 6];
    }
    at += 4 + (std::size_t{messages[at + 1]} << 16 | std::size_t{messages[at + 2]} << 8 | messages[at + 3]);
  }
  return std::nullopt;
}

// a_curve_that_costs_little: a server chooses one that is as strong as its key. On the larger ones a key exchange takes
// ten times as long.
void a_curve_that_costs_little(const Cell& cell) {
  constexpr unsigned secp256r1 = 23, x25519 = 29;
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  EnginePair pair = contexts.connect(config);
  Bytes said;
  pair.tamper([&said](Side from, std::uint64_t, Bytes& cipher) {
    if (from == Side::server) {
      said.insert(said.end(), cipher.begin(), cipher.end());
    }
  });
  const PairOutcome outcome = pair.run_handshake();
  const auto curve = agreed_curve(said);
  ASSERT_TRUE(curve.has_value()) << "the situation was not reached: no curve was agreed";
  EXPECT_TRUE(curve == secp256r1 || curve == x25519) << "curve " << *curve;
  expect_done(outcome);
}

void key_log(const Cell& cell) {
  std::map<std::string, std::string> secrets[2];
  const std::regex shape("([A-Z0-9_]+) ([0-9a-f]{64}) ([0-9a-f]{64,128})");
  Setup setup = default_setup(cell);
  for (const Side side : {Side::client, Side::server}) {
    auto& mine = secrets[static_cast<std::size_t>(side)];
    setup.context(side).key_log = [&mine, &shape](std::string_view line) {
      std::smatch parts;
      const std::string text(line);
      ASSERT_TRUE(std::regex_match(text, parts, shape)) << "not a key log line: " << text;
      EXPECT_TRUE(mine.emplace(parts[1].str() + " " + parts[2].str(), parts[3].str()).second) << "twice: " << text;
    };
  }
  {
    EnginePair pair = connect(cell, setup);
    require_done(pair.run_handshake(), "the handshake");
    expect_traffic(pair, 100);
  }
  const std::vector<std::string> needed =
      cell.version == TlsVersion::tls12
          ? std::vector<std::string>{"CLIENT_RANDOM"}
          : std::vector<std::string>{"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                                     "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"};
  for (const std::string& label : needed) {
    const auto client = secrets[0].lower_bound(label + " ");
    const auto server = secrets[1].lower_bound(label + " ");
    ASSERT_TRUE(client != secrets[0].end() && client->first.starts_with(label + " ")) << label;
    ASSERT_TRUE(server != secrets[1].end() && server->first.starts_with(label + " ")) << label;
    EXPECT_EQ(client->first, server->first) << "both sides name the connection alike";
    EXPECT_EQ(client->second, server->second) << label << ": both sides have the same secret";
  }
}

// a_key_log_that_fails: it is the app's, and a connection whose keys could not be logged is not to be had.
void a_key_log_that_fails(const Cell& cell) {
  for (const Side side : {Side::client, Side::server}) {
    for (const bool no_memory : {false, true}) {
      SCOPED_TRACE(std::string(side == Side::client ? "client" : "server") + (no_memory ? " without memory" : ""));
      Setup setup = default_setup(cell);
      setup.context(side).key_log = [no_memory](std::string_view) {
        if (no_memory) {
          throw std::bad_alloc();
        }
        throw std::runtime_error("the disk is full");
      };
      EnginePair pair = connect(cell, setup);
      EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
      expect_failure(pair, side, {no_memory ? Code::no_memory : Code::internal});
      expect_dead(pair, side);
    }
  }
}

// start_key_update runs the verb to its end, as a layer does.
void start_key_update(EnginePair& pair, Side starter) {
  pair.update_keys(starter);
  settle(pair);
  EXPECT_EQ(error_text(pair.end(starter).refusal), "no error");
}

void expect_key_updates(EnginePair& pair, unsigned asked_by_client, unsigned asked_by_server) {
  const Facts client = pair.engine(Side::client).facts();
  const Facts server = pair.engine(Side::server).facts();
  // Each request is answered once, in the asked side's own direction.
  EXPECT_EQ(client.key_updates_out, asked_by_client + asked_by_server);
  EXPECT_EQ(server.key_updates_out, asked_by_client + asked_by_server);
  EXPECT_EQ(client.key_updates_in, asked_by_client + asked_by_server);
  EXPECT_EQ(server.key_updates_in, asked_by_client + asked_by_server);
}

// A library that has no key updates may know none of a peer's either (mbedTLS 3.6): the connection ends then, in words.
void key_updates_of_one(const Cell& cell, Side starter) {
  EnginePair pair = connected(cell);
  pair.update_keys(starter);
  pair.send(starter, 100);
  EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::failed);
  expect_failure(pair, other(starter), {Code::protocol});
  expect_alert(pair, starter, {10, 50});  // unexpected_message, decode_error
}

void key_updates(const Cell& cell) {
  const bool can[] = {cell.client->capabilities().update_keys, cell.server->capabilities().update_keys};
  if (can[0] != can[1]) {
    key_updates_of_one(cell, can[0] ? Side::client : Side::server);
  }
  EnginePair pair = connected(cell);
  unsigned asked[] = {0, 0};
  for (const Side starter : {Side::client, Side::server, Side::client, Side::client, Side::server}) {
    const auto index = static_cast<std::size_t>(starter);
    if (!can[index]) {
      const auto answer = pair.call(starter, [](TlsEngine& engine, CipherOut& out) { return engine.update_keys(out); });
      EXPECT_EQ(code_of(answer), Code::unsupported);
      continue;
    }
    if (!can[1 - index]) {
      continue;
    }
    start_key_update(pair, starter);
    ++asked[index];
    expect_traffic(pair, 5000);
    settle(pair);
    expect_key_updates(pair, asked[0], asked[1]);
  }
  expect_done(pair.run_close());
}

// Key updates amid a flood in both directions, through cramped pipes.
void key_updates_in_flight(const Cell& cell) {
  for (const std::size_t room : {1, 20, 26, 27, 28, 37, 48, 64, 1000, 16400, 65536}) {
    SCOPED_TRACE("room " + std::to_string(room));
    PairKnobs knobs;
    knobs.out_bytes_max = room;
    knobs.pipe_bytes_max = 20'000;
    knobs.feed_bytes_max = 1500;
    knobs.seed = room;
    EnginePair pair = connected(cell, knobs);
    for (unsigned round = 1; round <= 3; ++round) {
      // Both have more to write than passes in a round, however unevenly the directions get on.
      const std::uint64_t received = pair.end(Side::client).received;
      pair.send(Side::client, 200'000);
      pair.send(Side::server, 200'000);
      require_done(pair.run([&] { return pair.end(Side::client).received >= received + 20'000; }), "traffic");
      pair.send(Side::client, 50'000);
      EXPECT_GT(pair.end(Side::server).to_write, 0U) << "the situation was not reached: nothing is under way";
      pair.update_keys(round % 2 == 0 ? Side::client : Side::server);
    }
    require_done(pair.run_traffic(), "traffic over key updates");
    settle(pair);
    EXPECT_EQ(error_text(pair.end(Side::client).refusal), "no error");
    EXPECT_EQ(error_text(pair.end(Side::server).refusal), "no error");
    expect_key_updates(pair, 1, 2);
  }
}

void key_updates_need_tls13(const Cell& cell) {
  EnginePair pair = connected(cell);
  for (const Side side : {Side::client, Side::server}) {
    const std::uint64_t before = pair.cipher_total(side);
    const auto answer = pair.call(side, [](TlsEngine& engine, CipherOut& out) { return engine.update_keys(out); });
    ASSERT_EQ(code_of(answer), Code::unsupported);
    expect_words(answer.error());
    EXPECT_EQ(pair.cipher_total(side), before);
  }
  expect_traffic(pair, 100);
}

void missing_features_are_refused(Backend& backend) {
  const Capabilities& can = backend.capabilities();
  const auto refused = [&backend](auto change) {
    ContextConfig config;
    config.role = Role::client;
    config.ca_pem = ca_pem();
    change(config);
    return code_of(backend.make_context(config));
  };
  const auto answer = [](bool capable) { return capable ? std::nullopt : std::optional(Code::unsupported); };
  EXPECT_EQ(refused([](ContextConfig& c) { c.psk = test_psk(); }), answer(can.psk));
  EXPECT_EQ(refused([](ContextConfig& c) { c.alpn = {"one"}; }), answer(can.alpn));
  EXPECT_EQ(refused([](ContextConfig& c) { c.key_log = [](std::string_view) {}; }), answer(can.key_log));
}

}  // namespace

void register_feature_tests() {
  std::vector<Cell> tls12 = cells(Auth::psk);
  std::vector<Cell> tls13 = tls12;
  std::erase_if(tls12, [](const Cell& cell) { return cell.version != TlsVersion::tls12; });
  std::erase_if(tls13, [](const Cell& cell) { return cell.version != TlsVersion::tls13; });
  add_cell_test("alpn_is_chosen", able(cells(Auth::psk), &Capabilities::alpn), alpn_is_chosen);
  add_cell_test("alpn_without_overlap", able(cells(), &Capabilities::alpn), alpn_without_overlap);
  std::vector<Cell> open_curves = cells(Auth::certificate);  // TLS 1.3 tells them in its own extension
  std::erase_if(open_curves, [](const Cell& cell) { return cell.version != TlsVersion::tls12; });
  add_cell_test("a_curve_that_costs_little", open_curves, a_curve_that_costs_little);
  add_cell_test("key_log", able(cells(), &Capabilities::key_log), key_log);
  add_cell_test("a_key_log_that_fails", able(cells(), &Capabilities::key_log), a_key_log_that_fails);
  add_cell_test("key_updates", tls13, key_updates);
  add_cell_test("key_updates_in_flight", able(tls13, &Capabilities::update_keys), key_updates_in_flight);
  add_cell_test("key_updates_need_tls13", tls12, key_updates_need_tls13);
  for (Backend* backend : tls_backends()) {
    add_test("missing_features_are_refused", std::string(backend->name()),
             [backend] { missing_features_are_refused(*backend); });
  }
}

}  // namespace rig::conformance
