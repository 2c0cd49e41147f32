// What a peer speaks that does not speak TLS: a plain-text server or client on the other side is the commonest mistake,
// and a library only says that some record was bad.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "harness/base/bytes.h"
#include "harness/base/error.h"

namespace rig {

// FirstBytes keeps the first bytes that a peer ever sent. Thread: as the engine that owns it. Errors: none.
class FirstBytes {
 public:
  // note is told of all ciphertext that arrives, in order.
  void note(ByteView cipher) noexcept;
  ByteView bytes() const noexcept { return ByteView(bytes_).first(size_); }

 private:
  std::array<std::uint8_t, 32> bytes_{};
  std::size_t size_ = 0;
};

// foreign_protocol says in words what the peer speaks if `first`, the first bytes that it ever sent, begin no TLS
// record (Code::protocol, with the library's own `number`); nothing if they begin one, or if there are none. Source:
// RFC 8446, section 5.1.
std::optional<Error> foreign_protocol(ByteView first, std::int64_t number) noexcept;

}  // namespace rig
