// The error queue and errno of the thread: what is planted there changes nothing, and nothing is left there.
#include <array>
#include <cerrno>
#include <functional>

#include "backends/openssl/tests/peers.h"

namespace rig {
namespace {

using namespace test;

constexpr int planted_errno = EDOM;

void plant() {
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_WRITE_RETRY);
  errno = planted_errno;
}

void expect_clean(const char* what) {
  EXPECT_EQ(errno, planted_errno) << what << " changed errno";
  EXPECT_EQ(ERR_peek_error(), 0U) << what << " left something in the queue";
}

// planted runs `verb` over a stranger's entry and hands back its answer.
template <typename Verb>
auto planted(const char* what, Verb&& verb) {
  plant();
  auto answer = verb();
  expect_clean(what);
  return answer;
}

TEST(OpensslHygiene, AStrangersEntryTurnsNoWouldBlockIntoAFailure) {
  for (const TlsVersion version : both_versions) {
    EnginePair pair = psk_pair(version);
    for (const Side side : both_sides) {
      const auto need = planted("handshake", [&] {
        return pair.call(side, [](TlsEngine& engine, CipherOut& out) { return engine.handshake(out); });
      });
      ASSERT_TRUE(need.has_value()) << need.error().detail();
      EXPECT_EQ(*need, Need::input);
    }
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    for (const Side side : both_sides) {
      TlsEngine& engine = pair.engine(side);
      Bytes plain(5000, 7);
      const auto read = planted("read", [&] {
        CipherOut out{MutableBytes()};
        return engine.read(MutableBytes(plain), out);
      });
      ASSERT_TRUE(read.has_value()) << read.error().detail();
      EXPECT_EQ(read->need, Need::input);
      const auto write = planted("write", [&] {
        CipherOut out{MutableBytes()};
        return engine.write(position_coded(side, 0, 5000), out);
      });
      ASSERT_TRUE(write.has_value()) << write.error().detail();
      EXPECT_EQ(write->need, Need::room);
      const auto again = planted("write again", [&] {
        return pair.call(side,
                         [&](TlsEngine& e, CipherOut& out) { return e.write(position_coded(side, 0, 5000), out); });
      });
      ASSERT_TRUE(again.has_value()) << again.error().detail();
      EXPECT_EQ(again->accepted, 5000U);
    }
    RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::client).received == 5000; }));
    for (const Side side : both_sides) {
      const auto close = planted("close_notify", [&] {
        return pair.call(side, [](TlsEngine& engine, CipherOut& out) { return engine.close_notify(out); });
      });
      EXPECT_EQ(close, Need::nothing);
    }
    RIG_EXPECT_DONE(pair.run([&] { return pair.end(Side::client).clean_end && pair.end(Side::server).clean_end; }));
  }
}

// Each failure is reported although a stranger's entry lay before it, in words of its own.
TEST(OpensslHygiene, AFailureIsItsOwnAndIsTakenOutOfTheQueue) {
  struct Row {
    const char* what;
    Code code;
    const char* word;
    std::function<void(EnginePair&)> spoil;
  };
  const Row rows[] = {
      {"truncation", Code::truncated, "close_notify",
       [](EnginePair& pair) { pair.engine(Side::server).end_of_input(); }},
      {"garbage", Code::protocol, "",
       [](EnginePair& pair) {
         const Bytes garbage(100, 23);
         EXPECT_TRUE(pair.engine(Side::server).feed(garbage).has_value());
       }},
  };
  for (const TlsVersion version : both_versions) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.what);
      EnginePair pair = psk_pair(version);
      RIG_EXPECT_DONE(pair.run_handshake());
      settle(pair);
      row.spoil(pair);
      Bytes plain(100);
      const auto read = planted("read", [&] {
        return pair.call(Side::server, [&](TlsEngine& e, CipherOut& out) { return e.read(MutableBytes(plain), out); });
      });
      ASSERT_EQ(code_of(read), row.code) << read.error().detail();
      EXPECT_NE(read.error().detail().find(row.word), std::string_view::npos) << read.error().detail();
      EXPECT_EQ(read.error().detail().find("bad write retry"), std::string_view::npos) << "that was the stranger's";
    }
  }
}

TEST(OpensslHygiene, AFailedHandshakeLeavesNothing) {
  for (const TlsVersion version : both_versions) {
    ContextConfig server = server_config(version);
    server.credentials = credentials(Identity::wrong_host);
    EnginePair pair = pair_of(client_config(version), server);
    for (int turn = 0; turn < 20 && !pair.failure(Side::client).has_value(); ++turn) {
      for (const Side side : both_sides) {
        planted("step", [&] { return pair.step(side); });
      }
    }
    ASSERT_TRUE(pair.failure(Side::client).has_value());
    EXPECT_EQ(pair.failure(Side::client)->code(), Code::verification_failed);
    EXPECT_NE(pair.failure(Side::client)->detail().find("localhost"), std::string_view::npos);
  }
}

TEST(OpensslHygiene, ContextsAndEnginesLeaveNothing) {
  ContextConfig config = client_config(TlsVersion::tls13);
  const auto context = planted("make_context", [&] { return openssl_backend().make_context(config); });
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(code_of(planted("make_engine", [&] { return (*context)->make_engine({}); })), Code::invalid_argument);
  EngineConfig connection{.host = "localhost", .resume = {1, 2, 3}};
  EXPECT_EQ(code_of(planted("make_engine", [&] { return (*context)->make_engine(connection); })),
            Code::invalid_argument);
  connection.resume.clear();
  {
    auto engine = planted("make_engine", [&] { return (*context)->make_engine(connection); });
    ASSERT_TRUE(engine.has_value());
    planted("session", [&] { return (*engine)->session(); });
    planted("the end of an engine", [&] {
      engine->reset();
      return 0;
    });
  }
  config.ca_pem += "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n";
  EXPECT_EQ(code_of(planted("make_context", [&] { return openssl_backend().make_context(config); })),
            Code::invalid_argument)
      << "one unreadable trust anchor among readable ones";
  config.ca_pem = ca_pem();
  config.credentials = mismatched_credentials();
  EXPECT_EQ(code_of(planted("make_context", [&] { return openssl_backend().make_context(config); })),
            Code::invalid_argument);
}

// What an oracle shows of an entry that somebody left is all that the reader has to find him by.
TEST(OpensslHygiene, WhoeverLooksIsToldOfTheLatestEntryInWordsAndLeavesIt) {
  const AmbientSource& queue = *openssl_backend().ambient();
  std::array<char, 200> sentence{'-'};
  EXPECT_EQ(queue.peek(sentence.data(), sentence.size()), 0U);
  EXPECT_EQ(sentence[0], '-') << "nothing was left, and something was written";
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_WRITE_RETRY);
  ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
  for (int look = 0; look < 2; ++look) {
    EXPECT_NE(queue.peek(sentence.data(), sentence.size()), 0U);
    EXPECT_NE(std::string(sentence.data()).find("wrong version number"), std::string::npos) << sentence.data();
  }
  std::array<char, 8> few{};
  few.fill('-');
  EXPECT_NE(queue.peek(few.data(), few.size() - 1), 0U);
  EXPECT_EQ(few[6], '\0');
  EXPECT_EQ(few[7], '-');
  queue.clear();
  EXPECT_EQ(ERR_peek_error(), 0U);
}

// The first cause is the answer of every later verb, and the library is not called: nothing appears in the output.
TEST(OpensslHygiene, TheFirstCauseStays) {
  for (const TlsVersion version : both_versions) {
    EnginePair pair = psk_pair(version);
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    TlsEngine& engine = pair.engine(Side::client);
    engine.end_of_input();
    Bytes plain(100);
    Bytes storage(1000);
    CipherOut out{MutableBytes(storage)};
    ASSERT_EQ(code_of(engine.read(MutableBytes(plain), out)), Code::truncated);
    CipherOut after{MutableBytes(storage)};
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(code_of(engine.handshake(after)), Code::truncated);
      EXPECT_EQ(code_of(engine.read(MutableBytes(plain), after)), Code::truncated);
      EXPECT_EQ(code_of(engine.write(plain, after)), Code::truncated);
      EXPECT_EQ(code_of(engine.renegotiate(after)), Code::truncated);
      EXPECT_EQ(code_of(engine.update_keys(after)), Code::truncated);
      EXPECT_EQ(code_of(engine.close_notify(after)), Code::truncated);
      EXPECT_EQ(code_of(engine.feed(plain)), Code::truncated);
      EXPECT_EQ(code_of(engine.session()), Code::truncated);
    }
    EXPECT_EQ(after.size(), 0U);
    EXPECT_FALSE(engine.readable());
    EXPECT_EQ(engine.facts().version, version) << "facts are still there";
  }
}

}  // namespace
}  // namespace rig
