// Byte spans: the one spelling of "some bytes" in all rooms.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace rig {

// ByteView is a borrowed run of bytes; it never outlives the buffer it points into.
using ByteView = std::span<const std::uint8_t>;

// MutableBytes is a borrowed, writable run of bytes.
using MutableBytes = std::span<std::uint8_t>;

// Bytes is an owned run of bytes.
using Bytes = std::vector<std::uint8_t>;

// as_bytes views the characters of `text` as bytes. Owns: nothing; valid as long as `text` is.
inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// as_text views `bytes` as characters. Owns: nothing; valid as long as `bytes` is.
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace rig
