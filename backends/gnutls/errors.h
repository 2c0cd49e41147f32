// What a return code of GnuTLS means for the caller of an engine. Private to this folder.
#pragma once

#include <cstdint>
#include <optional>

#include "backends/gnutls/library.h"
#include "harness/base/bytes.h"
#include "harness/base/error.h"

namespace rig::gnutls {

// library_error is the Error for a call outside of a connection ("reading the private key"): no_memory or `otherwise`.
Error library_error(Code otherwise, const char* doing, int code) noexcept;

// Evidence is what an engine knows besides the return code of the call that failed.
struct Evidence {
  bool in_handshake = false;  // the first handshake, or a renegotiation
  bool end_seen = false;      // the library was told in this call that the input has ended
  ByteView first_bytes = {};  // the first bytes that the peer ever sent
  int received_alert = -1;    // the last alert of the peer, if the code says that it sent one
};

// connection_error classifies `code`, the result of a call after which the session must not be used again.
Error connection_error(int code, const Evidence& evidence) noexcept;

// alert_for is the fatal alert that tells the peer about `code`; nothing where the peer has spoken last, or is gone.
std::optional<gnutls_alert_description_t> alert_for(int code) noexcept;

}  // namespace rig::gnutls
