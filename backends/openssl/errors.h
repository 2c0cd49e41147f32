// What a failure of OpenSSL means for the caller of an engine. Private to this folder.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string_view>

#include "backends/openssl/library.h"
#include "harness/base/bytes.h"
#include "harness/base/error.h"

namespace rig::openssl {

// refused answers a verb that was not possible, and leaves all as it was.
inline std::unexpected<Error> refused(Code code, const char* why) noexcept {
  return std::unexpected(Error(code, why));
}

// Report is what the failing call left in the error queue of the thread.
struct Report {
  unsigned long number = 0;  // the telling entry: the first of libssl's own, else the first of all; 0 if there was none
  bool no_memory = false;    // an allocation failed
  std::array<char, 128> words{};

  // ssl_reason is the reason code within libssl, 0 if the entry is another library's.
  int ssl_reason() const noexcept { return ERR_GET_LIB(number) == ERR_LIB_SSL ? ERR_GET_REASON(number) : 0; }
};

// take_report empties the queue, oldest entry first. It is called straight after the failing call (and SSL_get_error).
Report take_report() noexcept;

// library_error is the Error for a call outside of a connection ("reading the private key"): no_memory or `otherwise`.
// It takes the report out of the queue.
Error library_error(Code otherwise, const char* doing) noexcept;

// alert_name is the name of a TLS alert ("bad_certificate"), "unknown alert" if it has none. Source: RFC 8446, 6.
const char* alert_name(int description) noexcept;

// Evidence is what an engine knows besides the report.
struct Evidence {
  int ssl_error = SSL_ERROR_SSL;  // of SSL_get_error
  bool in_handshake = false;      // the first handshake, or a renegotiation
  bool psk = false;               // the first handshake, with a pre-shared key
  ByteView first_bytes = {};      // the first bytes that the peer ever sent
  long verify_result = X509_V_OK;
  std::string_view host = {};  // the name that was asked for
};

// connection_error classifies a failure after which the connection must not be used again. Errors: none.
Error connection_error(const Report& report, const Evidence& evidence) noexcept;

}  // namespace rig::openssl
