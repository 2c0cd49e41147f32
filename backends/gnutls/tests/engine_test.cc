// What is specific to GnuTLS behind the contract: its queue, its error numbers, its limits.
#include <array>
#include <cerrno>
#include <string>

#include "backends/gnutls/library.h"
#include "backends/gnutls/tests/peers.h"

namespace rig {
namespace {

constexpr TlsVersion versions[] = {TlsVersion::tls12, TlsVersion::tls13};

std::string name_of(TlsVersion version) {
  return "TLS " + std::string(version_name(version));
}

TEST(GnutlsEngine, PlantedErrnoChangesNothingAndIsLeftAlone) {
  for (const TlsVersion version : versions) {
    for (const int planted : {EAGAIN, EINTR, ECONNRESET, EMSGSIZE, EIO}) {
      SCOPED_TRACE(name_of(version) + ", errno " + std::to_string(planted));
      PairKnobs knobs;
      knobs.out_bytes_max = 100;
      knobs.feed_bytes_max = 70;
      EnginePair pair =
          test::pair_of(test::psk_config(Role::client, version), test::psk_config(Role::server, version), knobs);
      unsigned changed = 0;
      const auto watched = [&](auto goal) {
        for (int steps = 0; steps < 100'000 && !goal(); ++steps) {
          for (const Side side : {Side::client, Side::server}) {
            errno = planted;
            pair.step(side);
            changed += errno != planted ? 1 : 0;
          }
        }
        EXPECT_TRUE(goal());
      };
      watched([&] { return pair.end(Side::client).handshake_done && pair.end(Side::server).handshake_done; });
      pair.send(Side::client, 40'000);
      pair.send(Side::server, 40'000);
      watched([&] { return pair.end(Side::client).received == 40'000 && pair.end(Side::server).received == 40'000; });
      errno = planted;
      EXPECT_TRUE(pair.engine(Side::client).session().has_value());
      EXPECT_EQ(errno, planted);
      if (version == TlsVersion::tls12) {
        pair.renegotiate(Side::server);
        watched([&] {
          return pair.engine(Side::client).facts().handshakes == 2 && pair.engine(Side::server).facts().handshakes == 2;
        });
      } else {
        pair.update_keys(Side::server);
        watched([&] { return pair.engine(Side::server).facts().key_updates_in == 1; });
      }
      pair.close(Side::client);
      pair.close(Side::server);
      watched([&] { return pair.end(Side::client).clean_end && pair.end(Side::server).clean_end; });
      EXPECT_EQ(changed, 0U);
    }
  }
}

TEST(GnutlsEngine, HandshakeClogsAtEveryByte) {
  for (const TlsVersion version : versions) {
    const auto client = test::context_of(test::psk_config(Role::client, version));
    const auto server = test::context_of(test::psk_config(Role::server, version));
    EnginePair reference(test::engine_of(*client), test::engine_of(*server));
    RIG_EXPECT_DONE(reference.run_handshake());
    for (const Side side : {Side::client, Side::server}) {
      const std::uint64_t total = reference.cipher_total(side);
      ASSERT_GT(total, 100U);
      for (std::uint64_t cut = 0; cut < total; ++cut) {
        SCOPED_TRACE(name_of(version) + " cut " + std::to_string(cut));
        EnginePair pair(test::engine_of(*client), test::engine_of(*server));
        bool clogged = false;
        // One step with no more room than up to the cut, then all the room there is.
        const auto outcome = pair.run([&] {
          const std::uint64_t left = cut - std::min(cut, pair.cipher_total(side));
          pair.knobs().out_bytes_max = left > 0 && !clogged ? left : 65536;
          clogged = clogged || pair.end(side).last_need == Need::room;
          return pair.end(Side::client).handshake_done && pair.end(Side::server).handshake_done;
        });
        ASSERT_TRUE(outcome.done()) << outcome.detail;
      }
    }
  }
}

TEST(GnutlsEngine, ALongWriteGoesOutByteByByte) {
  for (const TlsVersion version : versions) {
    EnginePair pair = test::psk_pair(version);
    test::settle(pair);
    pair.knobs().out_bytes_max = 1;
    pair.knobs().longer_retries = true;
    pair.knobs().write_bytes_max = 40'000;
    pair.send(Side::client, 40'000);
    const std::uint64_t before = pair.cipher_total(Side::client);
    RIG_EXPECT_DONE(pair.run_traffic());
    EXPECT_GT(pair.cipher_total(Side::client), before + 40'000);
  }
}

// near_a_boundary is true around the ends of the records of a long write, where one cut more matters.
bool near_a_boundary(std::size_t cut) {
  const std::size_t within = cut % 16'384;
  return within < 140 || within > 16'300;
}

TEST(GnutlsEngine, ALongWriteIsCutOnceAnywhere) {
  for (const TlsVersion version : versions) {
    EnginePair pair = test::psk_pair(version);
    test::settle(pair);
    std::uint64_t position = 0;
    std::size_t cuts = 0;
    constexpr std::size_t bytes = 40'000;
    for (std::size_t cut = 0;; cut += near_a_boundary(cut) ? 1 : 61) {
      SCOPED_TRACE(name_of(version) + " cut " + std::to_string(cut));
      Bytes storage(cut);
      CipherOut out{MutableBytes(storage)};
      const auto first = pair.engine(Side::client).write(position_coded(Side::client, position, bytes), out);
      ASSERT_TRUE(first.has_value()) << first.error().detail();
      pair.inject(Side::client, out.bytes());
      position += first->accepted;
      const std::size_t rest = bytes - first->accepted;
      if (rest == 0) {
        break;
      }
      ++cuts;
      ASSERT_EQ(first->need, Need::room);
      if (rest > 1) {
        const auto shorter = pair.call(Side::client, [&](TlsEngine& engine, CipherOut& o) {
          return engine.write(position_coded(Side::client, position, 1), o);
        });
        if (!shorter.has_value()) {
          EXPECT_EQ(shorter.error().code(), Code::invalid_argument);
        } else {
          position += shorter->accepted;  // one byte was all that the library had taken
          EXPECT_EQ(shorter->accepted, 1U);
          continue;
        }
      }
      const auto second = pair.call(Side::client, [&](TlsEngine& engine, CipherOut& o) {
        return engine.write(position_coded(Side::client, position, rest), o);
      });
      ASSERT_TRUE(second.has_value()) << second.error().detail();
      EXPECT_EQ(second->accepted, rest);
      position += rest;
      while (pair.step(Side::server)) {
      }
      ASSERT_EQ(pair.end(Side::server).received, position);
    }
    EXPECT_GT(cuts, 200U);
  }
}

// A KeyUpdate request that arrives between a cut record and its retry: the library, left to itself, would send the
// record's data a second time.
TEST(GnutlsEngine, AKeyUpdateOverAPartialWriteDoublesNothing) {
  for (const std::size_t cut : {0, 1, 5, 100, 5000, 16'000}) {
    SCOPED_TRACE("cut " + std::to_string(cut));
    EnginePair pair = test::psk_pair(TlsVersion::tls13);
    test::settle(pair);
    Bytes storage(cut);
    CipherOut out{MutableBytes(storage)};
    const auto first = pair.engine(Side::client).write(position_coded(Side::client, 0, 40'000), out);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->accepted, 0U);
    pair.inject(Side::client, out.bytes());
    pair.update_keys(Side::server);
    pair.step(Side::server);
    pair.knobs().out_bytes_max = 3;  // the answer does not fit at once either
    for (int turns = 0; turns < 3; ++turns) {
      pair.step(Side::client);
    }
    pair.knobs().out_bytes_max = 65536;
    EXPECT_EQ(pair.engine(Side::client).facts().key_updates_in, 1U);
    const auto second = pair.call(Side::client, [&](TlsEngine& engine, CipherOut& o) {
      return engine.write(position_coded(Side::client, 0, 40'000), o);
    });
    ASSERT_TRUE(second.has_value()) << second.error().detail();
    EXPECT_EQ(second->accepted, 40'000U);
    test::settle(pair);
    EXPECT_EQ(pair.end(Side::server).received, 40'000U);
    EXPECT_EQ(pair.engine(Side::server).facts().key_updates_in, 1U);
    pair.send(Side::server, 1000);
    RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::client).received == 1000; }));
  }
}

// RFC 8446, section 4.6.3: both sides may ask at once, and each answers. The library alone ends the connection.
TEST(GnutlsEngine, KeyUpdateRequestsMayCross) {
  EnginePair pair = test::psk_pair(TlsVersion::tls13);
  for (unsigned round = 1; round <= 3; ++round) {
    for (const Side side : {Side::client, Side::server}) {
      const auto asked = pair.call(side, [](TlsEngine& e, CipherOut& out) { return e.update_keys(out); });
      ASSERT_EQ(asked, Need::nothing);
    }
    test::settle(pair);
    for (const Side side : {Side::client, Side::server}) {
      EXPECT_EQ(pair.engine(side).facts().key_updates_out, 2 * round);
      EXPECT_EQ(pair.engine(side).facts().key_updates_in, 2 * round);
      pair.send(side, 20'000);
    }
    RIG_EXPECT_DONE(pair.run_traffic());
  }
}

// Whoever comes after a cut verb pushes it out first; its repetition then has nothing left to do.
TEST(GnutlsEngine, ACutKeyUpdateIsFinishedByWhoeverComesNext) {
  for (const bool by_write : {true, false}) {
    EnginePair pair = test::psk_pair(TlsVersion::tls13);
    pair.knobs().out_bytes_max = 3;
    const auto update = [](TlsEngine& e, CipherOut& out) { return e.update_keys(out); };
    ASSERT_EQ(pair.call(Side::client, update), Need::room);
    ASSERT_EQ(pair.call(Side::client, update), Need::room);
    if (by_write) {
      const auto write = [](TlsEngine& e, CipherOut& out) { return e.write(position_coded(Side::client, 0, 10), out); };
      const auto step = pair.call(Side::client, write);
      ASSERT_TRUE(step.has_value());
      EXPECT_EQ(step->accepted, 0U);
      EXPECT_EQ(step->need, Need::room);
      pair.knobs().out_bytes_max = 65536;
      EXPECT_EQ(pair.call(Side::client, write)->accepted, 10U);
    }
    pair.knobs().out_bytes_max = 65536;
    const std::uint64_t before = pair.cipher_total(Side::client);
    ASSERT_EQ(pair.call(Side::client, update), Need::nothing);
    EXPECT_EQ(pair.cipher_total(Side::client) == before, by_write);
    test::settle(pair);
    EXPECT_EQ(pair.engine(Side::server).facts().key_updates_in, 1U);
    EXPECT_EQ(pair.engine(Side::client).facts().key_updates_in, 1U);
  }
}

TEST(GnutlsEngine, ACutCloseNotifyGoesOutOnce) {
  for (const TlsVersion version : versions) {
    EnginePair pair = test::psk_pair(version);
    pair.knobs().out_bytes_max = 1;
    const auto close = [](TlsEngine& e, CipherOut& out) { return e.close_notify(out); };
    unsigned calls = 1;
    while (pair.call(Side::client, close) == Need::room) {
      ++calls;
      ASSERT_LT(calls, 100U);
    }
    EXPECT_GT(calls, 20U);
    const std::uint64_t before = pair.cipher_total(Side::client);
    EXPECT_EQ(pair.call(Side::client, close), Need::nothing);
    EXPECT_EQ(pair.cipher_total(Side::client), before);
    pair.knobs().out_bytes_max = 65536;
    RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::server).clean_end; }));
  }
}

// The library takes an alert over a queued record for the record's flush: the record goes out whole, then the alert.
TEST(GnutlsEngine, AFatalAlertComesBehindTheRecordThatWasCut) {
  for (const TlsVersion version : versions) {
    EnginePair pair = test::psk_pair(version);
    test::settle(pair);
    Bytes storage(100);
    CipherOut out{MutableBytes(storage)};
    ASSERT_EQ(pair.engine(Side::client).write(position_coded(Side::client, 0, 1000), out)->need, Need::room);
    pair.inject(Side::client, out.bytes());
    Bytes record = {23, 3, 3, 0, 64};
    record.resize(5 + 64, 0xa5);
    pair.inject(Side::server, ByteView(record));
    EXPECT_EQ(pair.run([] { return false; }).kind, PairOutcome::Kind::failed);
    EXPECT_EQ(pair.failure(Side::client)->code(), Code::protocol);
    EXPECT_EQ(pair.failure(Side::server)->code(), Code::peer_alert);
    EXPECT_EQ(pair.end(Side::server).received, 1000U);
  }
}

TEST(GnutlsEngine, AFatalAlertWithoutRoomIsLostAndNobodyWaits) {
  EnginePair pair = test::psk_pair(TlsVersion::tls12);
  Bytes record = {23, 3, 3, 0, 64};
  record.resize(5 + 64, 0xa5);
  ASSERT_TRUE(pair.engine(Side::client).feed(record).has_value());
  std::array<std::uint8_t, 8> plain{};
  CipherOut none{MutableBytes()};
  const auto first = pair.engine(Side::client).read(plain, none);
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error().code(), Code::protocol);
  EXPECT_FALSE(pair.engine(Side::client).readable());
  EXPECT_EQ(pair.engine(Side::client).session().error().detail(), first.error().detail());
  EXPECT_EQ(pair.engine(Side::client).facts().handshakes, 1U);
}

// A backlog that is read while it grows: what was read makes room for what comes.
TEST(GnutlsEngine, ALongBacklogIsReadWhileItGrows) {
  for (const TlsVersion version : versions) {
    PairKnobs knobs;
    knobs.feed_bytes_max = 300'000;
    knobs.read_bytes_max = 16'384;
    EnginePair pair = test::psk_pair(version, knobs);
    test::settle(pair);
    for (int round = 0; round < 4; ++round) {
      pair.hold(Side::client, true);
      pair.send(Side::client, 200'000);
      EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::stalled);
      pair.hold(Side::client, false);
      for (int steps = 0; steps < 9; ++steps) {
        pair.step(Side::server);
      }
      EXPECT_TRUE(pair.engine(Side::server).readable());
    }
    RIG_EXPECT_DONE(pair.run_traffic());
    EXPECT_EQ(pair.end(Side::server).received, 800'000U);
    EXPECT_FALSE(pair.engine(Side::server).readable());
  }
}

TEST(GnutlsEngine, FeedingBehindTheEndIsRefused) {
  EnginePair pair = test::psk_pair(TlsVersion::tls12);
  TlsEngine& engine = pair.engine(Side::client);
  engine.end_of_input();
  const std::array<std::uint8_t, 1> byte{};
  EXPECT_EQ(engine.feed(byte).error().code(), Code::invalid_state);
}

TEST(GnutlsEngine, AnEmptyReadIsRefused) {
  EnginePair pair = test::psk_pair(TlsVersion::tls12);
  const auto step = pair.call(Side::client, [](TlsEngine& e, CipherOut& out) { return e.read({}, out); });
  EXPECT_EQ(step.error().code(), Code::invalid_argument);
}

TEST(GnutlsEngine, RuntimeVersionIsTheLoadedLibrarys) {
  EXPECT_EQ(gnutls_backend().runtime_version(), std::string("GnuTLS ") + gnutls_check_version(nullptr));
}

// Many contexts and engines come and go while one connection lives (pjproject#4909).
TEST(GnutlsEngine, OtherConnectionsComeAndGo) {
  EnginePair pair = test::psk_pair(TlsVersion::tls13);
  for (int i = 0; i < 20; ++i) {
    EnginePair other = test::psk_pair(i % 2 == 0 ? TlsVersion::tls12 : TlsVersion::tls13);
    RIG_EXPECT_DONE(other.run_close());
  }
  pair.send(Side::client, 1000);
  RIG_EXPECT_DONE(pair.run_traffic());
}

TEST(GnutlsEngine, AKeyLogThatThrowsEndsTheHandshake) {
  for (const TlsVersion version : versions) {
    for (const bool bad_alloc : {true, false}) {
      ContextConfig config = test::psk_config(Role::client, version);
      config.key_log = [bad_alloc](std::string_view) {
        if (bad_alloc) {
          throw std::bad_alloc();
        }
        throw 1;
      };
      EnginePair pair = test::pair_of(config, test::psk_config(Role::server, version));
      EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
      ASSERT_TRUE(pair.failure(Side::client).has_value());
      EXPECT_EQ(pair.failure(Side::client)->code(), bad_alloc ? Code::no_memory : Code::internal);
    }
  }
}

TEST(GnutlsEngine, AKeyLogThatThrowsEndsARenegotiation) {
  bool throws = false;
  ContextConfig config = test::psk_config(Role::client, TlsVersion::tls12);
  config.key_log = [&throws](std::string_view) {
    if (throws) {
      throw 1;
    }
  };
  EnginePair pair = test::pair_of(config, test::psk_config(Role::server, TlsVersion::tls12));
  RIG_EXPECT_DONE(pair.run_handshake());
  throws = true;
  pair.renegotiate(Side::client);
  EXPECT_EQ(pair.run([] { return false; }).kind, PairOutcome::Kind::failed);
  ASSERT_TRUE(pair.failure(Side::client).has_value());
  EXPECT_EQ(pair.failure(Side::client)->code(), Code::internal);
}

}  // namespace
}  // namespace rig
