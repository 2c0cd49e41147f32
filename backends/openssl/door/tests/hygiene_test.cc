// H1, H2 and H3 on the real library: the defect of each is reported, and its neighbour is not.
#include "backends/openssl/door/tests/raw_pair.h"

namespace rig {
namespace {

using namespace test;

constexpr int both_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

// garbage makes the client's next read fail, with a report in the queue.
void garbage(const RawPair& pair) {
  constexpr char bytes[] = "this is no record of TLS, whoever sent it";
  ASSERT_GT(send(pair.server_descriptor(), bytes, sizeof bytes, MSG_NOSIGNAL), 0);
}

TEST(OpensslDoor, AConnectionThatIsDrivenAsTheManualSaysBreaksNoLaw) {
  for (const int version : both_versions) {
    for (const bool poison : {false, true}) {
      RawPair pair(version, poison);
      pair.wait();
      pair.shake_hands();
      pair.wait();
      const std::vector<char> buffer(40'000, 'x');
      pair.clog(buffer);
      pair.wait();
      pair.drain();
      ERR_clear_error();
      ASSERT_GT(SSL_write(pair.client(), buffer.data(), static_cast<int>(buffer.size())), 0);
      pair.wait();
      ERR_clear_error();
      EXPECT_EQ(SSL_shutdown(pair.client()), 0);
      pair.drain();
      ERR_clear_error();
      EXPECT_EQ(SSL_shutdown(pair.server()), 1);
      EXPECT_EQ(pair.read_client(), SSL_ERROR_ZERO_RETURN);
      pair.wait();
      EXPECT_EQ(pair.broken(), "") << pair.message();
      EXPECT_GT(pair.calls(), 20u) << "the door was closed";
    }
  }
}

TEST(OpensslDoor, AClosedDoorAnnouncesNothingAndAnOpenOneKeepsErrno) {
  RawPair pair;
  pair.shake_hands();
  char byte = 0;
  errno = EDOM;
  EXPECT_EQ(SSL_pending(pair.client()), 0);
  SSL_get_error(pair.client(), 1);
  ERR_clear_error();
  EXPECT_EQ(errno, EDOM);
  const std::uint64_t before = pair.calls();
  open_door(nullptr);
  SSL_read(pair.client(), &byte, 1);
  EXPECT_EQ(pair.calls(), before);
}

TEST(OpensslDoor, H1_AnEntryLeftAtAWaitIsReportedWithTheCallThatLeftIt) {
  RawPair pair;
  pair.shake_hands();
  garbage(pair);
  EXPECT_EQ(pair.read_client(), SSL_ERROR_SSL);
  EXPECT_EQ(pair.broken(), "");
  pair.wait();
  EXPECT_EQ(pair.broken(), "H1");
  // 3.5 puts an entry of its record layer on top: what comes behind the "0A" of libssl is the version's own.
  const std::string entry = OPENSSL_VERSION_PREREQ(3, 5) ? "0A0001" : "0A00010B:";
  EXPECT_EQ(pair.message().find("SSL_read left an entry in the error queue, found at poll: error:" + entry), 0u)
      << pair.message();
  EXPECT_TRUE(pair.message().contains("left in ") && pair.message().contains("test_unit_openssl_door"))
      << pair.message();
}

TEST(OpensslDoor, H1_IsSilentWhereTheReportWasTaken) {
  RawPair pair;
  pair.shake_hands();
  garbage(pair);
  EXPECT_EQ(pair.read_client(), SSL_ERROR_SSL);
  while (ERR_get_error() != 0) {
  }
  pair.wait();
  EXPECT_EQ(pair.broken(), "");
}

TEST(OpensslDoor, H1_AnEntryOfAFunctionThatIsNoDoorIsReported) {
  RawPair pair;
  const openssl::Bio nothing(BIO_new_mem_buf("no certificate", -1));
  EXPECT_EQ(PEM_read_bio_X509(nothing.get(), nullptr, nullptr, nullptr), nullptr);
  pair.wait();
  EXPECT_EQ(pair.broken(), "H1");
  EXPECT_TRUE(pair.message().contains("PEM_read_bio")) << pair.message();
}

TEST(OpensslDoor, H2_AReadWithoutAClearMeetsTheEntryOfAnother) {
  RawPair pair;
  pair.shake_hands();
  ERR_raise(ERR_LIB_USER, 7);
  char byte = 0;
  EXPECT_EQ(SSL_get_error(pair.client(), SSL_read(pair.client(), &byte, 1)), SSL_ERROR_SSL);
  EXPECT_EQ(pair.broken(), "H2");
}

TEST(OpensslDoor, H2_PoisonFindsTheReadWithoutAClearOnAHealthyConnection) {
  RawPair pair(TLS1_3_VERSION, true);
  pair.shake_hands();
  pair.wait();
  char byte = 0;
  EXPECT_EQ(SSL_get_error(pair.client(), SSL_read(pair.client(), &byte, 1)), SSL_ERROR_SSL);
  EXPECT_EQ(pair.broken(), "H2");
  EXPECT_TRUE(pair.message().contains("planted by tlsrig")) << pair.message();
}

TEST(OpensslDoor, H2_PoisonFindsTheWriteWithoutAClear) {
  RawPair pair(TLS1_3_VERSION, true);
  pair.shake_hands();
  const std::vector<char> buffer(40'000, 'x');
  pair.clog(buffer);
  pair.wait();
  const int result = SSL_write(pair.client(), buffer.data(), static_cast<int>(buffer.size()));
  EXPECT_EQ(SSL_get_error(pair.client(), result), SSL_ERROR_SSL);
  EXPECT_EQ(pair.broken(), "H2");
}

TEST(OpensslDoor, H3_AClearBetweenTheFailureAndTheQuestionIsReported) {
  RawPair pair;
  pair.shake_hands();
  garbage(pair);
  char byte = 0;
  ERR_clear_error();
  const int result = SSL_read(pair.client(), &byte, 1);
  ERR_clear_error();
  EXPECT_EQ(SSL_get_error(pair.client(), result), SSL_ERROR_SYSCALL);
  EXPECT_EQ(pair.broken(), "H3");
}

TEST(OpensslDoor, H3_PrintingTheQueueBeforeTheQuestionIsReported) {
  RawPair pair;
  pair.shake_hands();
  garbage(pair);
  char byte = 0;
  ERR_clear_error();
  const int result = SSL_read(pair.client(), &byte, 1);
  ERR_print_errors_cb([](const char*, std::size_t, void*) { return 1; }, nullptr);
  EXPECT_EQ(SSL_get_error(pair.client(), result), SSL_ERROR_SYSCALL);
  EXPECT_EQ(pair.broken(), "H3");
}

// The client trusts nobody; it learns that its alert goes out when the report is in the queue.
// A callback whose last deed is the clear would jump there, and seem to be the library.
int alerts_cleared = 0;

TEST(OpensslDoor, H3_ACallbackThatClearsWithinTheFailingCallIsReported) {
  for (const bool clears : {false, true}) {
    RawPair pair;
    SSL_set_verify(pair.client(), SSL_VERIFY_PEER, nullptr);
    if (clears) {
      SSL_set_info_callback(pair.client(), [](const SSL*, int where, int) {
        if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT) {
          ERR_clear_error();
          ++alerts_cleared;
        }
      });
    }
    ERR_clear_error();
    EXPECT_EQ(SSL_do_handshake(pair.client()), -1);
    EXPECT_EQ(SSL_do_handshake(pair.server()), -1);
    ERR_clear_error();
    const int result = SSL_do_handshake(pair.client());
    EXPECT_EQ(SSL_get_error(pair.client(), result), clears ? SSL_ERROR_SYSCALL : SSL_ERROR_SSL);
    EXPECT_EQ(pair.broken(), clears ? "H3" : "");
  }
}

TEST(OpensslDoor, H3_IsSilentAboutAClearAfterAWouldBlock) {
  RawPair pair;
  pair.shake_hands();
  char byte = 0;
  const int result = SSL_read(pair.client(), &byte, 1);
  ERR_clear_error();
  EXPECT_EQ(SSL_get_error(pair.client(), result), SSL_ERROR_WANT_READ);
  EXPECT_EQ(pair.broken(), "");
}

}  // namespace
}  // namespace rig
