// The engine's rules for cramped output, renegotiation, ends and errors.
#include <gtest/gtest.h>

#include "backends/mbedtls/tests/peers.h"

namespace rig {
namespace {

using test::client_config;
using test::pair_of;
using test::psk_config;
using test::psk_pair;
using test::server_config;

// Room is a CipherOut with its storage.
struct Room {
  explicit Room(std::size_t bytes = 65536) : storage(bytes), out(storage) {}
  Bytes storage;
  CipherOut out;
};

Facts facts(EnginePair& pair, Side side) {
  return pair.engine(side).facts();
}

TEST(MbedtlsClogged, AHandshakePassesOneByteAtATime) {
  PairKnobs knobs;
  knobs.out_bytes_max = 1;
  knobs.feed_bytes_max = 1;
  EnginePair psk = psk_pair(knobs);
  RIG_EXPECT_DONE(psk.run_handshake());
  ContextConfig server = server_config(Identity::chained);
  server.peer_check = PeerCheck::verify;
  server.ca_pem = ca_pem();
  ContextConfig client = client_config();
  client.credentials = credentials(Identity::client);
  EnginePair certificates = pair_of(client, server, knobs);
  RIG_EXPECT_DONE(certificates.run_handshake());
  certificates.send(Side::client, 40000);
  certificates.send(Side::server, 40000);
  RIG_EXPECT_DONE(certificates.run_traffic());
  RIG_EXPECT_DONE(certificates.run_close());
}

TEST(MbedtlsClogged, AHandshakeGoesOnFromAnyByteThatItWasCutAt) {
  EnginePair whole = psk_pair();
  RIG_EXPECT_DONE(whole.run_handshake());
  const auto flight_bytes = std::max(whole.cipher_total(Side::client), whole.cipher_total(Side::server));
  for (std::size_t room = 1; room <= flight_bytes; ++room) {
    PairKnobs knobs;
    knobs.out_bytes_max = room;
    EnginePair pair = psk_pair(knobs);
    RIG_EXPECT_DONE(pair.run_handshake());
    EXPECT_EQ(pair.cipher_total(Side::client), whole.cipher_total(Side::client)) << "with room for " << room;
  }
}

TEST(MbedtlsClogged, AWriteGoesOnFromAnyByteThatItWasCutAt) {
  constexpr std::size_t plain_bytes = 40000;
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  const std::uint64_t before = pair.cipher_total(Side::client);
  pair.send(Side::client, plain_bytes);
  RIG_EXPECT_DONE(pair.run_traffic());
  const std::uint64_t cipher_bytes = pair.cipher_total(Side::client) - before;
  // A first call with each amount of room, and calls without a limit for the rest. Near the borders of the three
  // records every byte, elsewhere every 61st.
  for (std::uint64_t room = 1; room <= cipher_bytes + 1; ++room) {
    const std::uint64_t in_record = room % 16413;
    if (in_record > 40 && in_record < 16380 && room % 61 != 0 && room + 40 < cipher_bytes) {
      continue;
    }
    pair.send(Side::client, plain_bytes);
    pair.knobs().out_bytes_max = room;
    pair.step(Side::client);
    pair.knobs().out_bytes_max = 65536;
    const PairOutcome outcome = pair.run_traffic();
    ASSERT_TRUE(outcome.done()) << outcome.detail << " after a cut at byte " << room;
  }
}

TEST(MbedtlsClogged, EveryByteOfAWriteMayBeACut) {
  PairKnobs knobs;
  EnginePair pair = psk_pair(knobs);
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.knobs().out_bytes_max = 1;
  pair.knobs().longer_retries = true;
  pair.knobs().write_bytes_max = 20000;
  pair.send(Side::client, 40000);
  RIG_EXPECT_DONE(pair.run_traffic());
}

TEST(MbedtlsClogged, ARetryMayNotOfferLess) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  TlsEngine& client = pair.engine(Side::client);
  const Bytes plain(1000, 'a');
  Room small(10);
  const auto first = client.write(plain, small.out);
  EXPECT_EQ(first->accepted, 0U);
  EXPECT_EQ(first->need, Need::room);
  Room large;
  EXPECT_EQ(client.write(ByteView(plain).first(999), large.out).error().code(), Code::invalid_argument);
  EXPECT_EQ(client.renegotiate(large.out).error().code(), Code::invalid_state);
  EXPECT_EQ(client.close_notify(large.out).error().code(), Code::invalid_state);
  EXPECT_EQ(client.write({}, large.out)->accepted, 0U);
  EXPECT_EQ(large.out.size(), 0U);
  EXPECT_EQ(client.write(plain, large.out)->accepted, 1000U);
}

TEST(MbedtlsEngine, VerbsWaitForTheHandshake) {
  EnginePair pair = psk_pair();
  TlsEngine& client = pair.engine(Side::client);
  Room room;
  Bytes plain(10);
  EXPECT_EQ(client.write(plain, room.out).error().code(), Code::invalid_state);
  EXPECT_EQ(client.read(plain, room.out).error().code(), Code::invalid_state);
  EXPECT_EQ(client.renegotiate(room.out).error().code(), Code::invalid_state);
  EXPECT_EQ(client.close_notify(room.out).error().code(), Code::invalid_state);
  EXPECT_EQ(client.update_keys(room.out).error().code(), Code::unsupported);
  EXPECT_FALSE(client.readable());
  EXPECT_EQ(room.out.size(), 0U);
  RIG_EXPECT_DONE(pair.run_handshake());
  EXPECT_EQ(*client.handshake(room.out), Need::nothing);
  EXPECT_EQ(client.read({}, room.out).error().code(), Code::invalid_argument);
}

struct RenegotiationCase {
  Side starter;
  std::size_t out_bytes_max;
  bool in_flight;
};

class MbedtlsRenegotiation : public testing::TestWithParam<RenegotiationCase> {};

TEST_P(MbedtlsRenegotiation, CompletesOnBothSidesAndLosesNothing) {
  const RenegotiationCase& c = GetParam();
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    PairKnobs knobs;
    knobs.seed = seed;
    knobs.out_bytes_max = c.out_bytes_max;
    knobs.read_bytes_max = seed % 3 == 0 ? 1000 : 65536;
    knobs.pipe_bytes_max = seed % 2 == 0 ? 20000 : 1000000;
    EnginePair pair = psk_pair(knobs);
    RIG_EXPECT_DONE(pair.run_handshake());
    for (unsigned round = 1; round <= 3; ++round) {
      if (c.in_flight) {
        pair.send(Side::client, 200000);
        pair.send(Side::server, 200000);
        RIG_EXPECT_DONE(pair.run([&] { return pair.end(c.starter).received >= (round - 1) * 200000 + 1; }));
      }
      pair.renegotiate(c.starter);
      const auto done = [&] {
        return facts(pair, Side::client).handshakes == round + 1 && facts(pair, Side::server).handshakes == round + 1;
      };
      const PairOutcome outcome = pair.run(done);
      ASSERT_TRUE(outcome.done()) << outcome.detail << " seed " << seed << " round " << round;
      EXPECT_FALSE(pair.end(c.starter).refusal.has_value());
      RIG_EXPECT_DONE(pair.run_traffic());
    }
    RIG_EXPECT_DONE(pair.run_close());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MbedtlsRenegotiation,
    testing::Values(RenegotiationCase{Side::client, 65536, false}, RenegotiationCase{Side::server, 65536, false},
                    RenegotiationCase{Side::client, 7, false}, RenegotiationCase{Side::server, 1, false},
                    RenegotiationCase{Side::client, 65536, true}, RenegotiationCase{Side::server, 65536, true},
                    RenegotiationCase{Side::client, 1000, true}, RenegotiationCase{Side::server, 1000, true}),
    [](const auto& chosen) {
      return std::string(chosen.param.starter == Side::client ? "client" : "server") +
             (chosen.param.in_flight ? "_in_flight_" : "_quiescent_") + std::to_string(chosen.param.out_bytes_max);
    });

TEST(MbedtlsRenegotiation, OfACertificateConnectionVerifiesAgain) {
  ContextConfig client = client_config();
  ContextConfig server = server_config();
  client.allow_renegotiation = server.allow_renegotiation = true;
  EnginePair pair = pair_of(client, server);
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.renegotiate(Side::server);
  RIG_EXPECT_DONE(pair.run([&] { return facts(pair, Side::client).handshakes == 2; }));
  EXPECT_TRUE(facts(pair, Side::client).peer_verified);
}

TEST(MbedtlsRenegotiation, IsRefusedBeforeTheLibraryIsAsked) {
  EnginePair pair = pair_of(psk_config(Role::client), psk_config(Role::server));
  RIG_EXPECT_DONE(pair.run_handshake());
  Room room;
  EXPECT_EQ(pair.engine(Side::client).renegotiate(room.out).error().code(), Code::unsupported);
  EXPECT_EQ(pair.engine(Side::server).renegotiate(room.out).error().code(), Code::unsupported);
  EXPECT_EQ(room.out.size(), 0U);
  pair.send(Side::client, 1000);
  pair.send(Side::server, 1000);
  RIG_EXPECT_DONE(pair.run_traffic());
}

TEST(MbedtlsRenegotiation, OnlyOneAtATime) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  for (const Side side : {Side::client, Side::server}) {
    Room room;
    TlsEngine& engine = pair.engine(side);
    EXPECT_EQ(*engine.renegotiate(room.out), Need::nothing);
    EXPECT_GT(room.out.size(), 0U);
    EXPECT_EQ(engine.renegotiate(room.out).error().code(), Code::invalid_state);
  }
}

TEST(MbedtlsRenegotiation, OfTheServerRefusedByTheClientLeavesTheConnectionWhole) {
  ContextConfig server = psk_config(Role::server);
  server.allow_renegotiation = true;
  for (const std::size_t out_bytes_max : {65536, 1}) {
    PairKnobs knobs;
    knobs.out_bytes_max = out_bytes_max;
    EnginePair pair = pair_of(psk_config(Role::client), server, knobs);
    RIG_EXPECT_DONE(pair.run_handshake());
    for (int round = 0; round < 2; ++round) {  // a second request is possible, since the first was answered
      pair.renegotiate(Side::server);
      pair.send(Side::client, 50000);
      pair.send(Side::server, 50000);
      RIG_EXPECT_DONE(pair.run_traffic());
      EXPECT_FALSE(pair.end(Side::server).refusal.has_value());
    }
    EXPECT_EQ(facts(pair, Side::server).handshakes, 1U);
    RIG_EXPECT_DONE(pair.run_close());
  }
}

TEST(MbedtlsRenegotiation, OfTheClientRefusedByTheServerIsAnErrorAndNoHang) {
  ContextConfig client = psk_config(Role::client);
  client.allow_renegotiation = true;
  EnginePair pair = pair_of(client, psk_config(Role::server));
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.renegotiate(Side::client);
  pair.send(Side::client, 1000);
  EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::failed);
  EXPECT_EQ(pair.failure(Side::client)->code(), Code::handshake_failed);
  EXPECT_NE(pair.failure(Side::client)->detail().find("no_renegotiation"), std::string_view::npos);
  EXPECT_EQ(pair.failure(Side::server)->code(), Code::peer_alert);
}

// The library reports an alert as sent that met a backlog; without the engine's memory the server waits for ever.
TEST(MbedtlsRenegotiation, ARefusalIsNotLostBehindAPartialWrite) {
  ContextConfig server = psk_config(Role::server);
  server.allow_renegotiation = true;
  for (const std::size_t read_room : {0, 100, 65536}) {
    EnginePair pair = pair_of(psk_config(Role::client), server);
    RIG_EXPECT_DONE(pair.run_handshake());
    TlsEngine& client = pair.engine(Side::client);
    Room hello;
    ASSERT_EQ(*pair.engine(Side::server).renegotiate(hello.out), Need::nothing);
    Room cut(50);
    const Bytes plain(1000, 'p');
    ASSERT_EQ(client.write(plain, cut.out)->need, Need::room);
    ASSERT_TRUE(client.feed(hello.out.bytes()).has_value());
    Room during(read_room);
    Bytes text(100);
    EXPECT_EQ(client.read(text, during.out)->need, Need::room);
    Room rest;
    EXPECT_EQ(client.write(plain, rest.out)->accepted, 1000U);
    EXPECT_EQ(client.read(text, rest.out)->need, Need::input);
    Bytes wire(cut.out.bytes().begin(), cut.out.bytes().end());
    wire.insert(wire.end(), during.out.bytes().begin(), during.out.bytes().end());
    wire.insert(wire.end(), rest.out.bytes().begin(), rest.out.bytes().end());
    TlsEngine& peer = pair.engine(Side::server);
    ASSERT_TRUE(peer.feed(wire).has_value());
    Bytes arrived(2000);
    Room unused;
    EXPECT_EQ(peer.read(arrived, unused.out)->bytes, 1000U);
    EXPECT_EQ(peer.read(arrived, unused.out)->need, Need::input);
    EXPECT_EQ(*peer.renegotiate(unused.out), Need::nothing) << "the refusal did not arrive";
  }
}

// A renegotiation that read() answers pushes the rest of a partial write out; the retry must not send it twice.
TEST(MbedtlsRenegotiation, APartialWriteThatItPushesOutIsNotWrittenTwice) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.send(Side::client, 30000);
  pair.knobs().out_bytes_max = 20000;
  pair.step(Side::client);  // one record whole, the second cut
  ASSERT_EQ(pair.end(Side::client).written, 16384U);
  pair.knobs().out_bytes_max = 65536;
  pair.renegotiate(Side::server);
  for (int i = 0; i < 3; ++i) {
    pair.step(Side::server);
  }
  Room hello_and_rest;
  TlsEngine& client = pair.engine(Side::client);
  RIG_EXPECT_DONE(pair.run_traffic());
  RIG_EXPECT_DONE(pair.run([&] { return facts(pair, Side::client).handshakes == 2; }));
  EXPECT_EQ(pair.end(Side::server).received, 30000U);
  EXPECT_FALSE(client.readable());
}

TEST(MbedtlsClose, IsSentOnceHoweverOftenItIsAskedFor) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  TlsEngine& client = pair.engine(Side::client);
  Bytes wire;
  for (int i = 0; i < 200; ++i) {
    Room room(1);
    const auto need = client.close_notify(room.out);
    ASSERT_TRUE(need.has_value());
    wire.insert(wire.end(), room.out.bytes().begin(), room.out.bytes().end());
    if (i % 2 == 0) {  // a read in between must not make the retry start over
      Bytes text(10);
      Room between(1);
      ASSERT_TRUE(client.read(text, between.out).has_value());
      wire.insert(wire.end(), between.out.bytes().begin(), between.out.bytes().end());
    }
  }
  Room room;
  EXPECT_EQ(*client.close_notify(room.out), Need::nothing);
  EXPECT_EQ(room.out.size(), 0U);
  ASSERT_GE(wire.size(), 5U);
  EXPECT_EQ(wire.size(), 5U + (std::size_t{wire[3]} << 8) + wire[4]) << "more than one record";
  const Bytes plain(1, 'x');
  EXPECT_EQ(client.write(plain, room.out).error().code(), Code::invalid_state);
  EXPECT_EQ(client.renegotiate(room.out).error().code(), Code::invalid_state);

  TlsEngine& server = pair.engine(Side::server);
  ASSERT_TRUE(server.feed(wire).has_value());
  server.end_of_input();
  Bytes text(10);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(server.read(text, room.out)->end);
    EXPECT_FALSE(server.readable());
  }
  EXPECT_EQ(*server.close_notify(room.out), Need::nothing);
}

TEST(MbedtlsClose, AFinWithoutItIsATruncation) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.send(Side::client, 100);
  RIG_EXPECT_DONE(pair.run_traffic());
  TlsEngine& server = pair.engine(Side::server);
  server.end_of_input();
  Bytes text(10);
  Room room;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(server.read(text, room.out).error().code(), Code::truncated);
  }
  EXPECT_EQ(server.write(text, room.out).error().code(), Code::truncated);
  EXPECT_EQ(server.handshake(room.out).error().code(), Code::truncated);
  EXPECT_EQ(server.update_keys(room.out).error().code(), Code::truncated);
  EXPECT_EQ(server.close_notify(room.out).error().code(), Code::truncated);
  EXPECT_EQ(server.renegotiate(room.out).error().code(), Code::truncated);
  EXPECT_EQ(server.session().error().code(), Code::truncated);
  EXPECT_EQ(room.out.size(), 0U);
  EXPECT_FALSE(server.readable());
}

TEST(MbedtlsClose, BytesAfterTheEndOfInputAreRefused) {
  EnginePair pair = psk_pair();
  TlsEngine& client = pair.engine(Side::client);
  client.end_of_input();
  EXPECT_EQ(client.feed(as_bytes("x")).error().code(), Code::invalid_state);
}

// close_at is a close_notify at some point of a renegotiation, at which the library's own function does nothing.
TEST(MbedtlsClose, ReachesThePeerAlsoWithinARenegotiation) {
  for (const Side closer : {Side::client, Side::server}) {
    for (const std::size_t out_bytes_max : {65536, 100, 1}) {
      for (int steps = 1; steps < 60; ++steps) {
        PairKnobs knobs;
        EnginePair pair = psk_pair(knobs);
        RIG_EXPECT_DONE(pair.run_handshake());
        pair.knobs().out_bytes_max = out_bytes_max;
        pair.renegotiate(Side::client);
        for (int i = 0; i < steps * (out_bytes_max == 1 ? 17 : 1); ++i) {
          pair.step(i % 2 == 0 ? Side::client : Side::server);
        }
        pair.close(closer);
        const PairOutcome outcome = pair.run([&] { return pair.end(other(closer)).clean_end; });
        ASSERT_TRUE(outcome.done()) << outcome.detail << " after " << steps << " steps of " << out_bytes_max;
      }
    }
  }
}

TEST(MbedtlsClose, OfThePeerWithinARenegotiationEndsWriting) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  Room hello;
  TlsEngine& client = pair.engine(Side::client);
  ASSERT_EQ(*client.renegotiate(hello.out), Need::nothing);
  Room close;
  ASSERT_EQ(*pair.engine(Side::server).close_notify(close.out), Need::nothing);
  ASSERT_TRUE(client.feed(close.out.bytes()).has_value());
  Bytes text(10);
  Room room;
  EXPECT_EQ(client.write(text, room.out)->need, Need::input);
  EXPECT_TRUE(client.read(text, room.out)->end);
  EXPECT_EQ(client.write(text, room.out).error().code(), Code::handshake_failed);
  EXPECT_EQ(*client.close_notify(room.out), Need::nothing);
}

TEST(MbedtlsErrors, ACorruptRecordIsTheFirstAndLastCause) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  bool tampered = false;
  pair.tamper([&](Side from, std::uint64_t, Bytes& cipher) {
    if (from == Side::client && !tampered) {
      cipher.back() ^= 1;
      tampered = true;
    }
  });
  pair.send(Side::client, 1000);
  EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::failed);
  EXPECT_EQ(pair.failure(Side::server)->code(), Code::protocol);
  EXPECT_EQ(pair.failure(Side::client)->code(), Code::peer_alert);
  EXPECT_NE(pair.failure(Side::client)->detail().find("bad_record_mac"), std::string_view::npos);
  TlsEngine& server = pair.engine(Side::server);
  Room room;
  Bytes text(10);
  EXPECT_EQ(server.read(text, room.out).error().detail(), pair.failure(Side::server)->detail());
  EXPECT_EQ(room.out.size(), 0U);
}

// Whatever bit of a handshake is flipped: it is the peer's fault or the path's, never called ours, and both sides end.
TEST(MbedtlsErrors, NoBitOfAHandshakeIsTakenForAnErrorOfOurs) {
  const auto client = test::context_of(psk_config(Role::client));
  const auto server = test::context_of(psk_config(Role::server));
  for (const Side side : {Side::client, Side::server}) {
    std::uint64_t total = 1;
    for (std::uint64_t bit = 0; bit < 8 * total; bit += 3) {
      EnginePair pair(test::engine_of(*client, {.host = "localhost", .resume = {}}), test::engine_of(*server));
      pair.tamper([&](Side from, std::uint64_t offset, Bytes& cipher) {
        if (from == side && bit / 8 >= offset && bit / 8 < offset + cipher.size()) {
          cipher[static_cast<std::size_t>(bit / 8 - offset)] ^= static_cast<std::uint8_t>(1 << (bit % 8));
        }
      });
      const PairOutcome outcome = pair.run_handshake();
      EXPECT_NE(outcome.kind, PairOutcome::Kind::exhausted);
      total = std::max(total, pair.cipher_total(side));
      for (const Side end : {Side::client, Side::server}) {
        if (const auto& failure = pair.failure(end); failure.has_value()) {
          EXPECT_NE(failure->code(), Code::internal) << failure->detail() << " at bit " << bit;
          EXPECT_NE(failure->code(), Code::verification_failed) << failure->detail() << " at bit " << bit;
        }
      }
    }
    EXPECT_GT(total, 200U);
  }
}

TEST(MbedtlsErrors, AFatalErrorWithoutRoomForTheAlertDoesNotLoop) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  TlsEngine& server = pair.engine(Side::server);
  ASSERT_TRUE(server.feed(as_bytes(std::string_view("\x19\x03\x03\x00\x01x", 6))).has_value());
  Bytes text(10);
  Room none(0);
  EXPECT_EQ(server.read(text, none.out).error().code(), Code::protocol);
  EXPECT_EQ(server.read(text, none.out).error().code(), Code::protocol);
}

TEST(MbedtlsErrors, AnAlertThatTheLibraryDoesNotSendIsSentByUs) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.inject(Side::client, as_bytes(std::string_view("\x19\x03\x03\x00\x01x", 6)));
  EXPECT_EQ(pair.run([&] { return pair.failure(Side::client).has_value(); }).kind, PairOutcome::Kind::done);
  EXPECT_EQ(pair.failure(Side::client)->code(), Code::peer_alert);
  EXPECT_NE(pair.failure(Side::client)->detail().find("decode_error"), std::string_view::npos);
}

TEST(MbedtlsEngine, LargeInputIsHeldAndGivenInOrder) {
  EnginePair pair = psk_pair();
  RIG_EXPECT_DONE(pair.run_handshake());
  pair.knobs().read_bytes_max = 3000;
  pair.send(Side::client, 2'000'000);
  RIG_EXPECT_DONE(pair.run_traffic());
  EXPECT_FALSE(pair.engine(Side::server).readable());
}

}  // namespace
}  // namespace rig
