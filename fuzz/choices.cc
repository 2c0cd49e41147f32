#include "fuzz/choices.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "harness/base/prng.h"

// libFuzzer defines it; the replayer mutates nothing.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t room);

namespace rig {
namespace {

constexpr std::uint64_t stretch_max = 64;
constexpr std::uint64_t times_max = 8;

std::size_t insert(std::uint8_t* data, std::size_t size, std::size_t room, std::size_t place,
                   const std::vector<std::uint8_t>& more) {
  const std::size_t count = std::min(more.size(), room - size);
  std::memmove(data + place + count, data + place, size - place);
  std::copy_n(more.begin(), count, data + place);
  return size + count;
}

}  // namespace

std::size_t mutate_choices(std::uint8_t* data, std::size_t size, std::size_t room, unsigned int seed) {
  Prng prng(seed);
  const std::size_t place = prng.below(size + 1);
  std::vector<std::uint8_t> more;
  switch (prng.below(8)) {
    case 0:
      for (std::uint64_t left = prng.between(1, stretch_max); left > 0; --left) {
        more.push_back(static_cast<std::uint8_t>(prng.next()));
      }
      return insert(data, size, room, prng.below(2) == 0 ? size : place, more);
    case 1:
      if (place < size) {
        const std::uint8_t* const from = data + place;
        const std::size_t count = prng.between(1, std::min<std::uint64_t>(size - place, stretch_max));
        for (std::uint64_t times = prng.between(1, times_max); times > 0; --times) {
          more.insert(more.end(), from, from + count);
        }
      }
      return insert(data, size, room, place, more);
    default:
      return LLVMFuzzerMutate != nullptr ? LLVMFuzzerMutate(data, size, room) : size;
  }
}

}  // namespace rig
