#include "backends/mbedtls/verify.h"

#include <arpa/inet.h>

#include <algorithm>

namespace rig::mbedtls {
namespace {

constexpr unsigned char tag_of(int choice) noexcept {
  return static_cast<unsigned char>(MBEDTLS_ASN1_CONTEXT_SPECIFIC | choice);
}

// iPAddress is choice 7 of GeneralName (RFC 5280, section 4.2.1.6); the header names the choices without their tags.
constexpr unsigned char dns_name_tag = tag_of(MBEDTLS_X509_SAN_DNS_NAME);
constexpr unsigned char ip_address_tag = tag_of(MBEDTLS_X509_SAN_IP_ADDRESS);

// ascii_lower ignores the locale: a Turkish "I" must not decide who a peer is.
constexpr char ascii_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, {}, ascii_lower, ascii_lower);
}

}  // namespace

std::optional<Address> parse_address(std::string_view host) noexcept {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (host.size() >= text.size() || host.find('\0') != std::string_view::npos) {
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

bool name_matches(std::string_view pattern, std::string_view host) noexcept {
  if (host.empty() || pattern.find('\0') != std::string_view::npos) {
    return false;
  }
  if (pattern.find('*') == std::string_view::npos) {
    return equal_ignoring_case(pattern, host);
  }
  if (!pattern.starts_with("*.")) {
    return false;
  }
  const std::string_view parent = pattern.substr(2);
  const std::size_t parent_dot = parent.find('.');
  const bool two_labels = parent_dot != std::string_view::npos && parent_dot > 0 && parent_dot + 1 < parent.size();
  if (!two_labels || parent.find('*') != std::string_view::npos) {
    return false;
  }
  const std::size_t host_dot = host.find('.');
  return host_dot != std::string_view::npos && host_dot > 0 && equal_ignoring_case(parent, host.substr(host_dot + 1));
}

bool certificate_names(const mbedtls_x509_crt& certificate, std::string_view host) noexcept {
  const std::optional<Address> address = parse_address(host);
  // Without the extension the first entry is empty, with tag 0.
  for (const mbedtls_x509_sequence* entry = &certificate.subject_alt_names; entry != nullptr; entry = entry->next) {
    const ByteView value(entry->buf.p, entry->buf.len);
    const auto tag = static_cast<unsigned char>(entry->buf.tag);
    if (address.has_value() ? tag == ip_address_tag && std::ranges::equal(value, address->bytes())
                            : tag == dns_name_tag && name_matches(as_text(value), host)) {
      return true;
    }
  }
  return false;
}

}  // namespace rig::mbedtls
