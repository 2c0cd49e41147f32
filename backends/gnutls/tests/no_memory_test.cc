// Running out of memory at each allocation of ours in turn. A binary of its own: it replaces operator new. The
// library's own allocations are left alone: the arithmetic library below it ends the process when one fails.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <optional>

#include "backends/gnutls/tests/peers.h"

namespace {

// allowance is how many more allocations succeed; negative: all of them.
thread_local long allowance = -1;
thread_local bool refused = false;

bool may_allocate() noexcept {
  if (allowance == 0) {
    refused = true;
    return false;
  }
  allowance -= allowance > 0 ? 1 : 0;
  return true;
}

}  // namespace

void* operator new(std::size_t size) {
  void* const block = may_allocate() ? std::malloc(size) : nullptr;
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  return block;
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}

namespace rig {
namespace {

// starve runs `action` with an allowance of 0, 1, 2, ... allocations until it needs no more, and demands no_memory of
// each failure. It returns how many there were.
template <typename Action>
unsigned starve(Action&& action) {
  unsigned failures = 0;
  for (long count = 0; count < 1000; ++count) {
    std::optional<Error> error;
    refused = false;
    allowance = count;
    error = action();
    allowance = -1;
    if (!refused) {
      EXPECT_FALSE(error.has_value()) << error->detail();
      return failures;
    }
    if (error.has_value()) {
      ++failures;
      EXPECT_EQ(error->code(), Code::no_memory) << error->detail();
    }
  }
  ADD_FAILURE() << "the action never had enough memory";
  return failures;
}

template <typename Value>
std::optional<Error> error_of(const std::expected<Value, Error>& value) {
  return value.has_value() ? std::nullopt : std::optional(value.error());
}

TEST(GnutlsNoMemory, MakingAContext) {
  for (const ContextConfig& config : {test::server_config(), test::client_config()}) {
    EXPECT_GT(starve([&] { return error_of(gnutls_backend().make_context(config)); }), 0U);
  }
}

TEST(GnutlsNoMemory, MakingAnEngine) {
  const auto server = test::context_of(test::server_config());
  const auto client = test::context_of(test::client_config());
  const std::string host = "a-name-that-needs-an-allocation.wild.test";
  EnginePair first(test::engine_of(*client, {.host = host, .resume = {}}), test::engine_of(*server));
  RIG_EXPECT_DONE(first.run_handshake());
  test::settle(first);
  const EngineConfig config{.host = host, .resume = *first.engine(Side::client).session()};
  EXPECT_GT(starve([&] { return error_of(client->make_engine(config)); }), 2U);
}

TEST(GnutlsNoMemory, WithinTheVerbsOfAConnection) {
  const auto server = test::context_of(test::server_config());
  const auto client = test::context_of(test::client_config());
  for (const bool export_session : {true, false}) {
    std::unique_ptr<EnginePair> pair;
    const auto action = [&] {
      const long kept = std::exchange(allowance, -1);
      pair = std::make_unique<EnginePair>(test::engine_of(*client, {.host = "localhost", .resume = {}}),
                                          test::engine_of(*server));
      RIG_EXPECT_DONE(pair->run_handshake());
      test::settle(*pair);
      const Bytes cipher(100000, 1);
      TlsEngine& engine = pair->engine(Side::client);
      refused = false;
      allowance = kept;
      const auto error = export_session ? error_of(engine.session()) : error_of(engine.feed(cipher));
      allowance = -1;
      if (error.has_value()) {
        EXPECT_EQ(engine.feed(cipher).error().detail(), error->detail()) << "it is the engine's last word";
      }
      return error;
    };
    EXPECT_GT(starve(action), 0U);
  }
}

TEST(GnutlsNoMemory, FactsComeWithoutStrings) {
  EnginePair pair = test::pair_of(test::client_config(), test::server_config());
  RIG_EXPECT_DONE(pair.run_handshake());
  allowance = 0;
  const Facts facts = pair.engine(Side::client).facts();
  allowance = -1;
  EXPECT_EQ(facts.cipher, "");
  EXPECT_EQ(facts.handshakes, 1U);
}

TEST(GnutlsNoMemory, WithinTheKeyLog) {
  ContextConfig config = test::psk_config(Role::client, TlsVersion::tls12);
  config.key_log = [](std::string_view) {};
  const auto client = test::context_of(config);
  const auto server = test::context_of(test::psk_config(Role::server, TlsVersion::tls12));
  const auto action = [&]() -> std::optional<Error> {
    const long kept = std::exchange(allowance, -1);
    EnginePair pair(test::engine_of(*client), test::engine_of(*server));
    pair.step(Side::client);
    pair.step(Side::server);
    refused = false;
    allowance = kept;
    pair.step(Side::client);  // its second flight makes the keys
    allowance = -1;
    return pair.failure(Side::client);
  };
  EXPECT_GT(starve(action), 0U);
}

}  // namespace
}  // namespace rig
