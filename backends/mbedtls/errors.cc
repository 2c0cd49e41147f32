#include "backends/mbedtls/errors.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "harness/engine/foreign_protocol.h"

namespace rig::mbedtls {
namespace {

// Text is a sentence under construction. Owns: its characters.
using Text = std::array<char, Error::detail_bytes_max + 1>;

// reason writes the library's own words for `code`.
Text reason(int code) noexcept {
  Text text{};
  mbedtls_strerror(code, text.data(), text.size());
  return text;
}

// verification_error names what was wrong with the certificate; the name is ours to check, so its words are ours too.
Error verification_error(int code, const Evidence& evidence) noexcept {
  if (code == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE) {
    return error_of(Code::verification_failed, code, "the peer sent no certificate, and one is required");
  }
  if ((evidence.verify_flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
    return error_of(Code::verification_failed, code, "the peer's certificate is not issued to '%.*s'",
                    static_cast<int>(evidence.host.size()), evidence.host.data());
  }
  Text why{};
  if (evidence.verify_flags == 0 ||
      mbedtls_x509_crt_verify_info(why.data(), why.size(), "", evidence.verify_flags) <= 0) {
    why = reason(code);
  }
  std::ranges::replace(why, '\n', ' ');
  for (std::size_t end = std::strlen(why.data()); end > 0 && why[end - 1] == ' '; --end) {
    why[end - 1] = '\0';
  }
  return error_of(Code::verification_failed, code, "the peer's certificate was not accepted: %s", why.data());
}

// code_by_alert is the class of a handshake failure by the alert that the library chose: its return codes say which
// message was bad, its alerts say why.
std::optional<Code> code_by_alert(int description) noexcept {
  switch (description) {
    case MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE:
    case MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW:
    case MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER:
    case MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR:
      return Code::protocol;
    case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
    case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
    case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
    case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
    case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
    case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
    case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
      return Code::verification_failed;
    default:
      return std::nullopt;
  }
}

// code_of_result is the class of a failure by the return code alone.
Code code_of_result(int code, const Evidence& evidence) noexcept {
  if (is_verification(code)) {
    return Code::verification_failed;
  }
  switch (code) {
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
    case MBEDTLS_ERR_SSL_UNEXPECTED_RECORD:
      return Code::protocol;
    case unreadable_hello:
      // Without an alert this is a hello that could not be read; a refused one comes with an alert.
      return evidence.sent_alert.has_value() ? Code::handshake_failed : Code::protocol;
    case MBEDTLS_ERR_SSL_BAD_INPUT_DATA:
      // So ends a ServerHello with a suite that the library does not know, and a record that says it is longer than the
      // library has room for.
      return evidence.in_handshake ? Code::handshake_failed : Code::protocol;
    case MBEDTLS_ERR_SSL_INTERNAL_ERROR:
    case MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL:
    case MBEDTLS_ERR_SSL_COUNTER_WRAPPING:
    case MBEDTLS_ERR_SSL_NO_RNG:
    case MBEDTLS_ERR_ERROR_CORRUPTION_DETECTED:
      return Code::internal;
    default:
      return evidence.in_handshake ? Code::handshake_failed : Code::protocol;
  }
}

}  // namespace

bool is_no_memory(int code) noexcept {
  // A code is the sum of a high part (a module of TLS, X.509, PK, ...) and a low part (ASN.1, big numbers, ...).
  const int magnitude = -code;
  switch (-(magnitude & 0x7f80)) {
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
    case MBEDTLS_ERR_PK_ALLOC_FAILED:
    case MBEDTLS_ERR_PEM_ALLOC_FAILED:
    case MBEDTLS_ERR_CIPHER_ALLOC_FAILED:
    case MBEDTLS_ERR_MD_ALLOC_FAILED:
    case MBEDTLS_ERR_ECP_ALLOC_FAILED:
    case MBEDTLS_ERR_DHM_ALLOC_FAILED:
      return true;
    default:
      break;
  }
  const int low = -(magnitude & 0x7f);
  return code < 0 && (low == MBEDTLS_ERR_ASN1_ALLOC_FAILED || low == MBEDTLS_ERR_MPI_ALLOC_FAILED);
}

Error library_error(Code otherwise, const char* doing, int code) noexcept {
  if (is_no_memory(code)) {
    return error_of(Code::no_memory, code, "no memory while %s", doing);
  }
  return error_of(otherwise, code, "%s failed: %s", doing, reason(code).data());
}

const char* alert_name(int description) noexcept {
  static constexpr std::pair<int, const char*> names[] = {
      {MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY, "close_notify"},
      {MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE, "unexpected_message"},
      {MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC, "bad_record_mac"},
      {MBEDTLS_SSL_ALERT_MSG_DECRYPTION_FAILED, "decryption_failed"},
      {MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW, "record_overflow"},
      {MBEDTLS_SSL_ALERT_MSG_DECOMPRESSION_FAILURE, "decompression_failure"},
      {MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE, "handshake_failure"},
      {MBEDTLS_SSL_ALERT_MSG_NO_CERT, "no_certificate"},
      {MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "bad_certificate"},
      {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "unsupported_certificate"},
      {MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED, "certificate_revoked"},
      {MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, "certificate_expired"},
      {MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, "certificate_unknown"},
      {MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER, "illegal_parameter"},
      {MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, "unknown_ca"},
      {MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED, "access_denied"},
      {MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR, "decode_error"},
      {MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR, "decrypt_error"},
      {MBEDTLS_SSL_ALERT_MSG_EXPORT_RESTRICTION, "export_restriction"},
      {MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, "protocol_version"},
      {MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY, "insufficient_security"},
      {MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR, "internal_error"},
      {MBEDTLS_SSL_ALERT_MSG_INAPROPRIATE_FALLBACK, "inappropriate_fallback"},
      {MBEDTLS_SSL_ALERT_MSG_USER_CANCELED, "user_canceled"},
      {MBEDTLS_SSL_ALERT_MSG_NO_RENEGOTIATION, "no_renegotiation"},
      {109, "missing_extension"},
      {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_EXT, "unsupported_extension"},
      {MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME, "unrecognized_name"},
      {MBEDTLS_SSL_ALERT_MSG_UNKNOWN_PSK_IDENTITY, "unknown_psk_identity"},
      {116, "certificate_required"},
      {MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL, "no_application_protocol"},
  };
  const auto* found = std::ranges::find(names, description, &std::pair<int, const char*>::first);
  return found == std::end(names) ? "unknown alert" : found->second;
}

Error connection_error(int code, const Evidence& evidence) noexcept {
  if (is_no_memory(code)) {
    return error_of(Code::no_memory, code, "the TLS library has run out of memory (%s)", reason(code).data());
  }
  const char* const when = evidence.in_handshake ? " during the handshake" : "";
  if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
    const int alert = evidence.received_alert.value_or(-1);
    return error_of(Code::peer_alert, code, "the peer sent the fatal alert %s (%d)%s", alert_name(alert), alert, when);
  }
  if (code == MBEDTLS_ERR_SSL_CONN_EOF) {
    return error_of(Code::truncated, code, "the peer's stream ended%s without close_notify", when);
  }
  if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
    return error_of(Code::handshake_failed, code, "the peer closed the connection during the handshake");
  }
  if (auto foreign = foreign_protocol(evidence.first_bytes, code); foreign.has_value() && evidence.in_handshake) {
    return *foreign;
  }
  if (code == MBEDTLS_ERR_SSL_INVALID_MAC) {
    // In a handshake the first protected record is Finished: it does not decrypt if the peers' secrets differ.
    return evidence.in_handshake
               ? error_of(Code::handshake_failed, code, "the peers' keys differ (a wrong pre-shared key, or tampering)")
               : error_of(Code::protocol, code, "a record of the peer failed its integrity check");
  }
  const Code by_result = code_of_result(code, evidence);
  const Code result = by_result == Code::handshake_failed && evidence.sent_alert.has_value()
                          ? code_by_alert(*evidence.sent_alert).value_or(by_result)
                          : by_result;
  if (result == Code::verification_failed) {
    return verification_error(code, evidence);
  }
  if (evidence.sent_alert.has_value()) {
    return error_of(result, code, "the handshake failed (%s): %s", alert_name(*evidence.sent_alert),
                    reason(code).data());
  }
  return error_of(result, code, "%s: %s", evidence.in_handshake ? "the handshake failed" : "the connection failed",
                  reason(code).data());
}

std::optional<std::uint8_t> alert_for(Code code) noexcept {
  switch (code) {
    case Code::verification_failed:
      return MBEDTLS_SSL_ALERT_MSG_BAD_CERT;
    case Code::handshake_failed:
      return MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE;
    case Code::protocol:
      return MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR;
    case Code::internal:
    case Code::no_memory:
      return MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR;
    default:
      return std::nullopt;  // the peer has spoken last, or is gone
  }
}

}  // namespace rig::mbedtls
