// TLS 1.2 renegotiation: on a quiet connection it works in every pairing that declares it; amid traffic it is measured.
#include <cstdio>

#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

bool both_have(EnginePair& pair, unsigned handshakes) {
  return pair.engine(Side::client).facts().handshakes == handshakes &&
         pair.engine(Side::server).facts().handshakes == handshakes;
}

void refused_in_words(EnginePair& pair, Side side) {
  const std::uint64_t before = pair.cipher_total(side);
  const auto answer = pair.call(side, [](TlsEngine& engine, CipherOut& out) { return engine.renegotiate(out); });
  ASSERT_EQ(code_of(answer), Code::unsupported);
  expect_words(answer.error());
  EXPECT_EQ(pair.cipher_total(side), before);
}

void renegotiation_quiescent(const Cell& cell) {
  for (const Side starter : {Side::client, Side::server}) {
    SCOPED_TRACE(starter == Side::client ? "the client starts" : "the server starts");
    EnginePair pair = connect(cell, renegotiation_setup(cell));
    require_done(pair.run_handshake(), "the first handshake");
    expect_traffic(pair, 1000);
    settle(pair);
    if (!can_renegotiate(cell, starter)) {
      refused_in_words(pair, starter);
      expect_traffic(pair, 1000);
      continue;
    }
    for (unsigned handshakes = 2; handshakes <= 3; ++handshakes) {
      pair.renegotiate(starter);
      require_done(pair.run([&] { return both_have(pair, handshakes); }), "the renegotiation");
      EXPECT_EQ(error_text(pair.end(starter).refusal), "no error");
      expect_traffic(pair, 1000);
      settle(pair);
    }
    EXPECT_EQ(pair.engine(Side::client).facts().psk, cell.auth == Auth::psk);
    EXPECT_EQ(pair.engine(Side::client).facts().peer_verified, cell.auth == Auth::certificate);
    expect_done(pair.run_close());
  }
}

// The handshake of a renegotiation is cut into pieces like the first one.
void renegotiation_cramped(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, renegotiation_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  for (const Side starter : {Side::client, Side::server}) {
    if (!can_renegotiate(cell, starter)) {
      continue;  // renegotiation_quiescent asserts that it is refused
    }
    for (std::size_t size = 1; size <= 64; ++size) {
      SCOPED_TRACE("size " + std::to_string(size));
      PairKnobs knobs;
      knobs.out_bytes_max = size;
      knobs.feed_bytes_max = 65 - size;
      EnginePair pair = contexts.connect(config, knobs);
      require_done(pair.run_handshake(), "the first handshake");
      expect_traffic(pair, 100);
      settle(pair);
      pair.renegotiate(starter);
      require_done(pair.run([&] { return both_have(pair, 2); }), "the renegotiation");
      expect_traffic(pair, 100);
    }
  }
}

// The message that starts it is cut anywhere: room is asked for until it is out, and then the peer can hear of it
// without any further call here.
void renegotiation_start_cut(const Cell& cell) {
  constexpr std::size_t calls_max = 2'000;
  for (const Side starter : {Side::client, Side::server}) {
    if (!can_renegotiate(cell, starter)) {
      continue;
    }
    for (const std::size_t first_room : {0, 1, 5, 20, 40, 100, 200}) {
      SCOPED_TRACE("room for " + std::to_string(first_room) + " bytes at first");
      EnginePair pair = connect(cell, renegotiation_setup(cell));
      require_done(pair.run_handshake(), "the first handshake");
      settle(pair);
      Need need = Need::room;
      for (std::size_t calls = 0; need == Need::room; ++calls) {
        ASSERT_LT(calls, calls_max) << "room is asked for without end";
        Bytes storage(calls == 0 ? first_room : 1);
        CipherOut out{MutableBytes(storage)};
        need = must(pair.engine(starter).renegotiate(out), "the start, again");
        pair.inject(starter, out.bytes());
      }
      EXPECT_EQ(need, Need::nothing);
      const std::uint64_t before = pair.cipher_total(other(starter));
      while (pair.step(other(starter))) {
      }
      EXPECT_GT(pair.cipher_total(other(starter)), before) << "the peer has not heard of it";
      require_done(pair.run([&] { return both_have(pair, 2); }), "the renegotiation");
      expect_traffic(pair, 1000);
    }
  }
}

void renegotiation_under_way(const Cell& cell) {
  for (const Side starter : {Side::client, Side::server}) {
    if (!can_renegotiate(cell, starter)) {
      continue;
    }
    EnginePair pair = connect(cell, renegotiation_setup(cell));
    require_done(pair.run_handshake(), "the first handshake");
    settle(pair);
    const auto ask = [&] {
      return pair.call(starter, [](TlsEngine& engine, CipherOut& out) { return engine.renegotiate(out); });
    };
    ASSERT_TRUE(ask().has_value());
    EXPECT_EQ(code_of(ask()), Code::invalid_state) << "one is under way already";
    require_done(pair.run([&] { return both_have(pair, 2); }), "the renegotiation");
    expect_traffic(pair, 1000);
  }
}

// The peer has closed before it heard of the renegotiation, which will never end: a client that writes is told, and
// waits for nothing. A server has only asked for one (RFC 5246, section 7.4.1.1), and goes on.
void goodbye_crosses_a_renegotiation(const Cell& cell) {
  for (const Side starter : {Side::client, Side::server}) {
    if (!can_renegotiate(cell, starter)) {
      continue;
    }
    SCOPED_TRACE(starter == Side::client ? "the client starts" : "the server starts");
    EnginePair pair = connect(cell, renegotiation_setup(cell));
    require_done(pair.run_handshake(), "the first handshake");
    settle(pair);
    const auto answer = [&](auto verb) { return code_of(pair.call(starter, verb)); };
    const auto write = [&](TlsEngine& e, CipherOut& o) { return e.write(position_coded(starter, 0, 100), o); };
    const auto renegotiate = [](TlsEngine& e, CipherOut& o) { return e.renegotiate(o); };
    ASSERT_EQ(answer(renegotiate), std::nullopt);
    const auto goodbye = pair.call(other(starter), [](TlsEngine& e, CipherOut& o) { return e.close_notify(o); });
    ASSERT_EQ(goodbye, Need::nothing);
    pair.hold(starter, true);
    require_done(pair.run([&] { return pair.end(starter).clean_end; }), "the peer's end");
    const std::uint64_t before = pair.cipher_total(starter);
    EXPECT_EQ(answer(renegotiate), Code::invalid_state);
    if (starter == Side::client) {
      EXPECT_EQ(answer(write), Code::handshake_failed) << "there is nothing to wait for";
      EXPECT_EQ(pair.cipher_total(starter), before);
    } else {
      EXPECT_EQ(answer(write), std::nullopt);
      EXPECT_GT(pair.cipher_total(starter), before);
    }
  }
}

// Without allow_renegotiation nothing is started, and a peer that starts one does not get it.
void renegotiation_not_allowed(const Cell& cell) {
  for (const Side starter : {Side::client, Side::server}) {
    SCOPED_TRACE(starter == Side::client ? "the client starts" : "the server starts");
    EnginePair plain = connected(cell);
    refused_in_words(plain, starter);
    expect_traffic(plain, 100);
    if (!can_renegotiate(cell, starter)) {
      continue;
    }
    Setup setup = default_setup(cell);
    setup.context(starter).allow_renegotiation = true;
    EnginePair pair = connect(cell, setup);
    require_done(pair.run_handshake(), "the first handshake");
    expect_traffic(pair, 100);
    pair.renegotiate(starter);
    const PairOutcome outcome = pair.run([] { return false; });
    EXPECT_NE(outcome.kind, PairOutcome::Kind::exhausted);
    EXPECT_EQ(pair.engine(other(starter)).facts().handshakes, 1U) << "the peer was not asked for its consent";
    for (const Side side : {Side::client, Side::server}) {
      if (pair.failure(side).has_value()) {
        const Code code = pair.failure(side)->code();
        EXPECT_TRUE(code == Code::peer_alert || code == Code::protocol || code == Code::handshake_failed ||
                    code == Code::truncated)
            << error_text(pair.failure(side));
      }
    }
  }
}

void renegotiation_needs_tls12(const Cell& cell) {
  EnginePair pair = connect(cell, renegotiation_setup(cell));
  require_done(pair.run_handshake(), "the handshake");
  refused_in_words(pair, Side::client);
  refused_in_words(pair, Side::server);
  expect_traffic(pair, 100);
}

// in_flight renegotiates while data is queued and under way in both directions, driven by read() alone.
PairOutcome in_flight(const Contexts& contexts, Side starter, std::uint64_t seed) {
  Prng prng(seed);
  PairKnobs knobs;
  knobs.seed = seed;
  // More is written per step than is fed, so that both pipes hold records when the renegotiation starts.
  knobs.write_bytes_max = prng.between(4'000, 20'000);
  knobs.out_bytes_max = prng.between(4'000, 70'000);
  knobs.feed_bytes_max = prng.between(500, 2'000);
  knobs.pipe_bytes_max = prng.between(5'000, 80'000);
  knobs.steps_max = 1'000'000;
  EngineConfig config;
  config.host = "localhost";
  EnginePair pair = contexts.connect(config, knobs);
  require_done(pair.run_handshake(), "the first handshake");
  constexpr std::uint64_t volume = 400'000;
  pair.send(Side::client, volume);
  pair.send(Side::server, volume);
  const auto midway = [&] {
    return pair.end(Side::client).received > volume / 4 && pair.end(Side::server).received > volume / 4 &&
           pair.in_flight(Side::client) > 0 && pair.in_flight(Side::server) > 0 &&
           pair.end(Side::client).to_write > 0 && pair.end(Side::server).to_write > 0;
  };
  require_done(pair.run(midway), "traffic under way in both directions");
  pair.renegotiate(starter);
  const PairOutcome outcome = pair.run([&] {
    return pair.end(Side::client).received == volume && pair.end(Side::server).received == volume && both_have(pair, 2);
  });
  return outcome;
}

constexpr std::uint64_t in_flight_seeds = 20;

// measure prints how many seeds of one cell and starter came through, and why the first failing one did not.
unsigned measure(const Cell& cell, Side starter) {
  const Contexts contexts = make_contexts(cell, renegotiation_setup(cell));
  unsigned through = 0;
  std::string why;
  for (std::uint64_t seed = 1; seed <= in_flight_seeds; ++seed) {
    const PairOutcome outcome = in_flight(contexts, starter, seed);
    EXPECT_NE(outcome.kind, PairOutcome::Kind::corrupt) << outcome.detail;
    EXPECT_NE(outcome.kind, PairOutcome::Kind::exhausted) << "a renegotiation must never spin: " << outcome.detail;
    if (outcome.done()) {
      ++through;
    } else if (why.empty()) {
      why = outcome.detail;
    }
  }
  std::printf("  in flight: %-30s %s starts: %2u of %u%s%s\n", cell.name().c_str(),
              starter == Side::client ? "client" : "server", through, static_cast<unsigned>(in_flight_seeds),
              why.empty() ? "" : "; ", why.c_str());
  return through;
}

void renegotiation_in_flight(const Cell& cell) {
  for (const Side starter : {Side::client, Side::server}) {
    if (!can_renegotiate(cell, starter)) {
      continue;
    }
    const unsigned through = measure(cell, starter);
    if (cell.client->capabilities().renegotiate_in_flight && cell.server->capabilities().renegotiate_in_flight) {
      EXPECT_EQ(through, in_flight_seeds) << "both backends declare renegotiate_in_flight";
    }
  }
}

}  // namespace

void register_renegotiation_tests() {
  std::vector<Cell> tls12 = cells();
  std::vector<Cell> tls13 = cells(Auth::psk);
  std::erase_if(tls12, [](const Cell& cell) { return cell.version != TlsVersion::tls12; });
  std::erase_if(tls13, [](const Cell& cell) { return cell.version != TlsVersion::tls13; });
  std::vector<Cell> keys = tls12;
  std::erase_if(keys, [](const Cell& cell) { return cell.auth != Auth::psk; });
  add_cell_test("renegotiation_quiescent", tls12, renegotiation_quiescent);
  add_cell_test("renegotiation_cramped", keys, renegotiation_cramped);
  add_cell_test("renegotiation_start_cut", keys, renegotiation_start_cut);
  add_cell_test("renegotiation_under_way", keys, renegotiation_under_way);
  add_cell_test("goodbye_crosses_a_renegotiation", keys, goodbye_crosses_a_renegotiation);
  add_cell_test("renegotiation_not_allowed", keys, renegotiation_not_allowed);
  add_cell_test("renegotiation_needs_tls12", tls13, renegotiation_needs_tls12);
  add_cell_test("renegotiation_in_flight", keys, renegotiation_in_flight);
}

}  // namespace rig::conformance
