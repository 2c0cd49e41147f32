// Peers: the contexts, engines and pairs that the tests of this folder start from.
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <utility>

#include "harness/engine/backend.h"
#include "harness/engine/identities.h"
#include "harness/engine/pair.h"

namespace rig {

Backend& openssl_backend();

namespace test {

constexpr TlsVersion both_versions[] = {TlsVersion::tls12, TlsVersion::tls13};
constexpr Side both_sides[] = {Side::client, Side::server};

inline ContextConfig psk_config(Role role, TlsVersion version) {
  ContextConfig config;
  config.role = role;
  config.version_min = config.version_max = version;
  config.psk = test_psk();
  config.allow_renegotiation = true;
  return config;
}

inline ContextConfig server_config(TlsVersion version) {
  ContextConfig config;
  config.role = Role::server;
  config.version_min = config.version_max = version;
  config.credentials = credentials(Identity::server);
  return config;
}

inline ContextConfig client_config(TlsVersion version) {
  ContextConfig config;
  config.version_min = config.version_max = version;
  config.ca_pem = ca_pem();
  return config;
}

inline std::shared_ptr<const Context> context_of(const ContextConfig& config) {
  auto context = openssl_backend().make_context(config);
  EXPECT_TRUE(context.has_value()) << context.error().detail();
  return *context;
}

inline std::unique_ptr<TlsEngine> engine_of(const Context& context, const EngineConfig& config = {}) {
  auto engine = context.make_engine(config);
  EXPECT_TRUE(engine.has_value()) << engine.error().detail();
  return std::move(*engine);
}

inline EnginePair pair_of(const ContextConfig& client, const ContextConfig& server, const PairKnobs& knobs = {},
                          const EngineConfig& connection = {.host = "localhost", .resume = {}}) {
  return EnginePair(engine_of(*context_of(client), connection), engine_of(*context_of(server)), knobs);
}

// psk_pair is two engines with a pre-shared key that may renegotiate.
inline EnginePair psk_pair(TlsVersion version, const PairKnobs& knobs = {}) {
  return pair_of(psk_config(Role::client, version), psk_config(Role::server, version), knobs);
}

template <typename Value>
std::optional<Code> code_of(const std::expected<Value, Error>& answer) {
  return answer.has_value() ? std::nullopt : std::optional<Code>(answer.error().code());
}

// settle runs until neither side can go on.
inline void settle(EnginePair& pair) {
  const PairOutcome outcome = pair.run([] { return false; });
  EXPECT_EQ(outcome.kind, PairOutcome::Kind::stalled) << outcome.detail;
}

#define RIG_EXPECT_DONE(run)                               \
  do {                                                     \
    const PairOutcome rig_outcome = (run);                 \
    EXPECT_TRUE(rig_outcome.done()) << rig_outcome.detail; \
  } while (false)

}  // namespace test
}  // namespace rig
