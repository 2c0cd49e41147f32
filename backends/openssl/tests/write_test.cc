// Clogging: the output is full at any byte of a handshake, a write, a key update, a close.
#include "backends/openssl/tests/peers.h"

namespace rig {
namespace {

using namespace test;

TEST(OpensslWrite, AHandshakeClogsAtEveryByteOnce) {
  for (const TlsVersion version : both_versions) {
    const auto client = context_of(psk_config(Role::client, version));
    const auto server = context_of(psk_config(Role::server, version));
    for (const Side clogged : both_sides) {
      EnginePair reference(engine_of(*client, {.host = "localhost", .resume = {}}), engine_of(*server));
      RIG_EXPECT_DONE(reference.run_handshake());
      const std::uint64_t total = reference.cipher_total(clogged);
      unsigned reached = 0;
      for (std::uint64_t cut = 0; cut < total; ++cut) {
        EnginePair pair(engine_of(*client, {.host = "localhost", .resume = {}}), engine_of(*server));
        bool seen_room = false;
        const PairOutcome outcome = pair.run([&] {
          // Exactly one boundary: behind it there is all the room of the world.
          const std::uint64_t sent = pair.cipher_total(clogged);
          pair.knobs().out_bytes_max = sent < cut ? static_cast<std::size_t>(cut - sent) : 65536;
          seen_room = seen_room || pair.end(clogged).last_need == Need::room;
          return pair.end(Side::client).handshake_done && pair.end(Side::server).handshake_done;
        });
        ASSERT_TRUE(outcome.done()) << "cut at " << cut << ": " << outcome.detail;
        reached += seen_room ? 1 : 0;
        pair.send(Side::client, 100);
        pair.send(Side::server, 100);
        RIG_EXPECT_DONE(pair.run_traffic());
      }
      EXPECT_GT(reached, total / 2) << "the situation was not reached: nothing was cut";
    }
  }
}

TEST(OpensslWrite, AWriteOf40KbClogsAtEveryByte) {
  constexpr std::size_t volume = 40'000;
  for (const TlsVersion version : both_versions) {
    EnginePair pair = psk_pair(version);
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    std::uint64_t position = 0;
    Bytes storage(65536);
    // All of the first record's header, its end and the next one's beginning, and a stride through the rest.
    for (std::size_t cut = 0; cut < 40'000; cut += cut < 40 || (cut > 16'380 && cut < 16'460) ? 1 : 487) {
      CipherOut out{MutableBytes(storage).first(cut)};
      const auto first = pair.engine(Side::client).write(position_coded(Side::client, position, volume), out);
      ASSERT_TRUE(first.has_value()) << first.error().detail();
      ASSERT_EQ(first->need, Need::room);
      ASSERT_EQ(out.size(), cut) << "room that is there is used";
      ASSERT_EQ(first->accepted % 16384, 0U) << "whole records only";
      pair.inject(Side::client, out.bytes());
      position += first->accepted;
      // From another address, and longer.
      const std::size_t rest = volume - first->accepted;
      const ByteView again = position_coded(Side::client, position, rest + 10);
      const Bytes moved(again.begin(), again.end());
      const auto second = pair.call(Side::client, [&](TlsEngine& e, CipherOut& o) { return e.write(moved, o); });
      ASSERT_TRUE(second.has_value()) << second.error().detail();
      ASSERT_EQ(second->accepted, moved.size());
      position += moved.size();
      RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::server).received == position; }));
    }
  }
}

TEST(OpensslWrite, AShorterRetryIsRefusedAndHarmsNothing) {
  for (const TlsVersion version : both_versions) {
    EnginePair pair = psk_pair(version);
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    Bytes storage(50);
    CipherOut out{MutableBytes(storage)};
    const auto first = pair.engine(Side::client).write(position_coded(Side::client, 0, 1000), out);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->need, Need::room);
    pair.inject(Side::client, out.bytes());
    const auto write = [&](std::size_t bytes) {
      return pair.call(Side::client, [bytes](TlsEngine& e, CipherOut& o) {
        return e.write(position_coded(Side::client, 0, bytes), o);
      });
    };
    EXPECT_EQ(code_of(write(999)), Code::invalid_argument);
    const auto none = write(0);
    ASSERT_TRUE(none.has_value());
    EXPECT_EQ(none->accepted, 0U);
    EXPECT_EQ(code_of(pair.call(Side::client, [](TlsEngine& e, CipherOut& o) { return e.close_notify(o); })),
              Code::invalid_state);
    EXPECT_EQ(code_of(pair.call(Side::client, [](TlsEngine& e, CipherOut& o) { return e.update_keys(o); })),
              version == TlsVersion::tls13 ? Code::invalid_state : Code::unsupported);
    EXPECT_EQ(code_of(pair.call(Side::client, [](TlsEngine& e, CipherOut& o) { return e.renegotiate(o); })),
              version == TlsVersion::tls12 ? Code::invalid_state : Code::unsupported);
    const auto whole = write(1000);
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(whole->accepted, 1000U);
    RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::server).received == 1000; }));
  }
}

// A KeyUpdate is cut at every byte; it is counted once, answered once, and no write gets between.
TEST(OpensslWrite, AKeyUpdateClogsAtEveryByte) {
  for (const Side starter : both_sides) {
    EnginePair pair = psk_pair(TlsVersion::tls13);
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    unsigned updates = 0;
    for (std::size_t cut = 0; cut < 30; ++cut) {
      for (const bool by_read : {false, true}) {
        SCOPED_TRACE("cut " + std::to_string(cut) + (by_read ? ", a read finishes it" : ", the verb finishes it"));
        pair.knobs().out_bytes_max = cut == 0 ? 1 : cut;
        const auto begun = pair.call(starter, [](TlsEngine& e, CipherOut& o) { return e.update_keys(o); });
        ASSERT_EQ(begun, cut < 27 ? Need::room : Need::nothing) << "a KeyUpdate is a record of 27 bytes";
        ++updates;
        EXPECT_EQ(pair.engine(starter).readable(), *begun == Need::room) << "what is owed is a read's work";
        pair.knobs().out_bytes_max = 65536;
        if (!by_read) {
          ASSERT_EQ(pair.call(starter, [](TlsEngine& e, CipherOut& o) { return e.update_keys(o); }), Need::nothing);
          updates += *begun == Need::nothing ? 1 : 0;  // it was done: that was another one
        }
        pair.send(starter, 100);
        pair.send(other(starter), 100);
        RIG_EXPECT_DONE(pair.run_traffic());
        settle(pair);
        if (by_read && *begun == Need::room) {
          ASSERT_EQ(pair.call(starter, [](TlsEngine& e, CipherOut& o) { return e.update_keys(o); }), Need::nothing)
              << "the layer calls again, as it was told to";
          settle(pair);
        }
        for (const Side side : both_sides) {
          ASSERT_EQ(pair.engine(side).facts().key_updates_out, updates);
          ASSERT_EQ(pair.engine(side).facts().key_updates_in, updates);
        }
      }
    }
  }
}

// The peer asks for a KeyUpdate while a write of ours is cut: the answer comes once the write is whole, by itself.
TEST(OpensslWrite, AKeyUpdateIsAnsweredBehindACutWrite) {
  for (const bool read_finishes : {false, true}) {
    EnginePair pair = psk_pair(TlsVersion::tls13);
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    Bytes storage(100);
    CipherOut out{MutableBytes(storage)};
    TlsEngine& engine = pair.engine(Side::client);
    ASSERT_EQ(engine.write(position_coded(Side::client, 0, 5000), out)->need, Need::room);
    pair.inject(Side::client, out.bytes());
    ASSERT_EQ(pair.call(Side::server, [](TlsEngine& e, CipherOut& o) { return e.update_keys(o); }), Need::nothing);
    pair.knobs().pipe_bytes_max = 1;  // the pipe holds more than that: no room for the client
    const std::uint64_t before = pair.cipher_total(Side::client);
    pair.hold(Side::client, true);
    while (pair.step(Side::client)) {
    }
    EXPECT_EQ(engine.facts().key_updates_in, 1U);
    EXPECT_EQ(pair.cipher_total(Side::client), before) << "there was no room for anything";
    EXPECT_EQ(pair.engine(Side::server).facts().key_updates_in, 0U);
    EXPECT_FALSE(engine.readable()) << "a read could not answer: no reason to spin";
    pair.knobs().pipe_bytes_max = 1 << 20;
    pair.hold(Side::client, false);
    if (read_finishes) {
      Bytes plain(10);
      const auto read =
          pair.call(Side::client, [&](TlsEngine& e, CipherOut& o) { return e.read(MutableBytes(plain), o); });
      ASSERT_TRUE(read.has_value());
      EXPECT_EQ(read->need, Need::input);
    }
    const auto write = pair.call(
        Side::client, [](TlsEngine& e, CipherOut& o) { return e.write(position_coded(Side::client, 0, 5000), o); });
    ASSERT_TRUE(write.has_value()) << write.error().detail();
    EXPECT_EQ(write->accepted, 5000U);
    EXPECT_EQ(engine.facts().key_updates_out, 1U);
    RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::server).received == 5000; }));
    settle(pair);
    EXPECT_EQ(pair.engine(Side::server).facts().key_updates_in, 1U);
  }
}

// Both sides ask for a KeyUpdate while a write of each is cut and both pipes are full. Answers come behind further
// requests: left alone, the library writes its own into the cut record, and fails with "bad length".
TEST(OpensslWrite, KeyUpdatesCrossOverFullPipes) {
  for (const std::size_t pipe : {64, 1000, 20'000}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE("pipe " + std::to_string(pipe) + ", seed " + std::to_string(seed));
      PairKnobs knobs{.feed_bytes_max = 1500, .pipe_bytes_max = pipe, .seed = seed};
      EnginePair pair = psk_pair(TlsVersion::tls13, knobs);
      RIG_EXPECT_DONE(pair.run_handshake());
      settle(pair);
      constexpr unsigned rounds = 4;
      for (unsigned round = 1; round <= rounds; ++round) {
        const std::uint64_t received = pair.end(Side::client).received;
        pair.send(Side::client, 100'000);
        pair.send(Side::server, 100'000);
        pair.update_keys(Side::client);
        pair.update_keys(Side::server);
        const PairOutcome outcome = pair.run([&] { return pair.end(Side::client).received >= received + 20'000; });
        ASSERT_TRUE(outcome.done()) << outcome.detail;
        ASSERT_GT(pair.end(Side::client).to_write, 0U) << "the situation was not reached: nothing is under way";
      }
      const PairOutcome outcome = pair.run_traffic();
      ASSERT_TRUE(outcome.done()) << outcome.detail;
      settle(pair);
      for (const Side side : both_sides) {
        ASSERT_FALSE(pair.end(side).refusal.has_value());
        const Facts facts = pair.engine(side).facts();
        EXPECT_EQ(facts.key_updates_out, pair.engine(other(side)).facts().key_updates_in);
        EXPECT_GT(facts.key_updates_out, rounds) << "its own, and answers";
      }
      RIG_EXPECT_DONE(pair.run_close());
    }
  }
}

// A peer asks for one KeyUpdate after the other and takes no answer: what is kept for it stays bounded, and every
// request is answered once it reads.
TEST(OpensslWrite, AFloodOfKeyUpdatesIsBounded) {
  constexpr unsigned requests = 60;
  EnginePair pair = psk_pair(TlsVersion::tls13);
  RIG_EXPECT_DONE(pair.run_handshake());
  settle(pair);
  TlsEngine& client = pair.engine(Side::client);
  Bytes storage(requests * 30);
  CipherOut flood{MutableBytes(storage)};
  for (unsigned request = 0; request < requests; ++request) {
    ASSERT_EQ(pair.engine(Side::server).update_keys(flood), Need::nothing);
  }
  Bytes plain(10);
  CipherOut none{MutableBytes()};
  Need last = Need::nothing;
  // One record at a time: requests that come at once may be answered at once.
  for (std::size_t at = 0; at < flood.size(); at += 27) {
    ASSERT_TRUE(client.feed(flood.bytes().subspan(at, 27)).has_value());
    const auto read = client.read(MutableBytes(plain), none);
    ASSERT_TRUE(read.has_value()) << read.error().detail();
    last = read->need;
  }
  EXPECT_EQ(last, Need::room);
  const unsigned answered = client.facts().key_updates_out;
  EXPECT_GT(answered, 10U);
  EXPECT_LT(answered, 25U) << "the situation was not reached: all was kept";
  EXPECT_EQ(client.update_keys(none), Need::room) << "an answer is still on its way";
  EXPECT_EQ(client.close_notify(none), Need::room);
  pair.send(Side::server, 100);
  pair.send(Side::client, 100);
  RIG_EXPECT_DONE(pair.run_traffic());
  settle(pair);
  EXPECT_EQ(client.facts().key_updates_in, requests);
  EXPECT_EQ(client.facts().key_updates_out, requests);
  EXPECT_EQ(pair.engine(Side::server).facts().key_updates_in, requests);
  RIG_EXPECT_DONE(pair.run_close());
}

TEST(OpensslWrite, VerbsThatDoNotFitTheState) {
  for (const TlsVersion version : both_versions) {
    EnginePair pair = psk_pair(version);
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    TlsEngine& client = pair.engine(Side::client);
    Bytes storage(1000);
    CipherOut out{MutableBytes(storage)};
    EXPECT_EQ(code_of(client.read({}, out)), Code::invalid_argument);
    ASSERT_EQ(pair.call(Side::server, [](TlsEngine& e, CipherOut& o) { return e.close_notify(o); }), Need::nothing);
    RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::client).clean_end; }));
    EXPECT_TRUE(client.feed(storage).has_value()) << "what comes behind the end does not matter";
    EXPECT_FALSE(client.readable());
    client.end_of_input();
    EXPECT_EQ(code_of(client.feed(storage)), Code::invalid_state);
    ASSERT_EQ(client.close_notify(out), Need::nothing);
    EXPECT_EQ(code_of(client.update_keys(out)), version == TlsVersion::tls13 ? Code::invalid_state : Code::unsupported);
    EXPECT_EQ(code_of(client.renegotiate(out)), version == TlsVersion::tls12 ? Code::invalid_state : Code::unsupported);
  }
}

TEST(OpensslWrite, CloseNotifyIsCutAtEveryByteAndSentOnce) {
  for (const TlsVersion version : both_versions) {
    std::uint64_t whole = 0;
    for (std::size_t cut = 64; cut-- > 0;) {
      EnginePair pair = psk_pair(version);
      RIG_EXPECT_DONE(pair.run_handshake());
      settle(pair);
      const std::uint64_t before = pair.cipher_total(Side::client);
      Bytes storage(64);
      CipherOut out{MutableBytes(storage).first(cut)};
      const auto first = pair.engine(Side::client).close_notify(out);
      pair.inject(Side::client, out.bytes());
      if (whole == 0) {
        ASSERT_EQ(first, Need::nothing);
        whole = out.size();
      }
      ASSERT_EQ(first, cut < whole ? Need::room : Need::nothing) << cut;
      EXPECT_EQ(out.size(), std::min<std::uint64_t>(cut, whole));
      EXPECT_EQ(pair.engine(Side::client).readable(), cut < whole);
      EXPECT_EQ(
          code_of(pair.call(Side::client,
                            [](TlsEngine& e, CipherOut& o) { return e.write(position_coded(Side::client, 0, 1), o); })),
          Code::invalid_state);
      for (int again = 0; again < 2; ++again) {
        EXPECT_EQ(pair.call(Side::client, [](TlsEngine& e, CipherOut& o) { return e.close_notify(o); }), Need::nothing);
      }
      EXPECT_EQ(pair.cipher_total(Side::client) - before + out.size(), whole) << "one alert, whole";
      RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::server).clean_end; }));
      // Nothing may follow it, whatever the peer asks for.
      if (version == TlsVersion::tls13) {
        pair.update_keys(Side::server);
      } else {
        pair.renegotiate(Side::server);
      }
      pair.send(Side::server, 1000);
      RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::client).received == 1000; }));
      EXPECT_EQ(pair.cipher_total(Side::client) - before + out.size(), whole);
    }
  }
}

// A record that has come in part is no reason to read: a layer that asks readable() would spin.
TEST(OpensslWrite, APartOfARecordIsNotReadable) {
  for (const TlsVersion version : both_versions) {
    EnginePair pair = psk_pair(version);
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    Bytes storage(1000);
    CipherOut out{MutableBytes(storage)};
    ASSERT_EQ(pair.engine(Side::client).write(position_coded(Side::client, 0, 100), out)->accepted, 100U);
    TlsEngine& server = pair.engine(Side::server);
    for (std::size_t at = 0; at < out.size(); ++at) {
      ASSERT_TRUE(server.feed(out.bytes().subspan(at, 1)).has_value());
      EXPECT_TRUE(server.readable());
      Bytes plain(60);
      const auto read =
          pair.call(Side::server, [&](TlsEngine& e, CipherOut& o) { return e.read(MutableBytes(plain), o); });
      ASSERT_TRUE(read.has_value());
      const bool last = at + 1 == out.size();
      EXPECT_EQ(read->bytes, last ? 60U : 0U);
      EXPECT_EQ(server.readable(), last) << "the other 40 bytes are held back";
    }
  }
}

}  // namespace
}  // namespace rig
