#include "backends/gnutls/verify.h"

#include <arpa/inet.h>

#include <algorithm>

namespace rig::gnutls {
namespace {

// ascii_lower ignores the locale: a Turkish "I" must not decide who a peer is.
constexpr char ascii_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, {}, ascii_lower, ascii_lower);
}

// after_first_label is what stands behind the first dot; empty if there is none, or nothing before it.
std::string_view after_first_label(std::string_view name) noexcept {
  const std::size_t dot = name.find('.');
  return dot == 0 || dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

}  // namespace

std::optional<Address> parse_address(std::string_view host) noexcept {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (host.size() >= text.size()) {
    return std::nullopt;
  }
  std::ranges::copy(host, text.begin());
  Address address;
  if (inet_pton(AF_INET, text.data(), address.storage.data()) == 1) {
    address.size = 4;
    return address;
  }
  if (inet_pton(AF_INET6, text.data(), address.storage.data()) == 1) {
    address.size = 16;
    return address;
  }
  return std::nullopt;
}

bool sendable_name(std::string_view host) noexcept {
  const auto allowed = [](char c) {
    const char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return !host.empty() && host.size() <= 253 && host.front() != '.' && std::ranges::all_of(host, allowed) &&
         !parse_address(host).has_value();
}

bool name_matches(std::string_view entry, std::string_view host) noexcept {
  if (host.empty() || entry.find('\0') != std::string_view::npos) {
    return false;
  }
  if (entry.find('*') == std::string_view::npos) {
    return equal_ignoring_case(entry, host);
  }
  const std::string_view parent = after_first_label(entry);
  const bool whole_label = entry.starts_with("*.") && parent.find('*') == std::string_view::npos;
  return whole_label && !after_first_label(parent).empty() && equal_ignoring_case(parent, after_first_label(host));
}

bool certificate_names(gnutls_x509_crt_t certificate, std::string_view host) noexcept {
  const std::optional<Address> address = parse_address(host);
  std::array<char, 256> entry{};
  for (unsigned index = 0;; ++index) {
    std::size_t size = entry.size();
    const int type = gnutls_x509_crt_get_subject_alt_name(certificate, index, entry.data(), &size, nullptr);
    if (type == GNUTLS_E_SHORT_MEMORY_BUFFER) {
      continue;  // longer than any name of a host
    }
    if (type < 0) {
      return false;
    }
    const std::string_view value(entry.data(), size);
    if (address.has_value() ? type == GNUTLS_SAN_IPADDRESS && std::ranges::equal(as_bytes(value), address->bytes())
                            : type == GNUTLS_SAN_DNSNAME && name_matches(value, host)) {
      return true;
    }
  }
}

}  // namespace rig::gnutls
