// Host names against certificates, by the rule of harness/engine/host_name.h. Private to this folder.
//
// mbedTLS 2.28 compares dNSName entries, falls back to the subject's CN and knows no iPAddress entry, so the name check
// is done here, over the entries that the library has kept raw.
#pragma once

#include <string_view>

#include "backends/mbedtls/library.h"

namespace rig::mbedtls {

// certificate_names is true if `certificate` is issued to `host`: an address literal must equal an iPAddress entry byte
// by byte, a name must match a dNSName entry. The subject is never looked at.
bool certificate_names(const mbedtls_x509_crt& certificate, std::string_view host) noexcept;

}  // namespace rig::mbedtls
