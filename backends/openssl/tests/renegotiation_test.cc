// TLS 1.2 renegotiation where a write is cut, a record has come in part, or the answer is an alert without room.
#include "backends/openssl/tests/peers.h"

namespace rig {
namespace {

using namespace test;

auto renegotiate(EnginePair& pair, Side side) {
  return pair.call(side, [](TlsEngine& engine, CipherOut& out) { return engine.renegotiate(out); });
}

bool both_have(EnginePair& pair, unsigned handshakes) {
  return pair.engine(Side::client).facts().handshakes == handshakes &&
         pair.engine(Side::server).facts().handshakes == handshakes;
}

void expect_traffic(EnginePair& pair, std::uint64_t bytes) {
  pair.send(Side::client, bytes);
  pair.send(Side::server, bytes);
  RIG_EXPECT_DONE(pair.run_traffic());
}

// say writes behind what was written by hand, and expects it to arrive.
void say(EnginePair& pair, Side side, std::size_t bytes) {
  const std::uint64_t position = pair.end(other(side)).received;
  const auto step =
      pair.call(side, [&](TlsEngine& e, CipherOut& o) { return e.write(position_coded(side, position, bytes), o); });
  ASSERT_TRUE(step.has_value()) << step.error().detail();
  ASSERT_EQ(step->accepted, bytes);
  RIG_EXPECT_DONE(pair.run([&] { return pair.end(other(side)).received == position + bytes; }));
}

// cut_write leaves a write of 5000 bytes of `side` with its first `room` bytes of ciphertext under way.
void cut_write(EnginePair& pair, Side side, std::size_t room) {
  Bytes storage(room);
  CipherOut out{MutableBytes(storage)};
  const auto step = pair.engine(side).write(position_coded(side, pair.end(other(side)).received, 5000), out);
  ASSERT_TRUE(step.has_value()) << step.error().detail();
  ASSERT_EQ(step->need, Need::room);
  pair.inject(side, out.bytes());
}

// The peer starts a renegotiation while our write is cut. To answer at once would end the connection ("bad write
// retry"); the handshake waits until there is room, and then both go on.
TEST(OpensslRenegotiation, APeersHandshakeWaitsForACutWrite) {
  for (const Side starter : both_sides) {
    for (const std::size_t part : {0, 1, 4, 5, 6, 20}) {
      SCOPED_TRACE((starter == Side::client ? "the client starts, " : "the server starts, ") + std::to_string(part));
      const Side writer = other(starter);
      EnginePair pair = psk_pair(TlsVersion::tls12);
      RIG_EXPECT_DONE(pair.run_handshake());
      expect_traffic(pair, 100);
      settle(pair);
      ASSERT_EQ(renegotiate(pair, starter), Need::nothing);
      // The library has taken `part` bytes of the record already when the write comes.
      pair.knobs().feed_bytes_max = part == 0 ? 1 : part;
      Bytes plain(100);
      CipherOut none{MutableBytes()};
      if (part > 0) {
        pair.knobs().out_bytes_max = 65536;
        ASSERT_TRUE(pair.step(writer));
      }
      pair.knobs().feed_bytes_max = 65536;
      ASSERT_NO_FATAL_FAILURE(cut_write(pair, writer, 30));
      // All of the handshake record arrives, and there is no room for an answer.
      pair.knobs().pipe_bytes_max = 1;
      for (int reads = 0; reads < 3; ++reads) {
        pair.step(writer);
        const auto read = pair.engine(writer).read(MutableBytes(plain), none);
        ASSERT_TRUE(read.has_value()) << read.error().detail();
        EXPECT_EQ(read->need, Need::room);
        EXPECT_EQ(pair.engine(writer).facts().handshakes, 1U);
      }
      pair.knobs().pipe_bytes_max = 1 << 20;
      const auto retry =
          pair.call(writer, [&](TlsEngine& e, CipherOut& o) { return e.write(position_coded(writer, 100, 5000), o); });
      ASSERT_TRUE(retry.has_value()) << retry.error().detail();
      EXPECT_EQ(retry->accepted, 5000U);
      RIG_EXPECT_DONE(pair.run([&] { return both_have(pair, 2) && pair.end(starter).received == 5100; }));
    }
  }
}

// The first message is cut at every byte; the verb or a read brings out the rest, and there is one renegotiation.
TEST(OpensslRenegotiation, TheStartIsCutAtEveryByte) {
  for (const Side starter : both_sides) {
    for (const bool by_read : {false, true}) {
      EnginePair pair = psk_pair(TlsVersion::tls12);
      RIG_EXPECT_DONE(pair.run_handshake());
      expect_traffic(pair, 100);
      unsigned handshakes = 1;
      bool whole = false;
      for (std::size_t cut = 1; !whole; ++cut) {
        SCOPED_TRACE("cut " + std::to_string(cut));
        ASSERT_LT(cut, 1000U);
        settle(pair);
        pair.knobs().out_bytes_max = cut;
        const auto begun = renegotiate(pair, starter);
        ASSERT_TRUE(begun.has_value()) << begun.error().detail();
        whole = *begun == Need::nothing;
        EXPECT_EQ(pair.engine(starter).readable(), !whole);
        pair.knobs().out_bytes_max = 65536;
        if (!whole && !by_read) {
          ASSERT_EQ(renegotiate(pair, starter), Need::nothing);
          ASSERT_EQ(code_of(renegotiate(pair, starter)), Code::invalid_state) << "one is under way";
        }
        ++handshakes;
        RIG_EXPECT_DONE(pair.run([&] { return both_have(pair, handshakes); }));
        if (!whole && by_read) {
          ASSERT_EQ(renegotiate(pair, starter), Need::nothing) << "the layer calls again, as it was told to";
          settle(pair);
          ASSERT_TRUE(both_have(pair, handshakes)) << "that was not another one";
        }
        expect_traffic(pair, 50);
      }
      EXPECT_GT(handshakes, 20U) << "the situation was not reached: nothing was cut";
    }
  }
}

// Started while a record of the peer is there in part, or decrypted and not yet read: both must not get lost.
TEST(OpensslRenegotiation, TheStartWaitsForARecordInPart) {
  for (const Side starter : both_sides) {
    for (const std::size_t part : {0, 1, 5, 50}) {
      for (const bool cut_meanwhile : {false, true}) {
        SCOPED_TRACE("part " + std::to_string(part));
        EnginePair pair = psk_pair(TlsVersion::tls12);
        RIG_EXPECT_DONE(pair.run_handshake());
        settle(pair);
        Bytes storage(2000);
        CipherOut out{MutableBytes(storage)};
        ASSERT_EQ(pair.engine(other(starter)).write(position_coded(other(starter), 0, 1000), out)->accepted, 1000U);
        pair.inject(other(starter), out.bytes());
        // Either the record is in the library in part, or its first 10 bytes of plaintext were read.
        pair.knobs().feed_bytes_max = part == 0 ? 65536 : part;
        pair.knobs().read_bytes_max = 10;
        ASSERT_TRUE(pair.step(starter));
        ASSERT_EQ(pair.end(starter).received, part == 0 ? 10U : 0U);
        ASSERT_EQ(renegotiate(pair, starter), Need::nothing);
        ASSERT_EQ(code_of(renegotiate(pair, starter)), Code::invalid_state);
        pair.knobs().feed_bytes_max = 65536;
        if (cut_meanwhile && part > 0) {
          ASSERT_NO_FATAL_FAILURE(cut_write(pair, starter, 30));
          const auto retry = pair.call(
              starter, [&](TlsEngine& e, CipherOut& o) { return e.write(position_coded(starter, 0, 5000), o); });
          ASSERT_TRUE(retry.has_value()) << retry.error().detail();
          ASSERT_EQ(retry->accepted, 5000U);
        }
        RIG_EXPECT_DONE(pair.run([&] { return both_have(pair, 2) && pair.end(starter).received == 1000; }));
        say(pair, Side::client, 100);
        say(pair, Side::server, 100);
      }
    }
  }
}

TEST(OpensslRenegotiation, NoWriteAndNoCloseWithin) {
  EnginePair pair = psk_pair(TlsVersion::tls12);
  RIG_EXPECT_DONE(pair.run_handshake());
  settle(pair);
  ASSERT_EQ(renegotiate(pair, Side::client), Need::nothing);
  const auto write = pair.call(
      Side::client, [](TlsEngine& e, CipherOut& o) { return e.write(position_coded(Side::client, 0, 100), o); });
  ASSERT_TRUE(write.has_value());
  EXPECT_EQ(write->need, Need::input);
  EXPECT_EQ(write->accepted, 0U);
  EXPECT_EQ(code_of(pair.call(Side::client, [](TlsEngine& e, CipherOut& o) { return e.close_notify(o); })),
            Code::invalid_state);
  // The peer has closed before it saw our ClientHello.
  ASSERT_EQ(pair.call(Side::server, [](TlsEngine& e, CipherOut& o) { return e.close_notify(o); }), Need::nothing);
  RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::client).clean_end; }));
  EXPECT_EQ(
      code_of(pair.call(Side::client,
                        [](TlsEngine& e, CipherOut& o) { return e.write(position_coded(Side::client, 0, 100), o); })),
      Code::handshake_failed)
      << "there is nothing to wait for";
  EXPECT_EQ(code_of(renegotiate(pair, Side::client)), Code::invalid_state);
}

// The refusal is an alert; without room it is kept and not lost, and the next write does not trip over it.
TEST(OpensslRenegotiation, ARefusalIsCutAtEveryByte) {
  for (const Side starter : both_sides) {
    const Side refuser = other(starter);
    for (std::size_t cut = 1; cut < 40; ++cut) {
      SCOPED_TRACE((starter == Side::client ? "the client starts, cut " : "the server starts, cut ") +
                   std::to_string(cut));
      ContextConfig client = psk_config(Role::client, TlsVersion::tls12);
      ContextConfig server = psk_config(Role::server, TlsVersion::tls12);
      (refuser == Side::client ? client : server).allow_renegotiation = false;
      EnginePair pair = pair_of(client, server);
      RIG_EXPECT_DONE(pair.run_handshake());
      expect_traffic(pair, 100);
      settle(pair);
      ASSERT_EQ(renegotiate(pair, starter), Need::nothing);
      pair.hold(refuser, true);
      pair.knobs().out_bytes_max = cut;
      ASSERT_TRUE(pair.step(refuser));
      const auto write =
          pair.call(refuser, [&](TlsEngine& e, CipherOut& o) { return e.write(position_coded(refuser, 100, 1), o); });
      ASSERT_TRUE(write.has_value()) << write.error().detail();
      EXPECT_EQ(code_of(renegotiate(pair, refuser)), Code::unsupported);
      pair.hold(refuser, false);
      pair.knobs().out_bytes_max = 65536;
      EXPECT_EQ(pair.run([] { return false; }).kind, PairOutcome::Kind::failed);
      ASSERT_TRUE(pair.failure(starter).has_value()) << "it hangs";
      EXPECT_EQ(pair.failure(starter)->code(), Code::handshake_failed);
      EXPECT_NE(pair.failure(starter)->detail().find("no_renegotiation"), std::string_view::npos);
      ASSERT_TRUE(pair.failure(refuser).has_value());
      EXPECT_EQ(pair.failure(refuser)->code(), Code::peer_alert) << pair.failure(refuser)->detail();
      EXPECT_EQ(pair.engine(refuser).facts().handshakes, 1U);
    }
  }
}

}  // namespace
}  // namespace rig
