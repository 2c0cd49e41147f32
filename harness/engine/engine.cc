#include "harness/engine/engine.h"

#include <algorithm>

namespace rig {

std::string_view version_name(TlsVersion version) noexcept {
  switch (version) {
    case TlsVersion::tls12:
      return "1.2";
    case TlsVersion::tls13:
      return "1.3";
    case TlsVersion::none:
      break;
  }
  return "none";
}

std::size_t CipherOut::append(ByteView cipher) noexcept {
  const std::size_t taken = std::min(cipher.size(), room());
  std::copy_n(cipher.begin(), taken, storage_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += taken;
  return taken;
}

}  // namespace rig
