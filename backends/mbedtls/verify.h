// Host names against certificates, by the one rule that all backends share. Private to this folder.
//
// mbedTLS 2.28 compares dNSName entries, falls back to the subject's CN and knows no iPAddress entry, so the name check
// is done here, over the entries that the library has kept raw.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "backends/mbedtls/library.h"
#include "harness/base/bytes.h"

namespace rig::mbedtls {

// Address is an IPv4 or IPv6 address in network byte order.
struct Address {
  std::array<std::uint8_t, 16> storage{};
  std::size_t size = 0;

  ByteView bytes() const noexcept { return ByteView(storage).first(size); }
};

// parse_address reads an address literal (v4, or v6 without brackets); nothing if `host` is a name.
std::optional<Address> parse_address(std::string_view host) noexcept;

// name_matches compares the dNSName `pattern` with `host`: ASCII case does not matter, and a "*" as the whole leftmost
// label stands for exactly one label if at least two labels follow it. A pattern with any other "*", or with a NUL,
// matches nothing. Source: RFC 6125, section 6.4.
bool name_matches(std::string_view pattern, std::string_view host) noexcept;

// certificate_names is true if `certificate` is issued to `host`: an address literal must equal an iPAddress entry byte
// by byte, a name must match a dNSName entry. The subject is never looked at.
bool certificate_names(const mbedtls_x509_crt& certificate, std::string_view host) noexcept;

}  // namespace rig::mbedtls
