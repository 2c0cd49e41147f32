#include "backends/mbedtls/verify.h"

#include <algorithm>
#include <optional>

#include "harness/base/bytes.h"
#include "harness/engine/host_name.h"

namespace rig::mbedtls {
namespace {

constexpr unsigned char tag_of(int choice) noexcept {
  return static_cast<unsigned char>(MBEDTLS_ASN1_CONTEXT_SPECIFIC | choice);
}

// iPAddress is choice 7 of GeneralName (RFC 5280, section 4.2.1.6); the header names the choices without their tags.
constexpr unsigned char dns_name_tag = tag_of(MBEDTLS_X509_SAN_DNS_NAME);
constexpr unsigned char ip_address_tag = tag_of(MBEDTLS_X509_SAN_IP_ADDRESS);

}  // namespace

bool certificate_names(const mbedtls_x509_crt& certificate, std::string_view host) noexcept {
  const std::optional<HostAddress> address = parse_address(host);
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
