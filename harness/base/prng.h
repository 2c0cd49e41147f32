// Prng: the seeded stream of numbers that every random choice of the rig comes from.
#pragma once

#include <cstdint>

namespace rig {

// Prng is xoshiro256** seeded through splitmix64: one 64-bit seed is one stream, on every platform and compiler.
// Thread: not thread-safe; one stream per owner. Source: Blackman and Vigna, "Scrambled linear pseudorandom number
// generators", 2018 (public-domain reference implementation).
class Prng {
 public:
  explicit Prng(std::uint64_t seed) noexcept;

  // next is 64 uniform bits.
  std::uint64_t next() noexcept;

  // below is uniform in [0, bound); 0 if bound is 0.
  std::uint64_t below(std::uint64_t bound) noexcept;

  // between is uniform in [low, high], both included; low must not exceed high.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept;

  // fork is an independent stream whose seed depends on this stream's seed and `label` only: adding a draw to one
  // stream never shifts another.
  Prng fork(std::uint64_t label) const noexcept;

 private:
  std::uint64_t seed_;
  std::uint64_t state_[4];
};

// mix64 is a strong 64-bit mixing function (splitmix64's finaliser).
std::uint64_t mix64(std::uint64_t value) noexcept;

}  // namespace rig
