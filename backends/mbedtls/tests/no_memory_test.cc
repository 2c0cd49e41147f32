// Running out of memory at each allocation in turn. A binary of its own: it replaces the allocator of the process.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <optional>

#include "backends/mbedtls/library.h"
#include "backends/mbedtls/tests/peers.h"

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

extern "C" void* __libc_calloc(size_t count, size_t size);

// The library allocates through calloc only, the engine through operator new only.
extern "C" void* calloc(size_t count, size_t size) noexcept {
  return may_allocate() ? __libc_calloc(count, size) : nullptr;
}

void* operator new(std::size_t size) {
  void* const block = may_allocate() ? std::malloc(size) : nullptr;
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  return block;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return may_allocate() ? std::malloc(size) : nullptr;
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  std::free(block);
}
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}

namespace rig {
namespace {

// Starved lets `count` allocations succeed within its scope.
struct Starved {
  explicit Starved(long count) {
    refused = false;
    allowance = count;
  }
  ~Starved() { allowance = -1; }
};

// starve runs `action` with an allowance of 0, 1, 2, ... allocations until it needs no more, and hands each Error that
// comes of it to `check`.
template <typename Action, typename Check>
void starve(Action&& action, Check&& check) {
  for (long count = 0; count < 100000; ++count) {
    std::optional<Error> error;
    {
      const Starved starved(count);
      error = action();
    }
    if (!refused) {
      EXPECT_FALSE(error.has_value()) << error->detail();
      EXPECT_GT(count, 0);
      return;
    }
    if (error.has_value()) {
      check(*error, count);
    }
  }
  FAIL() << "the action never had enough memory";
}

// is_misnamed is true for what 3.6 calls a want of memory by another name: entropy that it could not gather, also where
// it starts, and a message of the handshake that it could not parse.
bool is_misnamed(const Error& error) {
  const auto says = [&error](std::string_view words) { return error.detail().find(words) != std::string_view::npos; };
  const bool entropy = says("entropy source failed") || says("cannot start its cryptography");
  return mbedtls::has_tls13 && ((entropy && error.code() == Code::internal) ||
                                (says("could not be parsed") && error.code() == Code::protocol));
}

void expect_no_memory(const Error& error, long count) {
  EXPECT_TRUE(error.code() == Code::no_memory || is_misnamed(error))
      << code_name(error.code()) << ": " << error.detail() << " after " << count;
}

// The library calls an allocation that fails while it reads a key "invalid key".
void expect_no_memory_or_unreadable(const Error& error, long count) {
  if (error.code() != Code::invalid_argument) {
    expect_no_memory(error, count);
  }
}

// The library does not ask whether the hashes over a handshake could be computed; its Finished is wrong then. And an
// RSA operation that ran out of memory half way can look like a wrong result to the library's own check of it.
void expect_no_memory_or_bad_result(const Error& error, long count) {
  const auto says = [&error](std::string_view words) { return error.detail().find(words) != std::string_view::npos; };
  const bool bad_result = says("decrypt_error") || says("RSA - The PKCS#1 verification failed");
  if (!bad_result || (error.code() != Code::handshake_failed && error.code() != Code::peer_alert)) {
    expect_no_memory(error, count);
  }
}

TEST(MbedtlsNoMemory, MakingAContext) {
  for (const ContextConfig& config : {test::server_config(), test::client_config(), test::psk_config(Role::server)}) {
    starve(
        [&]() -> std::optional<Error> {
          auto context = mbedtls_backend().make_context(config);
          return context.has_value() ? std::nullopt : std::optional(context.error());
        },
        expect_no_memory_or_unreadable);
  }
}

TEST(MbedtlsNoMemory, MakingAnEngine) {
  const auto server = test::context_of(test::server_config());
  const auto client = test::context_of(test::client_config());
  EnginePair first(test::engine_of(*client, {.host = "localhost", .resume = {}}), test::engine_of(*server));
  RIG_EXPECT_DONE(first.run_handshake());
  const EngineConfig config{.host = "localhost", .resume = *first.engine(Side::client).session()};
  starve(
      [&]() -> std::optional<Error> {
        auto engine = client->make_engine(config);
        return engine.has_value() ? std::nullopt : std::optional(engine.error());
      },
      expect_no_memory_or_unreadable);
}

// long_host is a name of the server's certificate that no string holds in place.
constexpr const char* long_host = "a-name-that-needs-an-allocation.wild.test";

// starved_handshake runs a handshake in which each verb of `tested` has `count` allocations. Its error, if there was
// one.
std::optional<Error> starved_handshake(TlsEngine& tested, TlsEngine& peer, long count, bool& was_refused) {
  for (int turn = 0; turn < 10; ++turn) {
    Bytes storage(65536);
    CipherOut out(storage);
    std::expected<Need, Error> need = Need::input;
    {
      const Starved starved(count);
      need = tested.handshake(out);
      was_refused = was_refused || refused;
    }
    if (!need.has_value()) {
      return need.error();
    }
    if (*need == Need::nothing) {
      break;
    }
    Bytes answer_storage(65536);
    CipherOut answer(answer_storage);
    EXPECT_TRUE(peer.feed(out.bytes()).has_value());
    (void)peer.handshake(answer);  // may refuse what it gets; what it says to that goes back
    EXPECT_TRUE(tested.feed(answer.bytes()).has_value());
  }
  return std::nullopt;
}

TEST(MbedtlsNoMemory, WithinAHandshake) {
  for (const bool psk : {true, false}) {
    const auto server = test::context_of(psk ? test::psk_config(Role::server) : test::server_config());
    const auto client = test::context_of(psk ? test::psk_config(Role::client) : test::client_config());
    for (const bool tested_is_client : {true, false}) {
      SCOPED_TRACE(std::string(psk ? "psk" : "certificate") + (tested_is_client ? " client" : " server"));
      bool was_refused = true;
      unsigned failures = 0;
      for (long count = 0; was_refused; count += psk ? 1 : 61) {
        const auto client_engine = test::engine_of(*client, {.host = long_host, .resume = {}});
        const auto server_engine = test::engine_of(*server);
        was_refused = false;
        const auto error = tested_is_client ? starved_handshake(*client_engine, *server_engine, count, was_refused)
                                            : starved_handshake(*server_engine, *client_engine, count, was_refused);
        if (error.has_value()) {
          EXPECT_TRUE(was_refused) << error->detail();
          expect_no_memory_or_bad_result(*error, count);
          ++failures;
        }
      }
      EXPECT_GT(failures, 3U);
    }
  }
}

TEST(MbedtlsNoMemory, WithinTheVerbsOfAConnection) {
  for (const bool export_session : {true, false}) {
    const auto server = test::context_of(test::server_config());
    const auto client = test::context_of(test::client_config());
    unsigned failures = 0;
    bool was_refused = true;
    for (long count = 0; was_refused; ++count) {
      EnginePair pair(test::engine_of(*client, {.host = "localhost", .resume = {}}), test::engine_of(*server));
      RIG_EXPECT_DONE(pair.run_handshake());
      TlsEngine& engine = pair.engine(Side::client);
      const Bytes cipher(100000, 1);
      Status status;
      {
        const Starved starved(count);
        if (export_session) {
          if (const auto session = engine.session(); !session.has_value()) {
            status = std::unexpected(session.error());
          }
        } else {
          status = engine.feed(cipher);
        }
        was_refused = refused;
      }
      EXPECT_EQ(status.has_value(), !was_refused);
      if (!status.has_value()) {
        ++failures;
        expect_no_memory(status.error(), count);
        EXPECT_EQ(engine.feed(cipher).error().code(), Code::no_memory) << "it is the engine's last word";
      }
    }
    EXPECT_GT(failures, 0U);
  }
}

}  // namespace
}  // namespace rig
