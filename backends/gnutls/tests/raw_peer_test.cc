// What peers do that no engine does: the library's own session on the other side.
#include "backends/gnutls/tests/raw_peer.h"
#include "backends/gnutls/tests/peers.h"

namespace rig {
namespace {

using test::RawPeer;

constexpr const char* tls12 = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK";
constexpr const char* tls13 = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-GCM";

// Joined is an engine and a raw peer, their handshake done.
struct Joined {
  explicit Joined(Role role, bool renegotiation = true, TlsVersion version = TlsVersion::tls12)
      : engine(make(role, renegotiation, version)),
        peer(*engine, role == Role::client ? GNUTLS_SERVER : GNUTLS_CLIENT,
             version == TlsVersion::tls12 ? tls12 : tls13) {
    EXPECT_EQ(peer.handshake(), 0);
    EXPECT_FALSE(peer.engine_error().has_value()) << peer.engine_error()->detail();
  }

  static std::unique_ptr<TlsEngine> make(Role role, bool renegotiation, TlsVersion version) {
    ContextConfig config = test::psk_config(role, version);
    config.allow_renegotiation = renegotiation;
    return test::engine_of(*test::context_of(config));
  }

  // echo shows that the connection lives, in both directions.
  void echo() {
    peer.send("to the engine");
    EXPECT_EQ(peer.text(peer.read()), "to the engine");
    ASSERT_TRUE(peer.write("to the peer").has_value());
    EXPECT_EQ(peer.receive(), "to the peer");
  }

  std::expected<Need, Error> renegotiate() {
    return peer.call([](TlsEngine& e, CipherOut& out) { return e.renegotiate(out); });
  }
  std::expected<Need, Error> close() {
    return peer.call([](TlsEngine& e, CipherOut& out) { return e.close_notify(out); });
  }

  // finish runs a renegotiation to its end.
  void finish() {
    int code = GNUTLS_E_AGAIN;
    for (int turn = 0; turn < 10 && (code != 0 || engine->facts().handshakes < 2); ++turn) {
      code = code == 0 ? 0 : gnutls_handshake(peer.session());
      const auto step = peer.read();
      ASSERT_TRUE(step.has_value()) << step.error().detail();
    }
    EXPECT_EQ(code, 0);
    EXPECT_EQ(engine->facts().handshakes, 2U);
  }

  std::unique_ptr<TlsEngine> engine;
  RawPeer peer;
};

TEST(GnutlsRawPeer, AWarningIsPassedOver) {
  Joined joined(Role::server);
  ASSERT_EQ(gnutls_alert_send(joined.peer.session(), GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED), 0);
  const auto step = joined.peer.read();
  ASSERT_TRUE(step.has_value()) << step.error().detail();
  EXPECT_EQ(step->need, Need::input);
  joined.echo();
}

TEST(GnutlsRawPeer, AWarningWithinTheFirstHandshakeIsPassedOver) {
  const auto engine = Joined::make(Role::server, true, TlsVersion::tls12);
  RawPeer peer(*engine, GNUTLS_CLIENT, tls12);
  EXPECT_EQ(gnutls_handshake(peer.session()), GNUTLS_E_AGAIN);
  const auto handshake = [](TlsEngine& e, CipherOut& out) { return e.handshake(out); };
  EXPECT_EQ(peer.call(handshake), Need::input);
  ASSERT_EQ(gnutls_alert_send(peer.session(), GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED), 0);
  EXPECT_EQ(peer.call(handshake), Need::input);
  EXPECT_EQ(peer.handshake(), 0);
}

TEST(GnutlsRawPeer, ACloseWithinTheFirstHandshakeIsAFailure) {
  const auto engine = Joined::make(Role::server, true, TlsVersion::tls12);
  RawPeer peer(*engine, GNUTLS_CLIENT, tls12);
  EXPECT_EQ(gnutls_handshake(peer.session()), GNUTLS_E_AGAIN);
  EXPECT_EQ(peer.call([](TlsEngine& e, CipherOut& out) { return e.handshake(out); }), Need::input);
  ASSERT_EQ(gnutls_alert_send(peer.session(), GNUTLS_AL_WARNING, GNUTLS_A_CLOSE_NOTIFY), 0);
  const std::size_t before = peer.unread();
  const auto need = peer.call([](TlsEngine& e, CipherOut& out) { return e.handshake(out); });
  ASSERT_FALSE(need.has_value());
  EXPECT_EQ(need.error().code(), Code::handshake_failed);
  EXPECT_EQ(peer.unread(), before) << "the peer has gone: no alert";
}

TEST(GnutlsRawPeer, ARefusedRenegotiationLeavesTheConnectionAsItWas) {
  {
    SCOPED_TRACE("the engine is the client and refuses");
    Joined joined(Role::client, false);
    ASSERT_EQ(gnutls_rehandshake(joined.peer.session()), 0);
    EXPECT_EQ(joined.peer.read()->need, Need::input);
    EXPECT_EQ(joined.peer.receive(), "GNUTLS_E_WARNING_ALERT_RECEIVED");
    EXPECT_EQ(gnutls_alert_get(joined.peer.session()), GNUTLS_A_NO_RENEGOTIATION);
    joined.echo();
  }
  {
    SCOPED_TRACE("the engine is the server and refuses");
    Joined joined(Role::server, false);
    ASSERT_EQ(gnutls_handshake(joined.peer.session()), GNUTLS_E_AGAIN);
    EXPECT_EQ(joined.peer.read()->need, Need::input);
    EXPECT_EQ(gnutls_handshake(joined.peer.session()), GNUTLS_E_WARNING_ALERT_RECEIVED);
    EXPECT_EQ(gnutls_alert_get(joined.peer.session()), GNUTLS_A_NO_RENEGOTIATION);
    joined.echo();
    EXPECT_EQ(joined.engine->facts().handshakes, 1U);
  }
  for (const Role role : {Role::client, Role::server}) {
    SCOPED_TRACE(role == Role::client ? "the engine is the client and is refused" : "the server, and is refused");
    Joined joined(role);
    for (int again = 0; again < 2; ++again) {
      ASSERT_EQ(joined.renegotiate(), Need::nothing);
      EXPECT_EQ(joined.renegotiate().error().code(), Code::invalid_state);
      EXPECT_EQ(joined.peer.receive(), "GNUTLS_E_REHANDSHAKE");
      if (role == Role::client) {
        EXPECT_EQ(joined.peer.write("x")->need, Need::input);
        EXPECT_EQ(joined.peer.receive(), "GNUTLS_E_UNEXPECTED_PACKET") << "the ClientHello is thrown away";
      }
      ASSERT_EQ(gnutls_alert_send(joined.peer.session(), GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION), 0);
      EXPECT_EQ(joined.peer.read()->need, Need::input);
      joined.echo();
    }
    EXPECT_EQ(joined.engine->facts().handshakes, 1U);
  }
}

// pjproject#4919: data of the peer that comes between the hellos. gnutls_handshake() alone would begin anew.
TEST(GnutlsRawPeer, DataBetweenTheHellosIsDelivered) {
  {
    SCOPED_TRACE("the engine is the client");
    Joined joined(Role::client);
    ASSERT_EQ(joined.renegotiate(), Need::nothing);
    joined.peer.send("before the ServerHello");
    EXPECT_EQ(joined.peer.text(joined.peer.read()), "before the ServerHello");
    EXPECT_EQ(joined.peer.receive(), "GNUTLS_E_REHANDSHAKE");
    joined.finish();
    joined.echo();
  }
  {
    SCOPED_TRACE("the engine is the server");
    Joined joined(Role::server);
    EXPECT_EQ(joined.renegotiate(), Need::nothing);
    EXPECT_EQ(joined.peer.receive(), "GNUTLS_E_REHANDSHAKE");
    joined.peer.send("before the ClientHello");
    EXPECT_EQ(gnutls_handshake(joined.peer.session()), GNUTLS_E_AGAIN);
    joined.peer.send("behind the ClientHello");
    EXPECT_EQ(joined.peer.text(joined.peer.read()), "before the ClientHello");
    EXPECT_EQ(joined.peer.text(joined.peer.read()), "behind the ClientHello");
    joined.finish();
    joined.echo();
  }
}

TEST(GnutlsRawPeer, DataThatTheLibraryHoldsIsReadBeforeARenegotiationBegins) {
  Joined joined(Role::client);
  joined.peer.send("0123456789");
  std::array<std::uint8_t, 4> four{};
  const auto read = [&four](TlsEngine& e, CipherOut& out) { return e.read(four, out); };
  EXPECT_EQ(joined.peer.call(read)->bytes, 4U);
  EXPECT_TRUE(joined.engine->readable());
  const std::size_t before = joined.peer.unread();
  ASSERT_EQ(joined.renegotiate(), Need::nothing);
  EXPECT_EQ(joined.peer.unread(), before) << "it begins when the data has been read";
  EXPECT_EQ(joined.peer.call(read)->bytes, 4U);
  EXPECT_EQ(joined.peer.call(read)->bytes, 2U);
  EXPECT_EQ(joined.peer.read()->need, Need::input);
  EXPECT_GT(joined.peer.unread(), before);
  EXPECT_EQ(joined.peer.receive(), "GNUTLS_E_REHANDSHAKE");
  joined.finish();
  joined.echo();
}

TEST(GnutlsRawPeer, ACloseWithinARenegotiationIsACleanEnd) {
  Joined joined(Role::server);
  EXPECT_EQ(gnutls_handshake(joined.peer.session()), GNUTLS_E_AGAIN);
  EXPECT_EQ(joined.peer.read()->need, Need::input);
  EXPECT_EQ(joined.close().error().code(), Code::invalid_state);
  ASSERT_EQ(gnutls_alert_send(joined.peer.session(), GNUTLS_AL_WARNING, GNUTLS_A_CLOSE_NOTIFY), 0);
  EXPECT_TRUE(joined.peer.read()->end);
  EXPECT_EQ(joined.peer.write("x").error().code(), Code::handshake_failed);
  EXPECT_TRUE(joined.peer.read()->end);
}

TEST(GnutlsRawPeer, AWarningWithinARenegotiationIsPassedOver) {
  Joined joined(Role::server);
  EXPECT_EQ(gnutls_handshake(joined.peer.session()), GNUTLS_E_AGAIN);
  EXPECT_EQ(joined.peer.read()->need, Need::input);
  ASSERT_EQ(gnutls_alert_send(joined.peer.session(), GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED), 0);
  EXPECT_EQ(joined.peer.read()->need, Need::input);
  joined.finish();
  joined.echo();
}

TEST(GnutlsRawPeer, NothingFollowsOurCloseNotify) {
  for (const Role role : {Role::client, Role::server}) {
    Joined joined(role);
    ASSERT_EQ(joined.close(), Need::nothing);
    const std::size_t before = joined.peer.unread();
    if (role == Role::client) {
      ASSERT_EQ(gnutls_rehandshake(joined.peer.session()), 0);
    } else {
      // The peer has not read our alert yet, and starts.
      ASSERT_NE(gnutls_handshake(joined.peer.session()), 0);
    }
    const std::size_t taken = joined.peer.unread();
    EXPECT_LE(taken, before);
    const auto step = joined.peer.read();
    ASSERT_TRUE(step.has_value()) << step.error().detail();
    EXPECT_EQ(step->need, Need::input);
    EXPECT_EQ(joined.peer.unread(), taken) << "an answer behind close_notify";
    EXPECT_EQ(joined.renegotiate().error().code(), Code::invalid_state);
  }
  {
    Joined joined(Role::server, false, TlsVersion::tls13);
    ASSERT_EQ(joined.close(), Need::nothing);
    const auto keys = joined.peer.call([](TlsEngine& e, CipherOut& out) { return e.update_keys(out); });
    EXPECT_EQ(keys.error().code(), Code::invalid_state);
    const std::size_t before = joined.peer.unread();
    ASSERT_EQ(gnutls_session_key_update(joined.peer.session(), GNUTLS_KU_PEER), 0);
    EXPECT_EQ(joined.peer.read()->need, Need::input);
    EXPECT_EQ(joined.peer.unread(), before) << "an answer behind close_notify";
    EXPECT_EQ(joined.engine->facts().key_updates_in, 1U);
  }
}

// The first fatal alert of the peer is the engine's last word; its own alert would reach nobody.
TEST(GnutlsRawPeer, AFatalAlertIsNamed) {
  for (const TlsVersion version : {TlsVersion::tls12, TlsVersion::tls13}) {
    Joined joined(Role::server, true, version);
    ASSERT_EQ(gnutls_alert_send(joined.peer.session(), GNUTLS_AL_FATAL, GNUTLS_A_BAD_RECORD_MAC), 0);
    const std::size_t before = joined.peer.unread();
    const auto step = joined.peer.read();
    ASSERT_FALSE(step.has_value());
    EXPECT_EQ(step.error().code(), Code::peer_alert);
    EXPECT_EQ(step.error().detail(), "the peer sent the fatal alert bad_record_mac (20)");
    EXPECT_EQ(joined.peer.unread(), before);
  }
}

TEST(GnutlsRawPeer, RenegotiationNeedsAPeerThatKnowsTheSecureOne) {
  const auto engine = Joined::make(Role::client, true, TlsVersion::tls12);
  RawPeer peer(*engine, GNUTLS_SERVER, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK:%DISABLE_SAFE_RENEGOTIATION");
  ASSERT_EQ(peer.handshake(), 0);
  const auto need = peer.call([](TlsEngine& e, CipherOut& out) { return e.renegotiate(out); });
  ASSERT_FALSE(need.has_value());
  EXPECT_EQ(need.error().code(), Code::unsupported);
}

}  // namespace
}  // namespace rig
