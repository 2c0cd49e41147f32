// The null backend against its contract, and the pair against an engine whose every byte can be foretold.
#include "harness/engine/null_backend.h"

#include <gtest/gtest.h>

#include <array>

#include "harness/engine/pair.h"

namespace rig {
namespace {

std::unique_ptr<TlsEngine> make_null_engine() {
  auto context = null_backend().make_context(ContextConfig{});
  auto engine = (*context)->make_engine(EngineConfig{});
  return std::move(*engine);
}

class Null : public testing::Test {
 protected:
  std::unique_ptr<TlsEngine> engine_ = make_null_engine();
  std::array<std::uint8_t, 64> storage_{};
  CipherOut out_{MutableBytes(storage_)};
};

TEST_F(Null, capabilities_claim_nothing) {
  const Capabilities& can = null_backend().capabilities();
  EXPECT_FALSE(can.tls12 || can.tls13 || can.certificates || can.psk || can.close_notify || can.resumption);
}

TEST_F(Null, says_whose_engine_it_is_before_the_handshake) {
  EXPECT_EQ(engine_->facts().library, null_backend().name());
}

TEST_F(Null, verbs_before_the_handshake_are_invalid) {
  std::uint8_t byte = 0;
  EXPECT_EQ(engine_->read({&byte, 1}, out_).error().code(), Code::invalid_state);
  EXPECT_EQ(engine_->write({&byte, 1}, out_).error().code(), Code::invalid_state);
  EXPECT_EQ(engine_->close_notify(out_).error().code(), Code::invalid_state);
  EXPECT_EQ(out_.size(), 0U);
  EXPECT_EQ(engine_->handshake(out_), Need::nothing);
  EXPECT_EQ(engine_->facts().handshakes, 1U);
  EXPECT_EQ(engine_->facts().version, TlsVersion::none);
}

TEST_F(Null, a_write_is_cut_at_the_room_and_no_byte_is_changed) {
  ASSERT_EQ(engine_->handshake(out_), Need::nothing);
  const ByteView plain = position_coded(Side::client, 0, 100);
  const auto first = engine_->write(plain, out_);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->accepted, 64U);
  EXPECT_EQ(first->need, Need::room);
  EXPECT_TRUE(std::equal(out_.bytes().begin(), out_.bytes().end(), plain.begin()));
  EXPECT_EQ(engine_->close_notify(out_).error().code(), Code::invalid_state) << "over a pending write";

  CipherOut fresh{MutableBytes(storage_)};
  const auto rest = engine_->write(plain.subspan(64), fresh);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->accepted, 36U);
  EXPECT_EQ(rest->need, Need::nothing);
  EXPECT_TRUE(std::equal(fresh.bytes().begin(), fresh.bytes().end(), plain.begin() + 64));
}

TEST_F(Null, an_empty_write_produces_nothing) {
  ASSERT_EQ(engine_->handshake(out_), Need::nothing);
  const auto step = engine_->write({}, out_);
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->accepted, 0U);
  EXPECT_EQ(step->need, Need::nothing);
  EXPECT_EQ(out_.size(), 0U);
}

TEST_F(Null, reads_give_back_what_was_fed_at_every_cut) {
  ASSERT_EQ(engine_->handshake(out_), Need::nothing);
  const ByteView fed = position_coded(Side::server, 0, 64);
  for (std::size_t cut = 1; cut <= fed.size(); ++cut) {
    EXPECT_FALSE(engine_->readable());
    ASSERT_TRUE(engine_->feed(fed.first(cut)).has_value());
    ASSERT_TRUE(engine_->feed(fed.subspan(cut)).has_value());
    Bytes got;
    std::array<std::uint8_t, 7> buffer{};
    while (engine_->readable()) {
      const auto step = engine_->read(MutableBytes(buffer), out_);
      ASSERT_TRUE(step.has_value());
      ASSERT_GT(step->bytes, 0U);
      got.insert(got.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(step->bytes));
    }
    EXPECT_TRUE(std::equal(fed.begin(), fed.end(), got.begin(), got.end())) << "cut at " << cut;
    const auto step = engine_->read(MutableBytes(buffer), out_);
    ASSERT_TRUE(step.has_value());
    EXPECT_EQ(step->need, Need::input);
  }
}

TEST_F(Null, the_end_of_the_input_is_a_clean_end_behind_the_data) {
  ASSERT_EQ(engine_->handshake(out_), Need::nothing);
  ASSERT_TRUE(engine_->feed(position_coded(Side::server, 0, 3)).has_value());
  engine_->end_of_input();
  EXPECT_EQ(engine_->feed(position_coded(Side::server, 3, 1)).error().code(), Code::invalid_state);
  std::array<std::uint8_t, 8> buffer{};
  const auto data = engine_->read(MutableBytes(buffer), out_);
  ASSERT_TRUE(data.has_value());
  EXPECT_EQ(data->bytes, 3U);
  EXPECT_FALSE(data->end);
  for (int again = 0; again < 2; ++again) {
    const auto end = engine_->read(MutableBytes(buffer), out_);
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->bytes, 0U);
    EXPECT_EQ(end->need, Need::nothing);
    EXPECT_TRUE(end->end);
  }
}

TEST_F(Null, close_notify_produces_nothing_and_ends_our_direction) {
  ASSERT_EQ(engine_->handshake(out_), Need::nothing);
  EXPECT_EQ(engine_->close_notify(out_), Need::nothing);
  EXPECT_EQ(engine_->close_notify(out_), Need::nothing);
  EXPECT_EQ(out_.size(), 0U);
  EXPECT_EQ(engine_->write(position_coded(Side::client, 0, 1), out_).error().code(), Code::invalid_state);
}

TEST_F(Null, what_needs_tls_is_refused_in_words) {
  ASSERT_EQ(engine_->handshake(out_), Need::nothing);
  const Error refusals[] = {engine_->renegotiate(out_).error(), engine_->update_keys(out_).error(),
                            engine_->session().error()};
  for (const Error& refusal : refusals) {
    EXPECT_EQ(refusal.code(), Code::unsupported);
    EXPECT_FALSE(refusal.detail().empty());
  }
  EXPECT_EQ(engine_->write(position_coded(Side::client, 0, 1), out_)->accepted, 1U) << "a refusal is not fatal";
}

// The pair, seen with engines that change nothing.
class NullPair : public testing::Test {
 protected:
  EnginePair pair_{make_null_engine(), make_null_engine()};
};

TEST_F(NullPair, both_directions_arrive_however_cramped_and_in_whatever_order) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    PairKnobs knobs;
    Prng prng(seed);
    knobs.seed = seed;
    knobs.fin_after_close = true;
    knobs.out_bytes_max = prng.between(1, 100);
    knobs.feed_bytes_max = prng.between(1, 100);
    knobs.read_bytes_max = prng.between(1, 100);
    knobs.pipe_bytes_max = prng.between(1, 100);
    knobs.longer_retries = prng.below(2) == 1;
    EnginePair pair(make_null_engine(), make_null_engine(), knobs);
    ASSERT_TRUE(pair.run_handshake().done());
    pair.send(Side::client, 100'000);
    pair.send(Side::server, 70'001);
    const PairOutcome traffic = pair.run_traffic();
    ASSERT_TRUE(traffic.done()) << "seed " << seed << ": " << traffic.detail;
    EXPECT_EQ(pair.end(Side::server).received, 100'000U);
    EXPECT_EQ(pair.end(Side::client).received, 70'001U);
    const PairOutcome closed = pair.run_close();
    ASSERT_TRUE(closed.done()) << "seed " << seed << ": " << closed.detail;
  }
}

TEST_F(NullPair, a_changed_byte_a_lost_byte_and_a_doubled_byte_are_each_reported) {
  const EnginePair::Tamper tampers[] = {
      [](Side, std::uint64_t, Bytes& cipher) { cipher[500] ^= 1; },
      [](Side, std::uint64_t, Bytes& cipher) { cipher.erase(cipher.begin() + 500); },
      [](Side, std::uint64_t, Bytes& cipher) { cipher.insert(cipher.begin() + 500, cipher[500]); },
  };
  for (const auto& tamper : tampers) {
    EnginePair pair(make_null_engine(), make_null_engine());
    ASSERT_TRUE(pair.run_handshake().done());
    pair.tamper(tamper);
    pair.send(Side::client, 10'000);
    const PairOutcome outcome = pair.run_traffic();
    EXPECT_EQ(outcome.kind, PairOutcome::Kind::corrupt);
    EXPECT_NE(outcome.detail.find("server: the byte received at position 50"), std::string::npos) << outcome.detail;
  }
}

TEST_F(NullPair, a_held_direction_is_a_stall_that_names_the_needs) {
  ASSERT_TRUE(pair_.run_handshake().done());
  pair_.hold(Side::client, true);
  pair_.send(Side::client, 1000);
  const PairOutcome stalled = pair_.run_traffic();
  EXPECT_EQ(stalled.kind, PairOutcome::Kind::stalled);
  EXPECT_NE(stalled.detail.find("the server needs input, has 1000 B under way to it"), std::string::npos)
      << stalled.detail;
  pair_.hold(Side::client, false);
  EXPECT_TRUE(pair_.run_traffic().done());
}

TEST_F(NullPair, too_few_steps_are_reported) {
  pair_.knobs().steps_max = 3;
  pair_.knobs().out_bytes_max = 1;
  ASSERT_TRUE(pair_.run_handshake().done());
  pair_.send(Side::client, 1000);
  EXPECT_EQ(pair_.run_traffic().kind, PairOutcome::Kind::exhausted);
}

TEST_F(NullPair, a_refused_action_is_kept_and_traffic_goes_on) {
  ASSERT_TRUE(pair_.run_handshake().done());
  pair_.update_keys(Side::server);
  pair_.send(Side::server, 10);
  ASSERT_TRUE(pair_.run_traffic().done());
  ASSERT_TRUE(pair_.end(Side::server).refusal.has_value());
  EXPECT_EQ(pair_.end(Side::server).refusal->code(), Code::unsupported);
  EXPECT_FALSE(pair_.failure(Side::server).has_value());
}

TEST(PositionCoded, no_power_of_two_repeats_it) {
  for (std::uint64_t shift = 1; shift <= (1 << 20); shift *= 2) {
    const ByteView here = position_coded(Side::client, 0, 64);
    const ByteView there = position_coded(Side::client, shift, 64);
    EXPECT_FALSE(std::equal(here.begin(), here.end(), there.begin())) << "shift " << shift;
  }
  const ByteView client = position_coded(Side::client, 0, 64);
  const ByteView server = position_coded(Side::server, 0, 64);
  EXPECT_FALSE(std::equal(client.begin(), client.end(), server.begin()));
}

}  // namespace
}  // namespace rig
