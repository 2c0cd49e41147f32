// The laws of the library door on the real GnuTLS: the defect of each is reported, and its neighbour is not.
#include <cerrno>
#include <thread>
#include <utility>

#include "backends/gnutls/door/tests/raw_pair.h"

namespace rig {
namespace {

using namespace test;

TEST(GnutlsDoor, AConnectionThatIsDrivenAsTheManualSaysBreaksNoLaw) {
  for (const bool poison : {false, true}) {
    RawPair pair(poison);
    pair.shake_hands();
    pair.wait();
    const std::vector<char> buffer(16'000, 'x');
    pair.clog(buffer);
    pair.drain();
    EXPECT_EQ(gnutls_record_send(pair.client(), nullptr, 0), 16'000) << "what it held back";
    pair.drain();
    char data[10];
    EXPECT_EQ(gnutls_record_recv(pair.client(), data, sizeof data), GNUTLS_E_AGAIN);
    pair.wait();
    EXPECT_EQ(gnutls_bye(pair.client(), GNUTLS_SHUT_WR), 0);
    EXPECT_EQ(gnutls_record_recv(pair.server(), data, sizeof data), 0);
    EXPECT_EQ(gnutls_bye(pair.server(), GNUTLS_SHUT_WR), 0);
    EXPECT_EQ(gnutls_record_recv(pair.client(), data, sizeof data), 0);
    EXPECT_EQ(pair.broken(), "") << pair.message();
    EXPECT_GT(pair.calls(), 20u) << "the door was closed";
  }
}

TEST(GnutlsDoor, AClosedDoorAnnouncesNothing) {
  RawPair pair;
  pair.shake_hands();
  const std::uint64_t before = pair.calls();
  open_door(nullptr);
  EXPECT_EQ(gnutls_record_send(pair.client(), "x", 1), 1);
  EXPECT_EQ(pair.calls(), before);
}

// The transport of these sessions fails, and one of them says so.
template <bool says_why>
ssize_t failing_pull(gnutls_transport_ptr_t, void*, std::size_t) {
  if (says_why) {
    errno = EAGAIN;
  }
  return -1;
}

TEST(GnutlsDoor, H2_ATransportThatFailsAndSetsNoErrnoIsReported) {
  for (const bool says_why : {true, false}) {
    RawPair pair(true);
    pair.shake_hands();
    gnutls_transport_set_pull_function(pair.client(), says_why ? failing_pull<true> : failing_pull<false>);
    char byte = 0;
    EXPECT_EQ(gnutls_record_recv(pair.client(), &byte, 1), says_why ? GNUTLS_E_AGAIN : GNUTLS_E_PULL_ERROR);
    EXPECT_EQ(pair.broken(), says_why ? "" : "H2");
  }
}

TEST(GnutlsDoor, E1_AnotherLengthInPlaceOfWhatItHoldsBackIsReported) {
  const std::vector<char> buffer(16'000, 'x');
  RawPair pair;
  pair.shake_hands();
  pair.clog(buffer);
  EXPECT_EQ(gnutls_record_send(pair.client(), buffer.data(), 1000), GNUTLS_E_AGAIN);
  EXPECT_EQ(pair.broken(), "E1");
}

TEST(GnutlsDoor, E1_TheSameBytesFromAnotherAddressAreSilent) {
  const std::vector<char> buffer(16'000, 'x');
  const std::vector<char> copy = buffer;
  RawPair pair;
  pair.shake_hands();
  pair.clog(buffer);
  EXPECT_EQ(gnutls_record_send(pair.client(), copy.data(), copy.size()), GNUTLS_E_AGAIN);
  EXPECT_EQ(pair.broken(), "");
}

// While one thread receives, its transport has another thread make a call on the session.
template <class Call>
std::string while_receiving(Call call) {
  static Call* other = nullptr;
  static RawPair* pair = nullptr;
  RawPair own;
  own.shake_hands();
  pair = &own;
  other = &call;
  gnutls_transport_set_pull_function(own.client(), [](gnutls_transport_ptr_t, void*, std::size_t) -> ssize_t {
    if (other != nullptr) {
      Call* const once = std::exchange(other, nullptr);
      std::thread([once] { (*once)(pair->client()); }).join();
    }
    errno = EAGAIN;
    return -1;
  });
  char byte = 0;
  gnutls_record_recv(own.client(), &byte, 1);
  return own.broken();
}

TEST(GnutlsDoor, E2_OneMayReceiveWhileAnotherSends) {
  EXPECT_EQ(while_receiving([](gnutls_session_t session) { gnutls_record_send(session, "x", 1); }), "");
}

TEST(GnutlsDoor, E2_TwoThatReceiveAndAGoodbyeWhileOneReceivesAreReported) {
  EXPECT_EQ(while_receiving([](gnutls_session_t session) {
              char byte = 0;
              gnutls_record_recv(session, &byte, 1);
            }),
            "E2");
  EXPECT_EQ(while_receiving([](gnutls_session_t session) { gnutls_bye(session, GNUTLS_SHUT_WR); }), "E2");
}

TEST(GnutlsDoor, E3_AGoodbyeInAHandshakeIsReported) {
  RawPair pair;
  EXPECT_EQ(gnutls_handshake(pair.client()), GNUTLS_E_AGAIN);
  gnutls_bye(pair.client(), GNUTLS_SHUT_WR);
  EXPECT_EQ(pair.broken(), "E3");
}

TEST(GnutlsDoor, E3_AGoodbyeAfterARenegotiationThatWasDeclinedIsNot) {
  RawPair pair;
  pair.shake_hands();
  EXPECT_EQ(gnutls_handshake(pair.client()), GNUTLS_E_AGAIN);
  char byte = 0;
  EXPECT_EQ(gnutls_record_recv(pair.server(), &byte, 1), GNUTLS_E_REHANDSHAKE);
  EXPECT_EQ(gnutls_alert_send(pair.server(), GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION), 0);
  EXPECT_EQ(gnutls_handshake(pair.client()), GNUTLS_E_WARNING_ALERT_RECEIVED);
  EXPECT_EQ(gnutls_bye(pair.client(), GNUTLS_SHUT_WR), 0);
  EXPECT_EQ(pair.broken(), "");
}

TEST(GnutlsDoor, E3_DataThatIsSentInTheFirstHandshakeIsReported) {
  RawPair pair;
  EXPECT_EQ(gnutls_handshake(pair.client()), GNUTLS_E_AGAIN);
  EXPECT_EQ(gnutls_record_send(pair.client(), "x", 1), GNUTLS_E_UNAVAILABLE_DURING_HANDSHAKE);
  EXPECT_EQ(pair.broken(), "E3");
}

TEST(GnutlsDoor, E3_ACallAfterAFatalFailureIsReportedAndAnEndIsNot) {
  RawPair pair;
  pair.shake_hands();
  ASSERT_EQ(shutdown(pair.server_descriptor(), SHUT_WR), 0);
  char byte = 0;
  EXPECT_EQ(gnutls_record_recv(pair.client(), &byte, 1), GNUTLS_E_PREMATURE_TERMINATION);
  EXPECT_EQ(pair.broken(), "");
  gnutls_record_send(pair.client(), "x", 1);
  EXPECT_EQ(pair.broken(), "E3");
}

TEST(GnutlsDoor, E3_AnEndOfTheLibraryUnderASessionIsReportedAndABalancedOneIsNot) {
  RawPair pair;
  EXPECT_EQ(gnutls_global_init(), 0);
  EXPECT_EQ(gnutls_global_init(), 0);
  gnutls_global_deinit();
  EXPECT_EQ(pair.broken(), "");
  gnutls_global_deinit();
  EXPECT_EQ(pair.broken(), "E3");
}

TEST(GnutlsDoor, L1_AWaitForInputWhereAHandshakeWantsRoomIsReported) {
  for (const bool room : {false, true}) {
    RawPair pair;
    pair.fill();
    EXPECT_EQ(gnutls_handshake(pair.client()), GNUTLS_E_AGAIN);
    EXPECT_EQ(gnutls_record_get_direction(pair.client()), 1);
    pair.wait(room);
    EXPECT_EQ(pair.broken(), room ? "" : "L1");
  }
}

TEST(GnutlsDoor, L1_AWaitForInputThatTheSessionHoldsIsReported) {
  for (const bool read_on : {false, true}) {
    RawPair pair;
    pair.shake_hands();
    ASSERT_EQ(gnutls_record_send(pair.server(), "two", 3), 3);
    char byte = 0;
    EXPECT_EQ(gnutls_record_recv(pair.client(), &byte, 1), 1);
    while (read_on && gnutls_record_recv(pair.client(), &byte, 1) > 0) {
    }
    pair.wait();
    EXPECT_EQ(pair.broken(), read_on ? "" : "L1");
  }
}

}  // namespace
}  // namespace rig
