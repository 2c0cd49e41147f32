// Peers that do not speak TLS, and bytes that were changed on the way: always an end, always in words.
#include <algorithm>
#include <set>

#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

// plausible says whether `code` may be the answer to wrong bytes. What is left out would be a defect: internal,
// no_memory, invalid_*, and of course a clean end.
bool plausible(Code code) {
  return code == Code::protocol || code == Code::handshake_failed || code == Code::verification_failed ||
         code == Code::peer_alert || code == Code::truncated;
}

// feed_stranger hands `stranger` to one side in place of a peer, then FIN, and runs to the end.
void feed_stranger(EnginePair& pair, Side victim, ByteView stranger) {
  pair.hold(victim, true);  // nobody is there to answer
  pair.knobs().feed_bytes_max = 7;
  pair.inject(other(victim), stranger);
  pair.cut(other(victim));
  for (int steps = 0; steps < 10'000 && !pair.failure(victim).has_value(); ++steps) {
    pair.step(victim);
  }
}

// A certificate cell of each backend with itself: what a stranger sends does not depend on the peer.
std::vector<Cell> alone() {
  std::vector<Cell> list = cells(Auth::certificate);
  std::erase_if(list, [](const Cell& cell) { return cell.client != cell.server; });
  return list;
}

// A peer without TLS is the mistake that is made most, a wrong port or scheme: it is told as what it is.
void plaintext_http_peer(const Cell& cell) {
  const auto meets = [&cell](Side victim, std::string_view stranger) {
    EnginePair pair = connect(cell, default_setup(cell));
    feed_stranger(pair, victim, as_bytes(stranger));
    expect_failure(pair, victim, {Code::protocol});
    EXPECT_NE(error_text(pair.failure(victim)).find("HTTP"), std::string::npos) << error_text(pair.failure(victim));
    expect_dead(pair, victim);
  };
  meets(Side::server, "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: somebody\r\n\r\n");
  meets(Side::client, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

void garbage_instead_of_a_handshake(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Prng prng(seed);
    Bytes noise(prng.between(1, 600));
    std::generate(noise.begin(), noise.end(), [&] { return static_cast<std::uint8_t>(prng.next()); });
    if (prng.below(2) == 0 && noise.size() > 5) {
      noise[0] = 22;  // half of it gets past the record header
      noise[1] = 3;
      noise[2] = 3;
      noise[3] = 0;
    }
    for (const Side victim : {Side::client, Side::server}) {
      EnginePair pair = contexts.connect(config);
      feed_stranger(pair, victim, ByteView(noise));
      SCOPED_TRACE("seed " + std::to_string(seed));
      expect_failure(pair, victim, {Code::protocol, Code::handshake_failed, Code::peer_alert, Code::truncated});
      expect_dead(pair, victim);
    }
    if (testing::Test::HasFailure()) {
      return;
    }
  }
}

// garbage_after_the_handshake: an established connection gets a record that was never encrypted by the peer.
void garbage_after_the_handshake(const Cell& cell) {
  for (const Side victim : {Side::client, Side::server}) {
    EnginePair pair = connected(cell);
    expect_traffic(pair, 100);
    Bytes record = {23, 3, 3, 0, 64};
    record.resize(5 + 64, 0xa5);
    pair.inject(other(victim), ByteView(record));
    EXPECT_EQ(pair.run([] { return false; }).kind, PairOutcome::Kind::failed);
    expect_failure(pair, victim, {Code::protocol});
    expect_failure(pair, other(victim), {Code::peer_alert});
    EXPECT_EQ(pair.end(victim).received, 100U);
    expect_dead(pair, victim);
  }
}

// A hello of a version that is not allowed: whoever gets it is the first to go, and says so. A client may say it in a
// record of the version that it was just offered, which the server cannot read then.
void versions_below_the_lowest(const Cell& cell) {
  constexpr std::size_t minor_at = 10;  // behind the headers of the record and of the message
  for (const Side from : {Side::client, Side::server}) {
    for (const std::uint8_t minor : {0, 1, 2}) {
      SCOPED_TRACE((from == Side::client ? "ClientHello of 3." : "ServerHello of 3.") + std::to_string(minor));
      EnginePair pair = connect(cell, default_setup(cell));
      bool spoke = false;
      pair.tamper([&](Side side, std::uint64_t offset, Bytes& cipher) {
        if (side == from && offset == 0 && cipher.size() > minor_at) {
          cipher[minor_at] = minor;
          spoke = true;
        }
      });
      EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
      EXPECT_TRUE(spoke) << "the situation was not reached";
      expect_failure(pair, other(from), {Code::protocol, Code::handshake_failed});
      if (from == Side::client) {
        expect_failure(pair, from, {Code::peer_alert});
      } else {
        expect_failure(pair, from, {Code::peer_alert, Code::protocol, Code::handshake_failed});
      }
    }
  }
}

// A flipped bit in a data record: refused by its receiver, and not a byte of the record is delivered.
void bit_flip_in_data(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    for (const std::size_t at : {5, 6, 12, 13, 20, 50, 100}) {
      SCOPED_TRACE("byte " + std::to_string(at));
      EnginePair pair = connected(cell);
      expect_traffic(pair, 100);
      settle(pair);
      pair.tamper([&](Side side, std::uint64_t, Bytes& cipher) {
        if (side == from && cipher.size() > at) {
          cipher[at] ^= 0x10;
        }
      });
      pair.send(from, 200);
      EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::failed);
      EXPECT_EQ(pair.end(other(from)).received, 100U);
      expect_failure(pair, other(from), {Code::protocol});
      expect_failure(pair, from, {Code::peer_alert});
    }
  }
}

struct FlipCount {
  unsigned refused = 0;
  unsigned harmless = 0;
};

// flip_one changes one bit at `offset` of the stream of `from` during a whole connection.
void flip_one(const Contexts& contexts, const EngineConfig& config, Side from, std::uint64_t flip_at, unsigned bit,
              FlipCount& count) {
  EnginePair pair = contexts.connect(config);
  pair.tamper([&](Side side, std::uint64_t offset, Bytes& cipher) {
    if (side == from && flip_at >= offset && flip_at < offset + cipher.size()) {
      cipher[static_cast<std::size_t>(flip_at - offset)] ^= static_cast<std::uint8_t>(1U << bit);
    }
  });
  pair.send(Side::client, 50);
  pair.send(Side::server, 50);
  PairOutcome outcome = pair.run_traffic();
  ASSERT_NE(outcome.kind, PairOutcome::Kind::corrupt) << outcome.detail;
  ASSERT_NE(outcome.kind, PairOutcome::Kind::exhausted) << outcome.detail;
  if (outcome.kind == PairOutcome::Kind::stalled) {
    // A longer length field makes a side wait for bytes that will not come; FIN must end it.
    pair.cut(Side::client);
    pair.cut(Side::server);
    outcome = pair.run([] { return false; });
    ASSERT_EQ(outcome.kind, PairOutcome::Kind::failed) << outcome.detail;
  }
  if (outcome.done()) {
    ++count.harmless;  // a version field of a record header, for example, which nobody looks at
    return;
  }
  ++count.refused;
  for (const Side side : {Side::client, Side::server}) {
    if (pair.failure(side).has_value()) {
      EXPECT_TRUE(plausible(pair.failure(side)->code())) << error_text(pair.failure(side));
      expect_dead(pair, side);
    }
  }
}

void bit_flip_in_each_flight(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  EnginePair reference = contexts.connect(config);
  require_done(reference.run_handshake(), "the reference handshake");
  Prng prng(1);
  for (const Side from : {Side::client, Side::server}) {
    FlipCount count;
    const std::uint64_t total = reference.cipher_total(from);
    // Every third byte of short flights, about a hundred places in long ones (a certificate is 800 bytes of the same).
    const std::uint64_t stride = cell.auth == Auth::psk ? 3 : std::max<std::uint64_t>(3, total / 40);
    for (std::uint64_t at = 0; at < total; at += stride) {
      const auto bit = static_cast<unsigned>(prng.below(8));
      SCOPED_TRACE((from == Side::client ? "client's byte " : "server's byte ") + std::to_string(at) + ", bit " +
                   std::to_string(bit));
      flip_one(contexts, config, from, at, bit, count);
      if (testing::Test::HasFailure()) {
        return;
      }
    }
    EXPECT_GT(count.refused, 4 * count.harmless) << "most changed bits must be refused";
  }
}

// A handshake message dropped, doubled or swapped with noise, record by record.
void dropped_and_doubled_records(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  for (const Side from : {Side::client, Side::server}) {
    for (const bool doubled : {false, true}) {
      for (unsigned victim = 0; victim < 4; ++victim) {
        SCOPED_TRACE("record run " + std::to_string(victim) + (doubled ? " doubled" : " dropped"));
        EnginePair pair = contexts.connect(config);
        unsigned runs = 0;
        pair.tamper([&](Side side, std::uint64_t, Bytes& cipher) {
          if (side == from && runs++ == victim) {
            const Bytes copy = cipher;
            doubled ? void(cipher.insert(cipher.end(), copy.begin(), copy.end())) : cipher.clear();
          }
        });
        pair.send(Side::client, 50);
        pair.send(Side::server, 50);
        // Run on until all is quiet: what was doubled behind the data that was waited for must be noticed as well.
        PairOutcome outcome = pair.run([] { return false; });
        if (outcome.kind == PairOutcome::Kind::stalled && runs > victim) {
          pair.cut(Side::client);
          pair.cut(Side::server);
          outcome = pair.run([] { return false; });
        }
        ASSERT_EQ(outcome.kind, runs > victim ? PairOutcome::Kind::failed : PairOutcome::Kind::stalled)
            << outcome.detail;
        for (const Side side : {Side::client, Side::server}) {
          if (pair.failure(side).has_value()) {
            EXPECT_TRUE(plausible(pair.failure(side)->code())) << error_text(pair.failure(side));
          }
        }
      }
    }
  }
}

}  // namespace

void register_hostile_tests() {
  add_cell_test("plaintext_http_peer", alone(), plaintext_http_peer);
  add_cell_test("garbage_instead_of_a_handshake", alone(), garbage_instead_of_a_handshake);
  add_cell_test("garbage_after_the_handshake", cells(Auth::psk), garbage_after_the_handshake);
  std::vector<Cell> tls12 = cells();
  std::erase_if(tls12, [](const Cell& cell) { return cell.version != TlsVersion::tls12; });
  add_cell_test("versions_below_the_lowest", tls12, versions_below_the_lowest);
  add_cell_test("bit_flip_in_data", cells(Auth::psk), bit_flip_in_data);
  add_cell_test("bit_flip_in_each_flight", cells(), bit_flip_in_each_flight);
  add_cell_test("dropped_and_doubled_records", cells(Auth::psk), dropped_and_doubled_records);
}

}  // namespace rig::conformance
