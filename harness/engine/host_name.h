// Who a peer is said to be: host names and addresses against the entries of a certificate, by one rule for all
// backends.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "harness/base/bytes.h"
#include "harness/base/error.h"

namespace rig {

// HostAddress is an IPv4 or IPv6 address in network byte order, as it stands in an iPAddress entry.
struct HostAddress {
  std::array<std::uint8_t, 16> storage{};
  std::size_t size = 0;  // 4 or 16

  ByteView bytes() const noexcept { return ByteView(storage).first(size); }
};

// check_host says whether a client's engine can be asked for `host`. Errors: invalid_argument, for the empty name of a
// client that verifies its peer, a NUL, and more than 255 bytes (RFC 1035, section 2.3.4).
Status check_host(std::string_view host, bool verifies) noexcept;

// parse_address reads an address literal, v4 or v6 without brackets; nothing if `host` is a name.
std::optional<HostAddress> parse_address(std::string_view host) noexcept;

// name_matches compares a dNSName entry with `host`: the case of ASCII letters does not matter, and a "*" as the whole
// leftmost label stands for exactly one label of letters, digits and '-' if at least two labels follow it. An entry
// with any other "*", or with a NUL, matches nothing, and nor does an empty host. Source: RFC 6125, section 6.4; what
// the "*" may stand for is OpenSSL's rule.
bool name_matches(std::string_view entry, std::string_view host) noexcept;

// sendable_name is true if `host` can be sent as SNI: a server may refuse what is not letters, digits, '-' and '.'
// (GnuTLS does, with illegal_parameter), and an address is no name (RFC 6066, section 3).
bool sendable_name(std::string_view host) noexcept;

}  // namespace rig
