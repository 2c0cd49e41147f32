// The ends of a stream: clean, half-closed, truncated. They must never look alike.
#include <array>

#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

// One side ends its direction; the other sees it, goes on sending, and ends later.
void half_close(const Cell& cell) {
  for (const Side first : {Side::client, Side::server}) {
    SCOPED_TRACE(first == Side::client ? "the client closes first" : "the server closes first");
    EnginePair pair = connected(cell);
    pair.send(first, 5000);
    pair.close(first);
    require_done(pair.run([&] { return pair.end(other(first)).clean_end; }), "the first close");
    EXPECT_EQ(pair.end(other(first)).received, 5000U) << "the data before the end must arrive";

    const auto late = pair.call(
        first, [](TlsEngine& engine, CipherOut& out) { return engine.write(position_coded(Side::client, 0, 1), out); });
    EXPECT_EQ(code_of(late), Code::invalid_state) << "a write after our own close_notify";

    pair.send(other(first), 100'000);
    require_done(pair.run([&] { return pair.end(first).received == 100'000; }), "data into a half-closed connection");
    pair.close(other(first));
    require_done(pair.run([&] { return pair.end(first).clean_end; }), "the second close");

    for (const Side side : {Side::client, Side::server}) {
      const std::uint64_t before = pair.cipher_total(side);
      const auto again = pair.call(side, [](TlsEngine& engine, CipherOut& out) { return engine.close_notify(out); });
      EXPECT_EQ(again, Need::nothing);
      EXPECT_EQ(pair.cipher_total(side), before) << "a second close_notify produces nothing";
      std::array<std::uint8_t, 16> buffer{};
      for (int reads = 0; reads < 2; ++reads) {
        const auto end =
            pair.call(side, [&](TlsEngine& engine, CipherOut& out) { return engine.read(MutableBytes(buffer), out); });
        ASSERT_TRUE(end.has_value()) << error_text(end.error());
        EXPECT_TRUE(end->end) << "every later read says the clean end again";
        EXPECT_EQ(end->bytes, 0U);
      }
    }
  }
}

// Behind its own close_notify a side sends nothing more, whichever verb it is asked with; what the peer still sends is
// read.
void nothing_is_sent_behind_the_close(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    SCOPED_TRACE(from == Side::client ? "the client closes" : "the server closes");
    EnginePair pair = connect(cell, renegotiation_setup(cell));
    require_done(pair.run_handshake(), "the handshake");
    expect_traffic(pair, 100);
    settle(pair);
    pair.close(from);
    for (const bool heard : {false, true}) {
      SCOPED_TRACE(heard ? "the peer has heard of it" : "the peer has not heard of it");
      pair.hold(from, !heard);
      settle(pair);
      ASSERT_EQ(pair.end(other(from)).clean_end, heard);
      const std::uint64_t before = pair.cipher_total(from);
      const auto late = pair.call(
          from, [from](TlsEngine& engine, CipherOut& out) { return engine.write(position_coded(from, 100, 1), out); });
      EXPECT_EQ(code_of(late), Code::invalid_state);
      expect_no_new_keys(cell, pair, from);
      EXPECT_EQ(pair.cipher_total(from), before);
    }
    pair.send(other(from), 1000);
    require_done(pair.run([&] { return pair.end(from).received == 1100; }), "data for who has closed");
  }
}

// FIN behind close_notify is a clean end, read or not yet read when the FIN comes.
void clean_end_with_fin(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    for (const bool fin_first : {false, true}) {
      EnginePair pair = connected(cell);
      pair.hold(from, fin_first);
      pair.send(from, 100);
      pair.close(from);
      if (fin_first) {
        settle(pair);
      } else {
        require_done(pair.run([&] { return pair.end(other(from)).clean_end; }), "the clean end");
      }
      pair.cut(from);
      pair.hold(from, false);
      require_done(pair.run([&] { return pair.end(other(from)).clean_end; }), "the clean end");
      settle(pair);
      std::array<std::uint8_t, 16> buffer{};
      const auto end = pair.call(
          other(from), [&](TlsEngine& engine, CipherOut& out) { return engine.read(MutableBytes(buffer), out); });
      ASSERT_TRUE(end.has_value()) << error_text(end.error());
      EXPECT_TRUE(end->end);
    }
  }
}

void truncation_after_data(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    EnginePair pair = connected(cell);
    expect_traffic(pair, 3000);
    pair.send(from, 10);
    pair.hold(from, true);
    EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::stalled);
    pair.cut(from);  // behind the ten bytes
    pair.hold(from, false);
    EXPECT_EQ(pair.run([] { return false; }).kind, PairOutcome::Kind::failed);
    EXPECT_EQ(pair.end(other(from)).received, 3010U) << "what came before the truncation must be delivered";
    expect_failure(pair, other(from), {Code::truncated});
    expect_dead(pair, other(from));
    EXPECT_FALSE(pair.end(other(from)).clean_end);
  }
}

void truncation_within_a_record(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    for (std::size_t kept = 1; kept <= 60; kept += kept < 8 ? 1 : 13) {
      SCOPED_TRACE("kept " + std::to_string(kept));
      EnginePair pair = connected(cell);
      expect_traffic(pair, 100);
      pair.tamper([&](Side side, std::uint64_t, Bytes& cipher) {
        if (side == from) {
          cipher.resize(std::min(cipher.size(), kept));
        }
      });
      pair.send(from, 500);
      pair.cut(from);
      EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::failed);
      EXPECT_EQ(pair.end(other(from)).received, 100U) << "no byte of a truncated record may be delivered";
      expect_failure(pair, other(from), {Code::truncated});
    }
  }
}

// The stream of `from` ends after each byte of its handshake in turn: always truncated, never anything else.
void truncation_within_the_handshake(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  for (const Side from : {Side::client, Side::server}) {
    EnginePair reference = contexts.connect(config);
    require_done(reference.run_handshake(), "the reference handshake");
    const std::uint64_t total = reference.cipher_total(from);
    ASSERT_GT(total, 50U);
    const std::uint64_t stride = cell.auth == Auth::psk ? 1 : 97;
    for (std::uint64_t kept = 0; kept < total; kept += stride) {
      SCOPED_TRACE((from == Side::client ? "client's byte " : "server's byte ") + std::to_string(kept));
      EnginePair pair = contexts.connect(config);
      pair.tamper([&](Side side, std::uint64_t offset, Bytes& cipher) {
        if (side != from) {
          return;
        }
        if (offset + cipher.size() >= kept) {
          cipher.resize(offset >= kept ? 0 : static_cast<std::size_t>(kept - offset));
          pair.cut(from);
        }
      });
      ASSERT_EQ(pair.run([] { return false; }).kind, PairOutcome::Kind::failed);
      expect_failure(pair, other(from), {Code::truncated});
      if (testing::Test::HasFailure()) {
        return;  // one cut says it; the other thousands would say it again
      }
    }
  }
}

void silence_then_fin(const Cell& cell) {
  for (const Side silent : {Side::client, Side::server}) {
    EnginePair pair = connect(cell, default_setup(cell));
    pair.hold(other(silent), true);
    pair.hold(silent, true);
    EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::stalled);
    EXPECT_EQ(pair.end(other(silent)).last_need, Need::input);
    pair.engine(other(silent)).end_of_input();
    const auto answer =
        pair.call(other(silent), [](TlsEngine& engine, CipherOut& out) { return engine.handshake(out); });
    EXPECT_EQ(code_of(answer), Code::truncated);
  }
}

}  // namespace

void register_close_tests() {
  add_cell_test("half_close", cells(), half_close);
  add_cell_test("nothing_is_sent_behind_the_close", cells(), nothing_is_sent_behind_the_close);
  add_cell_test("clean_end_with_fin", cells(), clean_end_with_fin);
  add_cell_test("truncation_after_data", cells(), truncation_after_data);
  add_cell_test("truncation_within_a_record", cells(Auth::psk), truncation_within_a_record);
  add_cell_test("truncation_within_the_handshake", cells(), truncation_within_the_handshake);
  add_cell_test("silence_then_fin", cells(Auth::psk), silence_then_fin);
}

}  // namespace rig::conformance
