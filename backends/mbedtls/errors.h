// What a return code of mbedTLS means for the caller of an engine. Private to this folder.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "backends/mbedtls/library.h"
#include "harness/base/bytes.h"
#include "harness/base/error.h"

namespace rig::mbedtls {

// is_no_memory is true for the "allocation failed" code of every module, alone or as one half of a combined code.
bool is_no_memory(int code) noexcept;

// library_error is the Error for a call outside of a connection ("reading the private key"): no_memory or `otherwise`.
Error library_error(Code otherwise, const char* doing, int code) noexcept;

// alert_name is the name of a TLS alert ("bad_certificate"), "unknown alert" if it has none. Source: RFC 5246, 7.2.
const char* alert_name(int description) noexcept;

// Evidence is what an engine knows besides the return code of the call that failed.
struct Evidence {
  bool in_handshake = false;               // the first handshake, or a renegotiation
  ByteView first_bytes = {};               // the first bytes that the peer ever sent
  std::optional<int> received_alert = {};  // the alert that the peer sent, if the code says that it sent one
  std::optional<int> sent_alert = {};      // the alert that the library sent in the call, if it went out unencrypted
  std::uint32_t verify_flags = 0;          // MBEDTLS_X509_BADCERT_*, of the whole chain
  std::string_view host = {};              // the name that was asked for
};

// connection_error classifies `code`, the result of a call after which the context must not be used again.
Error connection_error(int code, const Evidence& evidence) noexcept;

// alert_for is the alert that tells a peer about `code`; nothing where an alert would be wrong or of no use.
std::optional<std::uint8_t> alert_for(Code code) noexcept;

}  // namespace rig::mbedtls
