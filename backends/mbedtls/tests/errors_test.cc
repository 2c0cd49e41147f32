// The classes of return codes, where no handshake in memory can bring them about.
#include "backends/mbedtls/errors.h"

#include <gtest/gtest.h>

namespace rig::mbedtls {
namespace {

TEST(MbedtlsErrors, EveryModulesAllocationFailureIsNoMemory) {
  for (const int code : {MBEDTLS_ERR_SSL_ALLOC_FAILED, MBEDTLS_ERR_X509_ALLOC_FAILED, MBEDTLS_ERR_PK_ALLOC_FAILED,
                         MBEDTLS_ERR_PEM_ALLOC_FAILED, MBEDTLS_ERR_CIPHER_ALLOC_FAILED, MBEDTLS_ERR_MD_ALLOC_FAILED,
                         MBEDTLS_ERR_ECP_ALLOC_FAILED, MBEDTLS_ERR_DHM_ALLOC_FAILED, MBEDTLS_ERR_MPI_ALLOC_FAILED,
                         MBEDTLS_ERR_ASN1_ALLOC_FAILED, MBEDTLS_ERR_RSA_PUBLIC_FAILED + MBEDTLS_ERR_MPI_ALLOC_FAILED,
                         MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_ALLOC_FAILED}) {
    EXPECT_TRUE(is_no_memory(code)) << code;
    EXPECT_EQ(connection_error(code, {}).code(), Code::no_memory);
    EXPECT_EQ(library_error(Code::internal, "testing", code).code(), Code::no_memory);
  }
  for (const int code : {0, 1, 16384, MBEDTLS_ERR_SSL_WANT_READ, MBEDTLS_ERR_X509_CERT_VERIFY_FAILED,
                         MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_OUT_OF_DATA}) {
    EXPECT_FALSE(is_no_memory(code)) << code;
  }
}

struct CodeCase {
  int code;
  bool in_handshake;
  std::optional<int> alert;
  Code expected;
};

TEST(MbedtlsErrors, ACodeHasOneClass) {
  const CodeCase cases[] = {
      {MBEDTLS_ERR_SSL_CONN_EOF, false, {}, Code::truncated},
      {MBEDTLS_ERR_SSL_CONN_EOF, true, {}, Code::truncated},
      {MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY, true, {}, Code::handshake_failed},
      {MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, true, {}, Code::peer_alert},
      {MBEDTLS_ERR_SSL_INVALID_MAC, true, {}, Code::handshake_failed},
      {MBEDTLS_ERR_SSL_INVALID_MAC, false, {}, Code::protocol},
      {MBEDTLS_ERR_SSL_INVALID_RECORD, false, {}, Code::protocol},
      {MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, true, {}, Code::protocol},
      {MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED, true, {}, Code::verification_failed},
      {unreadable_hello, true, {}, Code::protocol},
      {unreadable_hello, true, MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL, Code::handshake_failed},
      {unreadable_hello, true, MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR, Code::protocol},
      {version_refused, true, MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, Code::handshake_failed},
      {MBEDTLS_ERR_X509_INVALID_FORMAT, true, MBEDTLS_SSL_ALERT_MSG_BAD_CERT, Code::verification_failed},
      {MBEDTLS_ERR_SSL_BAD_INPUT_DATA, true, {}, Code::handshake_failed},
      {MBEDTLS_ERR_SSL_BAD_INPUT_DATA, false, {}, Code::protocol},
      {MBEDTLS_ERR_SSL_INTERNAL_ERROR, true, MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR, Code::internal},
      {MBEDTLS_ERR_SSL_COUNTER_WRAPPING, false, {}, Code::internal},
      {-0x0123, false, {}, Code::protocol},
      {-0x0123, true, {}, Code::handshake_failed},
  };
  for (const CodeCase& c : cases) {
    const Error error = connection_error(c.code, {.in_handshake = c.in_handshake, .sent_alert = c.alert});
    EXPECT_EQ(error.code(), c.expected) << c.code << ": " << error.detail();
    EXPECT_EQ(error.number(), c.code);
    EXPECT_FALSE(error.detail().empty());
  }
}

TEST(MbedtlsErrors, AVerificationSaysWhatWasWrong) {
  const auto detail = [](std::uint32_t flags) {
    return std::string(connection_error(MBEDTLS_ERR_X509_CERT_VERIFY_FAILED,
                                        {.in_handshake = true, .verify_flags = flags, .host = "h"})
                           .detail());
  };
  EXPECT_NE(detail(MBEDTLS_X509_BADCERT_EXPIRED).find("expired"), std::string::npos);
  EXPECT_NE(detail(MBEDTLS_X509_BADCERT_CN_MISMATCH | MBEDTLS_X509_BADCERT_EXPIRED).find("'h'"), std::string::npos);
  EXPECT_NE(detail(0).find("not accepted"), std::string::npos);
}

TEST(MbedtlsErrors, AlertsHaveNames) {
  EXPECT_STREQ(alert_name(40), "handshake_failure");
  EXPECT_STREQ(alert_name(116), "certificate_required");
  EXPECT_STREQ(alert_name(200), "unknown alert");
  EXPECT_EQ(alert_for(Code::verification_failed), 42);
  EXPECT_EQ(alert_for(Code::protocol), 50);
  EXPECT_EQ(alert_for(Code::no_memory), 80);
  EXPECT_EQ(alert_for(Code::peer_alert), std::nullopt);
  EXPECT_EQ(alert_for(Code::truncated), std::nullopt);
}

}  // namespace
}  // namespace rig::mbedtls
