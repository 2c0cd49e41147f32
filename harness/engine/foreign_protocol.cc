#include "harness/engine/foreign_protocol.h"

#include <algorithm>
#include <string_view>

namespace rig {
namespace {

bool printable(std::uint8_t byte) noexcept {
  return (byte >= 0x20 && byte < 0x7f) || byte == '\r' || byte == '\n' || byte == '\t';
}

bool begins_record(ByteView first) noexcept {
  constexpr std::uint8_t change_cipher_spec = 20;
  constexpr std::uint8_t application_data = 23;
  constexpr std::uint8_t version_major = 3;  // of SSL 3.0 and everything since
  return first[0] >= change_cipher_spec && first[0] <= application_data &&
         (first.size() < 2 || first[1] == version_major);
}

}  // namespace

void FirstBytes::note(ByteView cipher) noexcept {
  const std::size_t taken = std::min(cipher.size(), bytes_.size() - size_);
  std::copy_n(cipher.begin(), taken, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += taken;
}

std::optional<Error> foreign_protocol(ByteView first, std::int64_t number) noexcept {
  if (first.empty() || begins_record(first)) {
    return std::nullopt;
  }
  const std::string_view text = as_text(first);
  static constexpr std::string_view http[] = {"GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "HTTP/"};
  if (std::ranges::any_of(http, [&](std::string_view word) { return text.starts_with(word); })) {
    return Error(Code::protocol, "the peer speaks plain HTTP, not TLS", number);
  }
  if (std::ranges::all_of(first, printable)) {
    const auto line = text.substr(0, text.find_first_of("\r\n"));
    return error_of(Code::protocol, number, "the peer does not speak TLS: its first bytes are plain text (\"%.*s\")",
                    static_cast<int>(line.size()), line.data());
  }
  return Error(Code::protocol, "the peer does not speak TLS: its first bytes are no TLS record", number);
}

}  // namespace rig
