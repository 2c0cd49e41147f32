#include "backends/gnutls/verify.h"

#include <algorithm>
#include <array>
#include <optional>

#include "harness/base/bytes.h"
#include "harness/engine/host_name.h"

namespace rig::gnutls {

bool certificate_names(gnutls_x509_crt_t certificate, std::string_view host) noexcept {
  const std::optional<HostAddress> address = parse_address(host);
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
