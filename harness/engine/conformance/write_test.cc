// write() and its retries, at every cut of the record.
#include <algorithm>

#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

// take_all reads what `side` can deliver, after feeding it all that is under way to it.
std::size_t take_all(EnginePair& pair, Side side) {
  const std::uint64_t before = pair.end(side).received;
  while (pair.step(side)) {
  }
  return static_cast<std::size_t>(pair.end(side).received - before);
}

struct CutResult {
  std::size_t accepted_first = 0;
  bool partial = false;
};

// write_cut_at writes `bytes` from `from` with room for `cut` bytes in the first call, and the rest with plenty. The
// retry comes from another address and, if `longer`, with more behind the rest. `position` moves past what was sent.
CutResult write_cut_at(const Cell& cell, EnginePair& pair, Side from, std::size_t bytes, std::size_t cut, bool longer,
                       std::uint64_t& position) {
  const ByteView plain = position_coded(from, position, bytes);
  CutResult result;
  Bytes storage(cut);
  CipherOut out{MutableBytes(storage)};
  const WriteStep first = must(pair.engine(from).write(plain, out), "the first write");
  pair.inject(from, out.bytes());
  result.accepted_first = first.accepted;
  result.partial = first.accepted < bytes;
  EXPECT_LE(first.accepted, bytes);
  EXPECT_EQ(first.need, result.partial ? Need::room : Need::nothing);
  // What was accepted is in the output, whole: the peer can read it without any further call here.
  EXPECT_GE(take_all(pair, other(from)), first.accepted);
  position += first.accepted;
  if (!result.partial) {
    return result;
  }

  const auto refused = pair.call(from, [](TlsEngine& engine, CipherOut& o) { return engine.close_notify(o); });
  EXPECT_EQ(code_of(refused), Code::invalid_state) << "close_notify over a partial write";
  expect_no_new_keys(cell, pair, from);

  const std::size_t rest = bytes - first.accepted + (longer ? 50 : 0);
  const ByteView again = position_coded(from, position, rest);
  const Bytes moved(again.begin(), again.end());
  const WriteStep second =
      must(pair.call(from, [&](TlsEngine& engine, CipherOut& o) { return engine.write(ByteView(moved), o); }), "retry");
  EXPECT_EQ(second.accepted, rest);
  EXPECT_EQ(second.need, Need::nothing);
  position += rest;
  return result;
}

// cut_everywhere writes `bytes` over and over, with room for one byte more each time, until they fit.
void cut_everywhere(const Cell& cell, Side from, std::size_t bytes) {
  EnginePair pair = connect(cell, renegotiation_setup(cell));
  require_done(pair.run_handshake(), "the handshake");
  settle(pair);
  std::uint64_t position = 0;
  // A record of 200 bytes is 221 to 285 bytes of ciphertext; its full size is where no retry is needed.
  std::size_t cuts = 0;
  for (std::size_t cut = 0;; ++cut) {
    ASSERT_LT(cut, bytes + 200) << "a record does not take more";
    SCOPED_TRACE("cut " + std::to_string(cut));
    const CutResult result = write_cut_at(cell, pair, from, bytes, cut, cut % 2 == 1, position);
    take_all(pair, other(from));
    ASSERT_EQ(pair.end(other(from)).received, position);
    if (!result.partial) {
      break;
    }
    ++cuts;
  }
  EXPECT_GT(cuts, bytes) << "the situation was not reached: no write was cut";
}

void write_retry_at_every_cut(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    for (const std::size_t bytes : {1, 200}) {
      SCOPED_TRACE(std::to_string(bytes) + " bytes");
      cut_everywhere(cell, from, bytes);
    }
  }
}

// Over three records: what is accepted comes in whole records, and nothing is lost at any cut.
void write_retry_across_records(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    EnginePair pair = connect(cell, renegotiation_setup(cell));
    require_done(pair.run_handshake(), "the handshake");
    settle(pair);
    std::uint64_t position = 0;
    for (const std::size_t cut : {1, 16383, 16384, 16405, 16406, 16420, 16450, 20000, 32768, 32900, 40000, 48000}) {
      SCOPED_TRACE("cut " + std::to_string(cut));
      EXPECT_TRUE(write_cut_at(cell, pair, from, 48000, cut, false, position).partial);
      take_all(pair, other(from));
      ASSERT_EQ(pair.end(other(from)).received, position);
    }
  }
}

// While a write waits for room, the other direction goes on.
void reads_go_on_over_a_partial_write(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    EnginePair pair = connected(cell);
    settle(pair);
    const ByteView plain = position_coded(from, 0, 5000);
    Bytes storage(100);
    CipherOut out{MutableBytes(storage)};
    const WriteStep first = must(pair.engine(from).write(plain, out), "the first write");
    pair.inject(from, out.bytes());
    ASSERT_EQ(first.accepted, 0U);
    ASSERT_EQ(first.need, Need::room);

    pair.send(other(from), 40'000);
    require_done(pair.run([&] { return pair.end(from).received == 40'000; }), "reading while a write waits");
    const WriteStep second = must(
        pair.call(from, [&](TlsEngine& engine, CipherOut& o) { return engine.write(plain, o); }), "the retried write");
    EXPECT_EQ(second.accepted, plain.size());
    require_done(pair.run([&] { return pair.end(other(from)).received == plain.size(); }), "delivery");
  }
}

void empty_write_produces_nothing(const Cell& cell) {
  EnginePair pair = connected(cell);
  settle(pair);
  for (const Side side : {Side::client, Side::server}) {
    const std::uint64_t before = pair.cipher_total(side);
    const WriteStep step =
        must(pair.call(side, [](TlsEngine& engine, CipherOut& out) { return engine.write({}, out); }), "empty write");
    EXPECT_EQ(step.accepted, 0U);
    EXPECT_EQ(step.need, Need::nothing);
    EXPECT_EQ(pair.cipher_total(side), before);
  }
  expect_traffic(pair, 100);
}

void verbs_before_the_handshake(const Cell& cell) {
  EnginePair pair = connect(cell, default_setup(cell));
  std::uint8_t byte = 0;
  const auto ask = [&pair](Side side, const char* name, auto verb, bool may_be_unsupported) {
    const auto answer = pair.call(side, verb);
    const bool right =
        code_of(answer) == Code::invalid_state || (may_be_unsupported && code_of(answer) == Code::unsupported);
    EXPECT_TRUE(right) << name << " before the handshake";
  };
  for (const Side side : {Side::client, Side::server}) {
    ask(side, "read", [&](TlsEngine& e, CipherOut& o) { return e.read({&byte, 1}, o); }, false);
    ask(side, "write", [&](TlsEngine& e, CipherOut& o) { return e.write({&byte, 1}, o); }, false);
    ask(side, "close_notify", [](TlsEngine& e, CipherOut& o) { return e.close_notify(o); }, false);
    ask(side, "renegotiate", [](TlsEngine& e, CipherOut& o) { return e.renegotiate(o); }, true);
    ask(side, "update_keys", [](TlsEngine& e, CipherOut& o) { return e.update_keys(o); }, true);
    EXPECT_EQ(pair.cipher_total(side), 0U) << "a refused verb produces nothing";
    EXPECT_EQ(pair.engine(side).facts().handshakes, 0U);
  }
  require_done(pair.run_handshake(), "a refused verb leaves the engine as it was");
  expect_traffic(pair, 100);
}

}  // namespace

void register_write_tests() {
  const std::vector<Cell> keys = cells(Auth::psk);
  add_cell_test("write_retry_at_every_cut", keys, write_retry_at_every_cut);
  add_cell_test("write_retry_across_records", keys, write_retry_across_records);
  add_cell_test("reads_go_on_over_a_partial_write", keys, reads_go_on_over_a_partial_write);
  add_cell_test("empty_write_produces_nothing", keys, empty_write_produces_nothing);
  add_cell_test("verbs_before_the_handshake", keys, verbs_before_the_handshake);
}

}  // namespace rig::conformance
