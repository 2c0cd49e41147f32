#include "backends/gnutls/errors.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "harness/engine/foreign_protocol.h"

namespace rig::gnutls {
namespace {

// class_of is the class of a failure by the return code alone.
Code class_of(int code, bool in_handshake) noexcept {
  switch (code) {
    case GNUTLS_E_CERTIFICATE_ERROR:
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_UNSUPPORTED_CERTIFICATE_TYPE:
      return Code::verification_failed;
    case GNUTLS_E_UNEXPECTED_PACKET:
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET:
    case GNUTLS_E_UNEXPECTED_EXTENSIONS_LENGTH:
    case GNUTLS_E_RECORD_OVERFLOW:
    case GNUTLS_E_TOO_MANY_EMPTY_PACKETS:
    case GNUTLS_E_TOO_MANY_HANDSHAKE_PACKETS:
      return Code::protocol;
    case GNUTLS_E_INVALID_SESSION:
    case GNUTLS_E_INVALID_REQUEST:
      return Code::internal;
    default:
      // GNUTLS_E_INTERNAL_ERROR is among them: the library says so of a warning alert in a wrong place, for example.
      return in_handshake ? Code::handshake_failed : Code::protocol;
  }
}

// AlertName is the name of an alert as the RFCs write it ("bad_certificate").
class AlertName {
 public:
  explicit AlertName(int alert) noexcept {
    const char* const symbol = gnutls_alert_get_strname(static_cast<gnutls_alert_description_t>(alert));
    std::string_view name = symbol == nullptr ? "unknown alert" : symbol;  // the library says GNUTLS_A_BAD_CERTIFICATE
    name.remove_prefix(name.starts_with(prefix) ? prefix.size() : 0);
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    std::ranges::transform(name.substr(0, text_.size() - 1), text_.begin(), lower);
  }
  const char* text() const noexcept { return text_.data(); }

 private:
  static constexpr std::string_view prefix = "GNUTLS_A_";
  std::array<char, 40> text_{};
};

}  // namespace

Error library_error(Code otherwise, const char* doing, int code) noexcept {
  if (code == GNUTLS_E_MEMORY_ERROR) {
    return error_of(Code::no_memory, code, "no memory while %s", doing);
  }
  return error_of(otherwise, code, "%s failed: %s", doing, gnutls_strerror(code));
}

Error connection_error(int code, const Evidence& evidence) noexcept {
  const char* const when = evidence.in_handshake ? " during the handshake" : "";
  if (code == GNUTLS_E_MEMORY_ERROR) {
    return error_of(Code::no_memory, code, "the TLS library has run out of memory%s", when);
  }
  if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
    return error_of(Code::peer_alert, code, "the peer sent the fatal alert %s (%d)%s",
                    AlertName(evidence.received_alert).text(), evidence.received_alert, when);
  }
  // A record that is cut short is "unexpected length" for the library; that the stream has ended is what matters.
  if (code == GNUTLS_E_PREMATURE_TERMINATION || evidence.end_seen) {
    return error_of(Code::truncated, code, "the peer's stream ended%s without close_notify", when);
  }
  if (code == GNUTLS_E_SESSION_EOF) {
    return error_of(Code::handshake_failed, code, "the peer closed the connection during the handshake");
  }
  if (auto foreign = foreign_protocol(evidence.first_bytes, code); foreign.has_value() && evidence.in_handshake) {
    return *foreign;
  }
  if (code == GNUTLS_E_DECRYPTION_FAILED) {
    // In a handshake the first protected record does not decrypt if the peers' secrets differ.
    return evidence.in_handshake
               ? error_of(Code::handshake_failed, code, "the peers' keys differ (a wrong pre-shared key, or tampering)")
               : error_of(Code::protocol, code, "a record of the peer failed its integrity check");
  }
  if (code == GNUTLS_E_NO_CERTIFICATE_FOUND || code == GNUTLS_E_CERTIFICATE_REQUIRED) {
    return error_of(Code::verification_failed, code, "the peer sent no certificate, and one is required");
  }
  return error_of(class_of(code, evidence.in_handshake), code, "%s: %s",
                  evidence.in_handshake ? "the handshake failed" : "the connection failed", gnutls_strerror(code));
}

std::optional<gnutls_alert_description_t> alert_for(int code) noexcept {
  switch (code) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
    case GNUTLS_E_SESSION_EOF:
    case GNUTLS_E_INVALID_SESSION:
      return std::nullopt;
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
      return GNUTLS_A_HANDSHAKE_FAILURE;  // RFC 5246, section 7.4.6; the library would say decode_error
    case GNUTLS_E_SRP_PWD_ERROR:
      return GNUTLS_A_UNKNOWN_PSK_IDENTITY;  // the library would say internal_error
    default:
      return static_cast<gnutls_alert_description_t>(gnutls_error_to_alert(code, nullptr));
  }
}

}  // namespace rig::gnutls
