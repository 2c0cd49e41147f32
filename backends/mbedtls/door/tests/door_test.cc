// The laws of the library door on the real mbedTLS: the defect of each is reported, and its neighbour is not.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "backends/mbedtls/door/tests/raw_pair.h"
#include "harness/oracle/door_laws.h"

namespace rig {
namespace {

using namespace test;

class MbedtlsDoor : public testing::Test {
 protected:
  MbedtlsDoor() { open_door(&laws_); }
  ~MbedtlsDoor() override { open_door(nullptr); }

  std::string broken() const {
    std::string names;
    for (const Violation& violation : log_.kept()) {
      names += (names.empty() ? "" : " ") + std::string(law_name(violation.law));
    }
    return names;
  }

  // clog leaves a write of all of `data_` waiting for room.
  void clog(Pair& pair) {
    pair.up.bytes_max = 1000;
    EXPECT_EQ(write(pair, data_), MBEDTLS_ERR_SSL_WANT_WRITE);
  }
  static int write(Pair& pair, const std::vector<unsigned char>& data) {
    return mbedtls_ssl_write(pair.client.context(), data.data(), data.size());
  }
  static int read(Session& side) {
    unsigned char byte = 0;
    return mbedtls_ssl_read(side.context(), &byte, 1);
  }

  ViolationLog log_;
  DoorLaws laws_{log_, true};
  std::vector<unsigned char> data_ = std::vector<unsigned char>(10'000, 'x');
};

TEST_F(MbedtlsDoor, AConnectionThatIsDrivenAsTheManualSaysBreaksNoLaw) {
  Pair pair;
  ASSERT_TRUE(pair.shake_hands());
  clog(pair);
  EXPECT_EQ(read(pair.client), MBEDTLS_ERR_SSL_WANT_READ);
  pair.up.bytes_max = 100'000;
  EXPECT_EQ(write(pair, data_), 10'000);
  EXPECT_EQ(mbedtls_ssl_write(pair.client.context(), data_.data(), 0), 0);
  EXPECT_EQ(mbedtls_ssl_close_notify(pair.client.context()), 0);
  int got = 0;
  do {
    got = read(pair.server);
  } while (got > 0 || got == MBEDTLS_ERR_SSL_WANT_READ);
  EXPECT_EQ(got, MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
  EXPECT_EQ(mbedtls_ssl_close_notify(pair.server.context()), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_GT(laws_.calls(), 10'000u) << "the door was closed";
}

TEST_F(MbedtlsDoor, AClosedDoorAnnouncesNothing) {
  open_door(nullptr);
  Pair pair;
  EXPECT_TRUE(pair.shake_hands());
  EXPECT_EQ(laws_.calls(), 0u);
}

TEST_F(MbedtlsDoor, E1_AShorterALongerAndAnotherRetryAreReported) {
  for (const std::size_t bytes : {9'999, 10'001, 10'000}) {
    Pair pair;
    ASSERT_TRUE(pair.shake_hands());
    clog(pair);
    std::vector<unsigned char> other(bytes, 'x');
    other[5000] = bytes == 10'000 ? 'y' : 'x';
    write(pair, other);
  }
  EXPECT_EQ(log_.count(), 1u) << "one place in the code";
  EXPECT_EQ(broken(), "E1");
}

TEST_F(MbedtlsDoor, E1_TheSameBytesFromAnotherAddressAreSilent) {
  Pair pair;
  ASSERT_TRUE(pair.shake_hands());
  clog(pair);
  const std::vector<unsigned char> copy = data_;
  EXPECT_EQ(write(pair, copy), MBEDTLS_ERR_SSL_WANT_WRITE);
  EXPECT_EQ(broken(), "");
}

// While one thread is in a read, its transport has another thread write.
TEST_F(MbedtlsDoor, E2_TwoThreadsInASessionAreReported) {
  Pair pair;
  ASSERT_TRUE(pair.shake_hands());
  mbedtls_ssl_set_bio(
      pair.client.context(), pair.client.context(),
      [](void*, const unsigned char*, std::size_t) { return MBEDTLS_ERR_SSL_WANT_WRITE; },
      [](void* user, unsigned char*, std::size_t) {
        auto* const session = static_cast<mbedtls_ssl_context*>(user);
        std::thread([session] { mbedtls_ssl_write(session, reinterpret_cast<const unsigned char*>("x"), 1); }).join();
        return MBEDTLS_ERR_SSL_WANT_READ;
      },
      nullptr);
  EXPECT_EQ(read(pair.client), MBEDTLS_ERR_SSL_WANT_READ);
  EXPECT_EQ(broken(), "E2");
}

TEST_F(MbedtlsDoor, E3_AShutdownInAHandshakeAndOneOverAPendingWriteAreReported) {
  {
    Pair pair;
    EXPECT_EQ(mbedtls_ssl_handshake(pair.client.context()), MBEDTLS_ERR_SSL_WANT_READ);
    mbedtls_ssl_close_notify(pair.client.context());
    EXPECT_EQ(broken(), "E3");
  }
  Pair pair;
  ASSERT_TRUE(pair.shake_hands());
  clog(pair);
  mbedtls_ssl_close_notify(pair.client.context());
  EXPECT_EQ(broken(), "E3 E3");
}

TEST_F(MbedtlsDoor, E3_ACallAfterAnEndWithoutCloseNotifyIsReportedAndAResetIsNot) {
  Pair pair;
  ASSERT_TRUE(pair.shake_hands());
  pair.down.ended = true;
  EXPECT_EQ(read(pair.client), 0);
  EXPECT_EQ(broken(), "");
  write(pair, data_);
  EXPECT_EQ(broken(), "E3");
  EXPECT_EQ(mbedtls_ssl_session_reset(pair.client.context()), 0);
  pair.down.ended = false;
  EXPECT_EQ(mbedtls_ssl_handshake(pair.client.context()), MBEDTLS_ERR_SSL_WANT_READ);
  EXPECT_EQ(broken(), "E3");
}

}  // namespace
}  // namespace rig
