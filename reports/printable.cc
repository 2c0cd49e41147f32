#include <cstdint>

#include "reports/report.h"

namespace rig {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

// How many bytes the UTF-8 character at the front of `text` has; 0 if there is none.
// Source: The Unicode Standard, table 3-7 (no overlong forms, no surrogates).
std::size_t character_bytes(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(i < text.size() ? text[i] : 0); };
  const auto follows = [&byte](std::size_t i, std::uint8_t low = 0x80, std::uint8_t high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const std::uint8_t first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    return follows(1) ? 2 : 0;
  }
  if (first >= 0xe0 && first <= 0xef) {
    return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    return follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// What XML 1.0 leaves out though UTF-8 has it: U+FFFE, U+FFFF.
bool is_no_character(std::string_view character) {
  return character == "\xef\xbf\xbe" || character == "\xef\xbf\xbf";
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    const auto first = static_cast<std::uint8_t>(text.front());
    if (bytes == 0 || is_no_character(text.substr(0, bytes))) {
      result += replacement;
    } else if (first == 0x7f || (first < 0x20 && first != '\n' && first != '\t')) {
      constexpr std::string_view digits = "0123456789abcdef";
      result += {'\\', 'x', digits[first / 16], digits[first % 16]};
    } else {
      result += text.substr(0, bytes);
    }
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return result;
}

}  // namespace rig
