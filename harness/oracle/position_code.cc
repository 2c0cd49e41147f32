#include "harness/oracle/position_code.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "harness/base/prng.h"
#include "harness/oracle/stream_check.h"

namespace rig {

namespace {

constexpr std::uint64_t step = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t factor_1 = 0xbf58476d1ce4e5b9ULL;
constexpr std::uint64_t factor_2 = 0x94d049bb133111ebULL;
constexpr std::uint64_t word_bytes = 8;

// mix is base's mix64, written out here because a call per word costs half the speed.
inline std::uint64_t mix(std::uint64_t value) noexcept {
  value = (value ^ (value >> 30)) * factor_1;
  value = (value ^ (value >> 27)) * factor_2;
  return value ^ (value >> 31);
}

// inverse of an odd number modulo 2^64, by Newton's iteration: each round doubles the right bits, from 5 on.
constexpr std::uint64_t inverse(std::uint64_t odd) noexcept {
  std::uint64_t x = (3 * odd) ^ 2;
  for (int round = 0; round < 4; ++round) {
    x *= 2 - odd * x;
  }
  return x;
}
static_assert(inverse(step) * step == 1 && inverse(factor_1) * factor_1 == 1 && inverse(factor_2) * factor_2 == 1);

std::uint64_t unmix(std::uint64_t value) noexcept {
  value = value ^ (value >> 31) ^ (value >> 62);
  value *= inverse(factor_2);
  value = value ^ (value >> 27) ^ (value >> 54);
  value *= inverse(factor_1);
  return value ^ (value >> 30) ^ (value >> 60);
}

std::uint64_t load(const std::uint8_t* bytes) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace

CodeKey code_key(std::uint64_t stream, std::uint64_t token) noexcept {
  return mix64(mix64(stream + step) ^ (token * factor_1));
}

void code_fill(CodeKey key, std::uint64_t offset, MutableBytes bytes) noexcept {
  std::uint64_t counter = key + (offset / word_bytes) * step;
  std::uint8_t* out = bytes.data();
  std::size_t left = bytes.size();
  if (const std::size_t skip = offset % word_bytes; skip != 0) {
    const std::uint64_t word = mix(counter);
    const std::size_t count = std::min(left, static_cast<std::size_t>(word_bytes) - skip);
    std::memcpy(out, reinterpret_cast<const std::uint8_t*>(&word) + skip, count);
    out += count;
    left -= count;
    counter += step;
  }
  for (; left >= word_bytes; left -= word_bytes, out += word_bytes, counter += step) {
    const std::uint64_t word = mix(counter);
    std::memcpy(out, &word, sizeof word);
  }
  if (left > 0) {
    const std::uint64_t word = mix(counter);
    std::memcpy(out, &word, left);
  }
}

std::optional<std::uint64_t> CodeWord::offset_in(CodeKey key, std::uint64_t bytes) const noexcept {
  const std::uint64_t index = (counter - key) * inverse(step);
  if (index >= bytes / word_bytes) {
    return std::nullopt;
  }
  return index * word_bytes;
}

std::optional<CodeWord> code_find(ByteView bytes) noexcept {
  for (std::uint64_t at = 0; at < word_bytes && at + 2 * word_bytes <= bytes.size(); ++at) {
    const std::uint64_t counter = unmix(load(bytes.data() + at));
    if (unmix(load(bytes.data() + at + word_bytes)) - counter == step) {
      return CodeWord{at, counter};
    }
  }
  return std::nullopt;
}

void position_code(std::uint64_t stream, std::uint64_t token, MutableBytes bytes) {
  code_fill(code_key(stream, token), 0, bytes);
}

}  // namespace rig
