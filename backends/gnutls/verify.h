// Who the peer is: names and addresses against a certificate's subjectAltName. Private to this folder.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "backends/gnutls/library.h"
#include "harness/base/bytes.h"

namespace rig::gnutls {

// Address is an IPv4 or IPv6 address as it stands in a certificate.
struct Address {
  std::array<std::uint8_t, 16> storage{};
  std::size_t size = 0;  // 4 or 16

  ByteView bytes() const noexcept { return ByteView(storage).first(size); }
};

// parse_address reads an address literal, v4 or v6 without brackets; nothing if `host` is a name.
std::optional<Address> parse_address(std::string_view host) noexcept;

// sendable_name is true if `host` can be sent as SNI: a server may refuse what is not letters, digits, '-' and '.'
// (GnuTLS does, with illegal_parameter), and an address is no name (RFC 6066, section 3).
bool sendable_name(std::string_view host) noexcept;

// name_matches compares a dNSName entry with a host name, ignoring the case of ASCII letters. A wildcard is the whole
// leftmost label, stands for exactly one label, and needs two labels behind it. Source: RFC 6125, section 6.4.
bool name_matches(std::string_view entry, std::string_view host) noexcept;

// certificate_names is true if the certificate is issued to `host`: a name is looked for among the dNSName entries, an
// address among the iPAddress entries, and the subject's CN is never looked at. The library's own comparison falls back
// to the CN, and lets "*.wild.test" match ".wild.test" and "*d.test" match "abcd.test"; it is not used.
bool certificate_names(gnutls_x509_crt_t certificate, std::string_view host) noexcept;

}  // namespace rig::gnutls
