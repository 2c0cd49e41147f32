#include "backends/openssl/errors.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "harness/engine/foreign_protocol.h"

namespace rig::openssl {
namespace {

Error verification_error(const Report& report, const Evidence& evidence) noexcept {
  const auto number = static_cast<std::int64_t>(report.number);
  switch (evidence.verify_result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return error_of(Code::verification_failed, number, "the peer's certificate is not issued to '%.*s'",
                      static_cast<int>(evidence.host.size()), evidence.host.data());
    case X509_V_ERR_APPLICATION_VERIFICATION:
      return error_of(Code::verification_failed, number,
                      "the peer sent a certificate where only a pre-shared key is accepted");
    case X509_V_OK:
      return error_of(Code::verification_failed, number, "the peer's certificate was not accepted: %s",
                      report.words.data());
    default:
      return error_of(Code::verification_failed, number, "the peer's certificate was not accepted: %s",
                      X509_verify_cert_error_string(evidence.verify_result));
  }
}

// code_of_reason is the class of a failure that is ours to tell the peer. What is not in the table is a message that
// is not valid here: libssl has some three hundred reasons for that, internal error among them, and each can be
// provoked by a peer.
Code code_of_reason(int reason) noexcept {
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_CA_MD_TOO_WEAK:
    case SSL_R_EE_KEY_TOO_SMALL:
      return Code::verification_failed;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return Code::truncated;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_CERTIFICATE_SET:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_NO_RENEGOTIATION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_INAPPROPRIATE_FALLBACK:
    case SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED:
    case SSL_R_PSK_IDENTITY_NOT_FOUND:
    case SSL_R_BINDER_DOES_NOT_VERIFY:
    case SSL_R_DIGEST_CHECK_FAILED:
    case SSL_R_SESSION_ID_CONTEXT_UNINITIALIZED:
    case SSL_R_ATTEMPT_TO_REUSE_SESSION_IN_DIFFERENT_CONTEXT:
      return Code::handshake_failed;
    default:
      return Code::protocol;
  }
}

bool keys_differ(int reason, const Evidence& evidence) noexcept {
  // In a handshake the first protected record is Finished: it does not decrypt if the peers' secrets differ.
  return evidence.psk && (reason == SSL_R_BINDER_DOES_NOT_VERIFY || reason == SSL_R_DIGEST_CHECK_FAILED ||
                          reason == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
}

}  // namespace

Report take_report() noexcept {
  Report report;
  const char* data = nullptr;
  int flags = 0;
  while (const unsigned long number = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    // A buffer that does not grow is told by the module that it is of.
    const int reason_number = ERR_GET_REASON(number);
    report.no_memory = report.no_memory || reason_number == ERR_R_MALLOC_FAILURE || reason_number == ERR_R_BUF_LIB;
    const bool telling = report.number == 0 || (report.ssl_reason() == 0 && ERR_GET_LIB(number) == ERR_LIB_SSL);
    if (!telling) {
      continue;
    }
    report.number = number;
    const char* reason = ERR_reason_error_string(number);
    const bool more = (flags & ERR_TXT_STRING) != 0 && data != nullptr && data[0] != '\0';
    std::snprintf(report.words.data(), report.words.size(), "%s%s%s%s", reason == nullptr ? "unnamed error" : reason,
                  more ? " (" : "", more ? data : "", more ? ")" : "");
  }
  return report;
}

Error library_error(Code otherwise, const char* doing) noexcept {
  const Report report = take_report();
  const auto number = static_cast<std::int64_t>(report.number);
  // Where nothing is known that could go wrong, and the library names nothing, it is memory: an entry needs some as
  // well.
  if (report.no_memory || (report.number == 0 && otherwise == Code::internal)) {
    return error_of(Code::no_memory, number, "no memory while %s", doing);
  }
  return error_of(otherwise, number, "%s failed: %s", doing,
                  report.number == 0 ? "the library gave no reason" : report.words.data());
}

const char* alert_name(int description) noexcept {
  static constexpr std::pair<int, const char*> names[] = {
      {SSL3_AD_CLOSE_NOTIFY, "close_notify"},
      {SSL3_AD_UNEXPECTED_MESSAGE, "unexpected_message"},
      {SSL3_AD_BAD_RECORD_MAC, "bad_record_mac"},
      {TLS1_AD_DECRYPTION_FAILED, "decryption_failed"},
      {TLS1_AD_RECORD_OVERFLOW, "record_overflow"},
      {SSL3_AD_DECOMPRESSION_FAILURE, "decompression_failure"},
      {SSL3_AD_HANDSHAKE_FAILURE, "handshake_failure"},
      {SSL3_AD_NO_CERTIFICATE, "no_certificate"},
      {SSL3_AD_BAD_CERTIFICATE, "bad_certificate"},
      {SSL3_AD_UNSUPPORTED_CERTIFICATE, "unsupported_certificate"},
      {SSL3_AD_CERTIFICATE_REVOKED, "certificate_revoked"},
      {SSL3_AD_CERTIFICATE_EXPIRED, "certificate_expired"},
      {SSL3_AD_CERTIFICATE_UNKNOWN, "certificate_unknown"},
      {SSL3_AD_ILLEGAL_PARAMETER, "illegal_parameter"},
      {TLS1_AD_UNKNOWN_CA, "unknown_ca"},
      {TLS1_AD_ACCESS_DENIED, "access_denied"},
      {TLS1_AD_DECODE_ERROR, "decode_error"},
      {TLS1_AD_DECRYPT_ERROR, "decrypt_error"},
      {TLS1_AD_EXPORT_RESTRICTION, "export_restriction"},
      {TLS1_AD_PROTOCOL_VERSION, "protocol_version"},
      {TLS1_AD_INSUFFICIENT_SECURITY, "insufficient_security"},
      {TLS1_AD_INTERNAL_ERROR, "internal_error"},
      {TLS1_AD_INAPPROPRIATE_FALLBACK, "inappropriate_fallback"},
      {TLS1_AD_USER_CANCELLED, "user_canceled"},
      {TLS1_AD_NO_RENEGOTIATION, "no_renegotiation"},
      {TLS13_AD_MISSING_EXTENSION, "missing_extension"},
      {TLS1_AD_UNSUPPORTED_EXTENSION, "unsupported_extension"},
      {TLS1_AD_UNRECOGNIZED_NAME, "unrecognized_name"},
      {TLS1_AD_BAD_CERTIFICATE_STATUS_RESPONSE, "bad_certificate_status_response"},
      {TLS1_AD_UNKNOWN_PSK_IDENTITY, "unknown_psk_identity"},
      {TLS13_AD_CERTIFICATE_REQUIRED, "certificate_required"},
      {TLS1_AD_NO_APPLICATION_PROTOCOL, "no_application_protocol"},
  };
  const auto* found = std::ranges::find(names, description, &std::pair<int, const char*>::first);
  return found == std::end(names) ? "unknown alert" : found->second;
}

Error connection_error(const Report& report, const Evidence& evidence) noexcept {
  const auto number = static_cast<std::int64_t>(report.number);
  const char* const when = evidence.in_handshake ? " during the handshake" : "";
  const int reason = report.ssl_reason();
  if (report.no_memory) {
    return error_of(Code::no_memory, number, "the TLS library has run out of memory (%s)", report.words.data());
  }
  if (evidence.ssl_error == SSL_ERROR_ZERO_RETURN) {
    return error_of(Code::handshake_failed, number, "the peer closed the connection during the handshake");
  }
  if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
    const int alert = reason - SSL_AD_REASON_OFFSET;
    return error_of(Code::peer_alert, number, "the peer sent the fatal alert %s (%d)%s", alert_name(alert), alert,
                    when);
  }
  // Before 3.0 an unexpected end came as a system error with an empty queue, and a second failure still may.
  const bool silent = report.number == 0 && evidence.ssl_error == SSL_ERROR_SYSCALL;
  const Code code = silent ? Code::truncated : code_of_reason(reason);
  if (code == Code::truncated) {
    return error_of(code, number, "the peer's stream ended%s without close_notify", when);
  }
  if (code == Code::verification_failed) {
    return verification_error(report, evidence);
  }
  if (evidence.in_handshake) {
    if (const auto foreign = foreign_protocol(evidence.first_bytes, number); foreign.has_value()) {
      return *foreign;
    }
  }
  if (keys_differ(reason, evidence)) {
    return error_of(Code::handshake_failed, number, "the peers' keys differ (a wrong pre-shared key, or tampering): %s",
                    report.words.data());
  }
  if (reason == SSL_R_NO_RENEGOTIATION) {
    return error_of(code, number, "the peer refused the renegotiation (no_renegotiation)");
  }
  return error_of(code, number, "%s: %s", evidence.in_handshake ? "the handshake failed" : "the connection failed",
                  report.number == 0 ? "the library gave no reason" : report.words.data());
}

}  // namespace rig::openssl
