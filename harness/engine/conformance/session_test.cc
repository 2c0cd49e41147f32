// Sessions: where a backend declares resumption it works, and a session proves no more than was checked when it was
// made.
#include <algorithm>

#include "harness/engine/conformance/kit.h"

namespace rig::conformance {
namespace {

// A session that is no whole one is refused in words, or taken for none: it is no reason to fail, or to fail at.
void expect_harmless(const Contexts& contexts, const EngineConfig& config) {
  const auto engine = contexts.client->make_engine(config);
  if (!engine.has_value()) {
    EXPECT_EQ(code_of(engine), Code::invalid_argument);
    expect_words(engine.error());
    return;
  }
  EnginePair pair = contexts.connect(config);
  require_done(pair.run_handshake(), "a handshake with a session that is no whole one");
  expect_traffic(pair, 1);
}

void cut_sessions(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  EnginePair first = contexts.connect(config);
  EXPECT_EQ(first.engine(Side::client).session().value_or(Bytes(1)), Bytes()) << "before the handshake there is none";
  require_done(first.run_handshake(), "the first handshake");
  expect_traffic(first, 100);
  settle(first);
  const Bytes session = must(first.engine(Side::client).session(), "the session");
  const std::size_t stride = std::max<std::size_t>(session.size() / 50, 1);
  for (std::size_t bytes = 1; bytes < session.size(); bytes += bytes < 16 ? 1 : stride) {
    SCOPED_TRACE("the first " + std::to_string(bytes) + " of " + std::to_string(session.size()) + " bytes");
    config.resume.assign(session.begin(), session.begin() + static_cast<std::ptrdiff_t>(bytes));
    expect_harmless(contexts, config);
  }
  config.resume = session;
  config.resume.push_back(0);
  expect_harmless(contexts, config);
}

void resumption(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  Bytes session;
  {
    EnginePair first = contexts.connect(config);
    require_done(first.run_handshake(), "the first handshake");
    EXPECT_EQ(code_of(first.engine(Side::server).session()).has_value(), true) << "sessions are the client's";
    expect_traffic(first, 100);
    settle(first);
    session = must(first.engine(Side::client).session(), "the session");
    EXPECT_FALSE(first.engine(Side::client).facts().resumed);
    EXPECT_FALSE(first.engine(Side::server).facts().resumed);
    expect_done(first.run_close());
  }
  ASSERT_FALSE(session.empty());
  for (int again = 0; again < 2; ++again) {
    config.resume = session;
    EnginePair second = contexts.connect(config);
    require_done(second.run_handshake(), "the resumed handshake");
    EXPECT_TRUE(second.engine(Side::client).facts().resumed);
    EXPECT_TRUE(second.engine(Side::server).facts().resumed);
    EXPECT_EQ(second.engine(Side::client).facts().version, cell.version);
    expect_traffic(second, 100);
    settle(second);
    session = must(second.engine(Side::client).session(), "the next session");
    ASSERT_FALSE(session.empty());
    expect_done(second.run_close());
  }
  // A server that does not know the session makes a full handshake of it.
  const Contexts strangers = make_contexts(cell, default_setup(cell));
  EnginePair third = strangers.connect(config);
  require_done(third.run_handshake(), "a session that the server does not know");
  EXPECT_FALSE(third.engine(Side::client).facts().resumed);
  EXPECT_FALSE(third.engine(Side::server).facts().resumed);
  EXPECT_TRUE(third.engine(Side::client).facts().peer_verified);
  expect_traffic(third, 100);
}

// without_tickets has them switched off on one side at least: that is enough for a full handshake every time.
void without_tickets(const Cell& cell, bool clients, bool servers) {
  SCOPED_TRACE(clients ? "the client takes tickets" : servers ? "the server gives tickets" : "nobody wants tickets");
  Setup setup = default_setup(cell);
  setup.client.session_tickets = clients;
  setup.server.session_tickets = servers;
  const Contexts contexts = make_contexts(cell, setup);
  EnginePair first = contexts.connect(setup.connect);
  require_done(first.run_handshake(), "the first handshake");
  expect_traffic(first, 100);
  settle(first);
  setup.connect.resume = must(first.engine(Side::client).session(), "the session");
  // A client that would resume may have kept the id of a session of TLS 1.2, which the server does not know.
  EXPECT_TRUE(clients || setup.connect.resume.empty());
  EnginePair second = contexts.connect(setup.connect);
  require_done(second.run_handshake(), "the second handshake");
  EXPECT_FALSE(second.engine(Side::server).facts().resumed);
}

void resumption_switched_off(const Cell& cell) {
  without_tickets(cell, false, false);
  without_tickets(cell, true, false);
  without_tickets(cell, false, true);
}

void unreadable_session_is_invalid(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  config.resume = {1, 2, 3};
  EXPECT_EQ(code_of(contexts.client->make_engine(config)), Code::invalid_argument);
}

// session_for connects as `config` says, and answers the session that the client may come again with.
Bytes session_for(const Contexts& contexts, const EngineConfig& config) {
  EnginePair pair = contexts.connect(config);
  require_done(pair.run_handshake(), "the handshake of the session");
  expect_traffic(pair, 100);
  settle(pair);
  Bytes session = must(pair.engine(Side::client).session(), "the session");
  EXPECT_FALSE(session.empty());
  return session;
}

// expect_refused expects that a client does not take its peer for the one that was asked for: neither with the session
// nor without it.
void expect_refused(const Contexts& contexts, EngineConfig config, const Bytes& session) {
  for (const bool with_session : {true, false}) {
    SCOPED_TRACE(with_session ? "with the session" : "without the session");
    config.resume = with_session ? session : Bytes();
    EnginePair pair = contexts.connect(config);
    EXPECT_EQ(pair.run_handshake().kind, PairOutcome::Kind::failed);
    expect_failure(pair, Side::client, {Code::verification_failed});
    EXPECT_FALSE(pair.end(Side::client).handshake_done);
    EXPECT_FALSE(pair.engine(Side::client).facts().peer_verified);
  }
}

// a_session_is_for_its_host: what was checked for one name stands for no other. Source: RFC 8446, section 4.6.1.
void a_session_is_for_its_host(const Cell& cell) {
  const Contexts contexts = make_contexts(cell, default_setup(cell));
  EngineConfig config;
  config.host = "localhost";
  config.resume = session_for(contexts, config);
  config.host = "tlsrig.test";  // another name of the same certificate
  EnginePair pair = contexts.connect(config);
  require_done(pair.run_handshake(), "the handshake under another name of the peer");
  EXPECT_TRUE(pair.engine(Side::client).facts().peer_verified);
  expect_traffic(pair, 100);

  config.host = "elsewhere.test";
  expect_refused(contexts, config, config.resume);
  config.host = "127.0.0.2";
  expect_refused(contexts, config, config.resume);
}

// a_session_that_nobody_checked is worth nothing to a client that checks.
void a_session_that_nobody_checked(const Cell& cell) {
  Setup setup = default_setup(cell);
  setup.server.credentials = credentials(Identity::untrusted);
  const Contexts checking = make_contexts(cell, setup);
  setup.client.peer_check = PeerCheck::none;
  const Contexts careless = {.client = make_contexts(cell, setup).client, .server = checking.server};
  EngineConfig config;
  config.host = "localhost";
  expect_refused(checking, config, session_for(careless, config));
}

}  // namespace

void register_session_tests() {
  std::vector<Cell> list = able(cells(Auth::certificate), &Capabilities::resumption);
  add_cell_test("resumption", list, resumption);
  add_cell_test("cut_sessions", list, cut_sessions);
  add_cell_test("resumption_switched_off", list, resumption_switched_off);
  add_cell_test("unreadable_session_is_invalid", list, unreadable_session_is_invalid);
  add_cell_test("a_session_is_for_its_host", list, a_session_is_for_its_host);
  add_cell_test("a_session_that_nobody_checked", list, a_session_that_nobody_checked);
}

}  // namespace rig::conformance
