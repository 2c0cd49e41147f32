// Inputs that are lists of choices.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "harness/base/bytes.h"

namespace rig {

// Choices are the bytes of an input, taken one after the other; at its end every choice is 0. Owns: nothing.
class Choices {
 public:
  explicit Choices(ByteView bytes) : bytes_(bytes) {}

  bool left() const { return at_ < bytes_.size(); }
  std::uint8_t next() { return left() ? bytes_[at_++] : 0; }
  // wide is a choice of two bytes.
  std::uint16_t wide() {
    const std::uint16_t high = next();
    return static_cast<std::uint16_t>(high << 8 | next());
  }
  // literal takes the next `count` bytes as they are, or as many as are left.
  ByteView literal(std::size_t count) {
    const ByteView taken = bytes_.subspan(at_, std::min(count, bytes_.size() - at_));
    at_ += taken.size();
    return taken;
  }

 private:
  ByteView bytes_;
  std::size_t at_ = 0;
};

// mutate_choices mutates a list of choices within `room` bytes and answers how long it is: what libFuzzer does to any
// bytes, and more often than that some choices more, or a stretch of them over again. A short list reaches little, and
// much comes only of doing the same thing several times.
std::size_t mutate_choices(std::uint8_t* data, std::size_t size, std::size_t room, unsigned int seed);

}  // namespace rig
