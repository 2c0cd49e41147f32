// E1, E2, E3 and L1 on the real library: the defect of each is reported, and its neighbour is not.
#include <thread>

#include "backends/openssl/door/tests/raw_pair.h"

namespace rig {
namespace {

using namespace test;

TEST(OpensslDoor, E1_AMovedRetryIsReportedUnlessTheSessionMayMove) {
  const std::vector<char> buffer(40'000, 'x');
  const std::vector<char> copy = buffer;
  for (const bool moving : {false, true}) {
    RawPair pair;
    if (moving) {
      SSL_set_mode(pair.client(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    pair.shake_hands();
    pair.clog(buffer);
    pair.drain();
    ERR_clear_error();
    EXPECT_EQ(SSL_write(pair.client(), copy.data(), static_cast<int>(copy.size())) > 0, moving);
    EXPECT_EQ(pair.broken(), moving ? "" : "E1") << pair.message();
  }
}

TEST(OpensslDoor, E1_AShorterAndALongerRetryAreReported) {
  const std::vector<char> buffer(40'000, 'x');
  for (const int bytes : {39'999, 40'000}) {
    RawPair pair;
    SSL_set_mode(pair.client(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    pair.shake_hands();
    std::vector<char> first(buffer);
    first.resize(bytes == 40'000 ? 39'000 : 40'000);
    pair.clog(first);
    ERR_clear_error();
    SSL_write(pair.client(), buffer.data(), bytes);
    EXPECT_EQ(pair.broken(), "E1") << bytes;
  }
}

TEST(OpensslDoor, E1_AWriteOfNoBytesIsReportedAndOneOfTheExFunctionIsNot) {
  RawPair pair;
  pair.shake_hands();
  std::size_t written = 0;
  ERR_clear_error();
  SSL_write_ex(pair.client(), "", 0, &written);
  EXPECT_EQ(pair.broken(), "");
  ERR_clear_error();
  SSL_write(pair.client(), "", 0);
  EXPECT_EQ(pair.broken(), "E1");
}

// While one thread is in SSL_read, its transport has another thread write.
TEST(OpensslDoor, E2_TwoThreadsInASessionAreReported) {
  RawPair pair;
  pair.shake_hands();
  static thread_local bool here = false;
  here = true;
  BIO_set_callback_ex(
      SSL_get_rbio(pair.client()),
      [](BIO* bio, int operation, const char*, std::size_t, int, long, int result, std::size_t*) -> long {
        if (operation == BIO_CB_READ && here) {
          auto* const session = reinterpret_cast<SSL*>(BIO_get_callback_arg(bio));
          std::thread([session] { SSL_write(session, "x", 1); }).join();
        }
        return result;
      });
  BIO_set_callback_arg(SSL_get_rbio(pair.client()), reinterpret_cast<char*>(pair.client()));
  pair.read_client();
  here = false;
  BIO_set_callback_ex(SSL_get_rbio(pair.client()), nullptr);
  EXPECT_EQ(pair.broken(), "E2");
  EXPECT_TRUE(pair.message().contains("in SSL_read")) << pair.message();
}

TEST(OpensslDoor, E2_ThreadsOneAfterTheOtherAreSilent) {
  RawPair pair;
  std::thread([&] { pair.shake_hands(); }).join();
  std::thread([&] { EXPECT_EQ(SSL_write(pair.client(), "x", 1), 1); }).join();
  pair.drain();
  EXPECT_EQ(pair.broken(), "");
}

TEST(OpensslDoor, E3_AShutdownInAHandshakeIsReported) {
  RawPair pair;
  ERR_clear_error();
  EXPECT_EQ(SSL_do_handshake(pair.client()), -1);
  EXPECT_EQ(SSL_shutdown(pair.client()), -1);
  EXPECT_EQ(pair.broken(), "E3");
}

TEST(OpensslDoor, E3_AShutdownOverAPendingWriteIsReported) {
  RawPair pair;
  pair.shake_hands();
  const std::vector<char> buffer(40'000, 'x');
  pair.clog(buffer);
  ERR_clear_error();
  SSL_shutdown(pair.client());
  EXPECT_EQ(pair.broken(), "E3");
}

TEST(OpensslDoor, E3_AReadAfterAFatalFailureIsReportedAndAFreeIsNot) {
  RawPair pair;
  pair.shake_hands();
  ASSERT_EQ(shutdown(pair.server_descriptor(), SHUT_WR), 0);
  EXPECT_EQ(pair.read_client(), SSL_ERROR_SSL) << "an end without close_notify";
  EXPECT_EQ(pair.broken(), "");
  pair.read_client();
  EXPECT_EQ(pair.broken(), "E3");
}

TEST(OpensslDoor, L1_AWaitForInputThatTheSessionHoldsIsReported) {
  for (const bool read_on : {false, true}) {
    RawPair pair;
    pair.shake_hands();
    ASSERT_EQ(SSL_write(pair.server(), "two", 3), 3);
    EXPECT_EQ(pair.read_client(), SSL_ERROR_NONE);
    while (read_on && pair.read_client() == SSL_ERROR_NONE) {
    }
    pair.wait();
    EXPECT_EQ(pair.broken(), read_on ? "" : "L1");
  }
}

}  // namespace
}  // namespace rig
