// Peers: the contexts, engines and pairs that the tests of this folder start from.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "harness/engine/backend.h"
#include "harness/engine/identities.h"
#include "harness/engine/pair.h"

namespace rig {

Backend& gnutls_backend();

namespace test {

inline ContextConfig psk_config(Role role, TlsVersion version) {
  ContextConfig config;
  config.role = role;
  config.psk = test_psk();
  config.version_min = config.version_max = version;
  config.allow_renegotiation = true;
  return config;
}

inline ContextConfig server_config(Identity identity = Identity::server) {
  ContextConfig config;
  config.role = Role::server;
  config.credentials = credentials(identity);
  return config;
}

inline ContextConfig client_config() {
  ContextConfig config;
  config.ca_pem = ca_pem();
  return config;
}

inline std::shared_ptr<const Context> context_of(const ContextConfig& config) {
  auto context = gnutls_backend().make_context(config);
  EXPECT_TRUE(context.has_value()) << context.error().detail();
  return *context;
}

inline Error refusal_of(const ContextConfig& config) {
  auto context = gnutls_backend().make_context(config);
  EXPECT_FALSE(context.has_value());
  return context.has_value() ? Error(Code::internal, "was not refused") : context.error();
}

inline std::unique_ptr<TlsEngine> engine_of(const Context& context, const EngineConfig& config = {}) {
  auto engine = context.make_engine(config);
  EXPECT_TRUE(engine.has_value()) << engine.error().detail();
  return std::move(*engine);
}

inline EnginePair pair_of(const ContextConfig& client, const ContextConfig& server, const PairKnobs& knobs = {}) {
  return EnginePair(engine_of(*context_of(client), {.host = "localhost", .resume = {}}), engine_of(*context_of(server)),
                    knobs);
}

// psk_pair is two engines with a pre-shared key that may renegotiate, their handshake done.
inline EnginePair psk_pair(TlsVersion version, const PairKnobs& knobs = {}) {
  EnginePair pair = pair_of(psk_config(Role::client, version), psk_config(Role::server, version), knobs);
  EXPECT_TRUE(pair.run_handshake().done());
  return pair;
}

// settle runs until nothing moves any more.
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
