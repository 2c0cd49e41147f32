// The table of failures, and the reports that it is made from.
#include "backends/openssl/errors.h"

#include <gtest/gtest.h>

#include <string>

namespace rig::openssl {
namespace {

Report report_of(int reason) {
  ERR_raise(ERR_LIB_SSL, reason);
  return take_report();
}

std::string detail_of(const Error& error) {
  return std::string(error.detail());
}

TEST(OpensslErrors, TheLibrarysOwnEntryTellsAndTheQueueIsEmptied) {
  ERR_raise(ERR_LIB_EVP, EVP_R_DECODE_ERROR);
  ERR_raise_data(ERR_LIB_SSL, SSL_R_BAD_EXTENSION, "number %d", 5);
  ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
  const Report report = take_report();
  EXPECT_EQ(report.ssl_reason(), SSL_R_BAD_EXTENSION);
  EXPECT_STREQ(report.words.data(), "bad extension (number 5)");
  EXPECT_FALSE(report.no_memory);
  EXPECT_EQ(ERR_peek_error(), 0U);
  EXPECT_EQ(take_report().number, 0U);
}

TEST(OpensslErrors, AnAllocationThatFailedIsFoundAnywhere) {
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_EXTENSION);
  ERR_raise(ERR_LIB_ASN1, ERR_R_MALLOC_FAILURE);
  const Report report = take_report();
  EXPECT_TRUE(report.no_memory);
  EXPECT_EQ(connection_error(report, {}).code(), Code::no_memory);
  ERR_raise(ERR_LIB_ASN1, ERR_R_MALLOC_FAILURE);
  EXPECT_EQ(library_error(Code::invalid_argument, "reading").code(), Code::no_memory);
  EXPECT_EQ(detail_of(library_error(Code::invalid_argument, "reading")), "reading failed: the library gave no reason");
}

TEST(OpensslErrors, EachReasonHasItsClass) {
  struct Row {
    int reason;
    Code code;
  };
  const Row rows[] = {
      {SSL_R_CERTIFICATE_VERIFY_FAILED, Code::verification_failed},
      {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, Code::verification_failed},
      {SSL_R_UNEXPECTED_EOF_WHILE_READING, Code::truncated},
      {SSL_R_NO_SHARED_CIPHER, Code::handshake_failed},
      {SSL_R_NO_RENEGOTIATION, Code::handshake_failed},
      {SSL_R_BAD_EXTENSION, Code::protocol},
      {ERR_R_INTERNAL_ERROR, Code::protocol},
      {SSL_R_TLSV1_ALERT_UNKNOWN_CA, Code::peer_alert},
      {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, Code::peer_alert},
  };
  for (const Row& row : rows) {
    const Error error = connection_error(report_of(row.reason), {.in_handshake = true});
    EXPECT_EQ(error.code(), row.code) << error.detail();
    EXPECT_FALSE(error.detail().empty());
    EXPECT_NE(error.number(), 0);
  }
}

TEST(OpensslErrors, AlertsHaveTheirNames) {
  EXPECT_EQ(detail_of(connection_error(report_of(SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_CA), {})),
            "the peer sent the fatal alert unknown_ca (48)");
  EXPECT_EQ(detail_of(connection_error(report_of(SSL_AD_REASON_OFFSET + 116), {.in_handshake = true})),
            "the peer sent the fatal alert certificate_required (116) during the handshake");
  EXPECT_STREQ(alert_name(200), "unknown alert");
}

TEST(OpensslErrors, AVerificationSaysWhatWasWrong) {
  const auto detail = [](long result) {
    return detail_of(connection_error(report_of(SSL_R_CERTIFICATE_VERIFY_FAILED),
                                      {.in_handshake = true, .verify_result = result, .host = "a.test"}));
  };
  EXPECT_EQ(detail(X509_V_ERR_HOSTNAME_MISMATCH), "the peer's certificate is not issued to 'a.test'");
  EXPECT_EQ(detail(X509_V_ERR_IP_ADDRESS_MISMATCH), "the peer's certificate is not issued to 'a.test'");
  EXPECT_EQ(detail(X509_V_ERR_CERT_HAS_EXPIRED), "the peer's certificate was not accepted: certificate has expired");
  EXPECT_EQ(detail(X509_V_OK), "the peer's certificate was not accepted: certificate verify failed");
  EXPECT_NE(detail(X509_V_ERR_APPLICATION_VERIFICATION).find("pre-shared key"), std::string::npos);
}

TEST(OpensslErrors, AStrangerIsRecognised) {
  const auto detail = [](std::string_view first) {
    const Error error =
        connection_error(report_of(SSL_R_WRONG_VERSION_NUMBER), {.in_handshake = true, .first_bytes = as_bytes(first)});
    EXPECT_EQ(error.code(), Code::protocol);
    return detail_of(error);
  };
  EXPECT_EQ(detail("GET / HTTP/1.1\r\n"), "the peer speaks plain HTTP, not TLS");
  EXPECT_EQ(detail("HTTP/1.1 400"), "the peer speaks plain HTTP, not TLS");
  EXPECT_EQ(detail("220 mail ready\r\n"),
            "the peer does not speak TLS: its first bytes are plain text (\"220 mail ready\")");
  EXPECT_EQ(detail("\x01\x02"), "the peer does not speak TLS: its first bytes are no TLS record");
  EXPECT_EQ(detail("\x16\x03\x03"), "the handshake failed: wrong version number");
  EXPECT_EQ(detail(""), "the handshake failed: wrong version number");
}

TEST(OpensslErrors, SilentFailuresAndEnds) {
  const Report silent;
  EXPECT_EQ(connection_error(silent, {.ssl_error = SSL_ERROR_SYSCALL}).code(), Code::truncated);
  EXPECT_EQ(detail_of(connection_error(silent, {})), "the connection failed: the library gave no reason");
  EXPECT_EQ(connection_error(silent, {.ssl_error = SSL_ERROR_ZERO_RETURN}).code(), Code::handshake_failed);
  const Error keys =
      connection_error(report_of(SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC), {.in_handshake = true, .psk = true});
  EXPECT_EQ(keys.code(), Code::handshake_failed);
  EXPECT_EQ(connection_error(report_of(SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC), {}).code(), Code::protocol);
}

}  // namespace
}  // namespace rig::openssl
