#include "harness/base/prng.h"

#include <bit>

namespace rig {

std::uint64_t mix64(std::uint64_t value) noexcept {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

Prng::Prng(std::uint64_t seed) noexcept : seed_(seed) {
  std::uint64_t counter = seed;
  for (auto& word : state_) {
    counter += 0x9e3779b97f4a7c15ULL;
    word = mix64(counter);
  }
}

std::uint64_t Prng::next() noexcept {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Prng::below(std::uint64_t bound) noexcept {
  if (bound == 0) {
    return 0;
  }
  // Multiply-shift: the bias is below 2^-64 * bound, far under anything a test could see.
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
}

std::uint64_t Prng::between(std::uint64_t low, std::uint64_t high) noexcept {
  const std::uint64_t width = high - low + 1;
  return width == 0 ? next() : low + below(width);
}

Prng Prng::fork(std::uint64_t label) const noexcept {
  return Prng(mix64(seed_ ^ mix64(label + 1)));
}

}  // namespace rig
