// Every feed size, every output capacity, every order: the same bytes must come out of it.
#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

constexpr std::size_t beyond_the_grid[] = {65, 127, 255, 1000, 1024, 4096, 16384, 16385, 16600, 65536};

// whole_life runs a connection from its handshake to its clean end in both directions.
void whole_life(const Contexts& contexts, const PairKnobs& knobs) {
  EngineConfig config;
  config.host = "localhost";
  EnginePair pair = contexts.connect(config, knobs);
  require_done(pair.run_handshake(), "the handshake");
  // Client first, so that its data may come right behind its last flight, and both at once.
  pair.send(Side::client, 777);
  pair.send(Side::server, 1111);
  require_done(pair.run_traffic(), "the traffic");
  require_done(pair.run_close(), "the close");
}

void each_size(const Cell& cell, std::size_t PairKnobs::* knob) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  const auto run = [&](std::size_t size) {
    SCOPED_TRACE("size " + std::to_string(size));
    PairKnobs knobs;
    knobs.*knob = size;
    whole_life(contexts, knobs);
  };
  for (std::size_t size = 1; size <= 64; ++size) {
    run(size);
  }
  for (const std::size_t size : beyond_the_grid) {
    run(size);
  }
}

// The flights of a handshake with certificates are the long ones, of many records and fragments.
void certificate_flights_in_each_size(const Cell& cell, std::size_t PairKnobs::* knob) {
  const Setup setup = default_setup(cell);
  const Contexts contexts = make_contexts(cell, setup);
  for (std::size_t size = 1; size <= 64; ++size) {
    SCOPED_TRACE("size " + std::to_string(size));
    PairKnobs knobs;
    knobs.*knob = size;
    EnginePair pair = contexts.connect(setup.connect, knobs);
    require_done(pair.run_handshake(), "the handshake");
    EXPECT_TRUE(pair.engine(Side::client).facts().peer_verified);
  }
}

void cramped_at_random(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  const std::uint64_t seeds = cell.auth == Auth::psk ? 60 : 6;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed);
    PairKnobs knobs;
    knobs.seed = seed;
    knobs.out_bytes_max = prng.between(1, prng.below(2) == 0 ? 40 : 4000);
    knobs.feed_bytes_max = prng.between(1, prng.below(2) == 0 ? 40 : 4000);
    knobs.write_bytes_max = prng.between(1, 2000);
    knobs.read_bytes_max = prng.between(1, 2000);
    knobs.pipe_bytes_max = prng.between(1, 5000);
    knobs.longer_retries = prng.below(2) == 0;
    whole_life(contexts, knobs);
  }
}

// A whole volley coalesced into one feed: every record of it must come out without more input.
void coalesced_feed(const Cell& cell) {
  for (const Side from : {Side::client, Side::server}) {
    EnginePair pair = connected(cell);
    pair.hold(from, true);
    pair.knobs().write_bytes_max = 1000;
    pair.knobs().feed_bytes_max = 1 << 20;
    pair.knobs().read_bytes_max = 300;
    pair.send(from, 100'000);
    EXPECT_EQ(pair.run_traffic().kind, PairOutcome::Kind::stalled);
    EXPECT_EQ(pair.end(from).written, 100'000U);
    pair.hold(from, false);
    expect_done(pair.run_traffic());
    EXPECT_EQ(pair.end(other(from)).received, 100'000U);
    // All was used up: a layer that asks readable() may go to sleep.
    EXPECT_FALSE(pair.engine(other(from)).readable());
  }
}

void each_message_size(const Cell& cell) {
  EnginePair pair = connected(cell);
  pair.knobs().write_bytes_max = position_coded_max;
  for (const std::uint64_t size : {1, 2, 16383, 16384, 16385, 32768, 65535, 65536, 65537, 1 << 20}) {
    SCOPED_TRACE("size " + std::to_string(size));
    for (const Side from : {Side::client, Side::server}) {
      pair.send(from, size);
      require_done(pair.run_traffic(), "one way");
    }
    pair.send(Side::client, size);
    pair.send(Side::server, size);
    require_done(pair.run_traffic(), "both ways");
  }
  expect_done(pair.run_close());
}

}  // namespace

void register_grid_tests() {
  // Certificates cost ten to a hundred times more than a pre-shared key and take the same way through the engine:
  // the full grid runs with keys; with certificates the handshake of each library with itself, and a seeded sample.
  const std::vector<Cell> keys = cells(Auth::psk);
  add_cell_test("every_feed_size", keys, [](const Cell& cell) { each_size(cell, &PairKnobs::feed_bytes_max); });
  add_cell_test("every_output_capacity", keys, [](const Cell& cell) { each_size(cell, &PairKnobs::out_bytes_max); });
  add_cell_test("every_pipe_size", keys, [](const Cell& cell) { each_size(cell, &PairKnobs::pipe_bytes_max); });
  std::vector<Cell> own = cells(Auth::certificate);
  std::erase_if(own, [](const Cell& cell) { return cell.client != cell.server; });
  add_cell_test("certificates_in_every_feed_size", own,
                [](const Cell& cell) { certificate_flights_in_each_size(cell, &PairKnobs::feed_bytes_max); });
  add_cell_test("certificates_in_every_output_capacity", own,
                [](const Cell& cell) { certificate_flights_in_each_size(cell, &PairKnobs::out_bytes_max); });
  add_cell_test("cramped_at_random", cells(), cramped_at_random);
  add_cell_test("coalesced_feed", keys, coalesced_feed);
  add_cell_test("every_message_size", keys, each_message_size);
}

}  // namespace rig::conformance
