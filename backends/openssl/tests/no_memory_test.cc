// Running out of memory at each allocation in turn. A binary of its own: it replaces the allocators of the process.
#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <optional>

#include "backends/openssl/tests/peers.h"

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

void* library_malloc(std::size_t size, const char*, int) {
  return may_allocate() ? std::malloc(size) : nullptr;
}
void* library_realloc(void* block, std::size_t size, const char*, int) {
  return may_allocate() ? std::realloc(block, size) : nullptr;
}
void library_free(void* block, const char*, int) {
  std::free(block);
}

}  // namespace

// The library allocates through these functions, the engine through operator new.
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

using namespace test;

const bool installed = CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free) == 1;

// Starved lets `count` allocations succeed within its scope.
struct Starved {
  explicit Starved(long count) {
    refused = false;
    allowance = count;
  }
  ~Starved() { allowance = -1; }
};

// starve runs `action` with an allowance of 0, 1, 2, ... allocations until it needs no more. Each failure must be in
// words and leave nothing in the error queue. It returns how many there were.
template <typename Action>
unsigned starve(Action&& action, std::initializer_list<Code> allowed) {
  unsigned failures = 0;
  for (long count = 0; count < 100'000; count += 1 + count / 40) {  // thinner where there are thousands
    std::optional<Error> error;
    {
      const Starved starved(count);
      error = action();
    }
    EXPECT_EQ(ERR_peek_error(), 0U) << "after " << count;
    if (error.has_value()) {
      ++failures;
      EXPECT_TRUE(std::ranges::find(allowed, error->code()) != allowed.end())
          << code_name(error->code()) << ": " << error->detail() << " after " << count;
    }
    if (!refused) {
      EXPECT_FALSE(error.has_value());
      return failures;
    }
  }
  ADD_FAILURE() << "the action never had enough memory";
  return failures;
}

template <typename Value>
std::optional<Error> error_of(const std::expected<Value, Error>& answer) {
  return answer.has_value() ? std::nullopt : std::optional(answer.error());
}

// The library loads its algorithms at first use, and what could not be loaded then is missing for good: that is no
// matter of an engine. So each kind of connection is made once with memory.
struct OpensslNoMemory : testing::Test {
  static void SetUpTestSuite() {
    ASSERT_TRUE(installed) << "the library has allocated before";
    for (const TlsVersion version : both_versions) {
      RIG_EXPECT_DONE(psk_pair(version).run_handshake());
      RIG_EXPECT_DONE(pair_of(client_config(version), server_config(version)).run_handshake());
    }
  }
};

TEST_F(OpensslNoMemory, MakingAContextAndAnEngine) {
  for (const TlsVersion version : both_versions) {
    for (const ContextConfig& config :
         {server_config(version), client_config(version), psk_config(Role::server, version)}) {
      // What the library makes of it depends on the place; where it does not say that memory ran out, it calls what it
      // could not load unreadable.
      EXPECT_GT(starve([&] { return error_of(openssl_backend().make_context(config)); },
                       {Code::no_memory, Code::invalid_argument, Code::unsupported}),
                10U);
    }
    const auto client = context_of(client_config(version));
    const auto server = context_of(server_config(version));
    EnginePair pair(engine_of(*client, {.host = "localhost", .resume = {}}), engine_of(*server));
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    const EngineConfig config{.host = "localhost", .resume = *pair.engine(Side::client).session()};
    ASSERT_FALSE(config.resume.empty());
    EXPECT_GT(starve([&] { return error_of(client->make_engine(config)); }, {Code::no_memory, Code::invalid_argument}),
              10U);
  }
}

// Each verb of an established connection, on a connection of its own each time.
template <typename Verb>
void starve_verb(TlsVersion version, Verb&& verb) {
  const auto client = context_of(client_config(version));
  const auto server = context_of(server_config(version));
  unsigned failures = 0;
  bool was_refused = true;
  for (long count = 0; was_refused; ++count) {
    ASSERT_LT(count, 1000);
    EnginePair pair(engine_of(*client, {.host = "localhost", .resume = {}}), engine_of(*server));
    RIG_EXPECT_DONE(pair.run_handshake());
    settle(pair);
    TlsEngine& engine = pair.engine(Side::client);
    std::optional<Error> error;
    {
      const Starved starved(count);
      error = verb(engine);
      was_refused = refused;
    }
    if (error.has_value()) {
      ++failures;
      EXPECT_EQ(error->code(), Code::no_memory) << error->detail();
      Bytes more(10);
      EXPECT_EQ(code_of(engine.feed(more)), Code::no_memory) << "it is the engine's last word";
      EXPECT_EQ(ERR_peek_error(), 0U);
    }
  }
  EXPECT_GT(failures, 0U) << "the situation was not reached";
}

TEST_F(OpensslNoMemory, FeedingExportingAndReadingOverACutWrite) {
  const Bytes cipher(100'000, 1);
  Bytes plain(100);
  for (const TlsVersion version : both_versions) {
    starve_verb(version, [&](TlsEngine& engine) { return error_of(engine.feed(cipher)); });
    starve_verb(version, [&](TlsEngine& engine) { return error_of(engine.session()); });
    starve_verb(version, [&](TlsEngine& engine) -> std::optional<Error> {
      CipherOut none{MutableBytes()};
      if (const auto write = engine.write(cipher, none); !write.has_value()) {
        return write.error();
      }
      return error_of(engine.read(MutableBytes(plain), none));
    });
  }
}

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
    EXPECT_EQ(ERR_peek_error(), 0U);
    if (!need.has_value()) {
      EXPECT_EQ(tested.handshake(out).error().code(), need.error().code()) << "it is the engine's last word";
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

TEST_F(OpensslNoMemory, WithinAHandshake) {
  for (const TlsVersion version : both_versions) {
    for (const bool psk : {true, false}) {
      const auto server = context_of(psk ? psk_config(Role::server, version) : server_config(version));
      const auto client = context_of(psk ? psk_config(Role::client, version) : client_config(version));
      for (const bool tested_is_client : {true, false}) {
        SCOPED_TRACE(std::string(version_name(version)) + (psk ? " psk" : " certificate") +
                     (tested_is_client ? " client" : " server"));
        bool was_refused = true;
        unsigned no_memory = 0;
        unsigned failures = 0;
        for (long count = 0; was_refused; count += psk ? 1 : 17) {
          const auto client_engine = engine_of(*client, {.host = "localhost", .resume = {}});
          const auto server_engine = engine_of(*server);
          was_refused = false;
          const auto error = tested_is_client ? starved_handshake(*client_engine, *server_engine, count, was_refused)
                                              : starved_handshake(*server_engine, *client_engine, count, was_refused);
          if (error.has_value()) {
            EXPECT_TRUE(was_refused) << error->detail();
            ++failures;
            no_memory += error->code() == Code::no_memory ? 1 : 0;
          }
        }
        // The library calls the rest something else: an allocation that failed while it looked for an algorithm, say.
        EXPECT_GT(2 * no_memory, failures);
        EXPECT_GT(failures, 3U);
      }
    }
  }
}

}  // namespace
}  // namespace rig
