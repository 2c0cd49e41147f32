// Who the peer is: names and addresses against a certificate's subjectAltName. Private to this folder.
#pragma once

#include <string_view>

#include "backends/gnutls/library.h"

namespace rig::gnutls {

// certificate_names is true if the certificate is issued to `host`: a name is looked for among the dNSName entries, an
// address among the iPAddress entries, and the subject's CN is never looked at. The library's own comparison falls back
// to the CN, and lets "*.wild.test" match ".wild.test" and "*d.test" match "abcd.test"; it is not used.
bool certificate_names(gnutls_x509_crt_t certificate, std::string_view host) noexcept;

}  // namespace rig::gnutls
