// Peers: the contexts, engines and pairs that the tests of this folder start from.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "harness/engine/backend.h"
#include "harness/engine/identities.h"
#include "harness/engine/pair.h"

namespace rig {

Backend& mbedtls_backend();

namespace test {

// The configurations of TLS 1.2, which every version of the library has. tls13_test.cc asks for the other.
inline ContextConfig psk_config(Role role) {
  ContextConfig config;
  config.version_max = TlsVersion::tls12;
  config.role = role;
  config.psk = test_psk();
  return config;
}

inline ContextConfig server_config(Identity identity = Identity::server) {
  ContextConfig config;
  config.version_max = TlsVersion::tls12;
  config.role = Role::server;
  config.credentials = credentials(identity);
  return config;
}

inline ContextConfig client_config() {
  ContextConfig config;
  config.version_max = TlsVersion::tls12;
  config.ca_pem = ca_pem();
  return config;
}

inline std::shared_ptr<const Context> context_of(const ContextConfig& config) {
  auto context = mbedtls_backend().make_context(config);
  EXPECT_TRUE(context.has_value()) << context.error().detail();
  return *context;
}

inline Error refusal_of(const ContextConfig& config) {
  auto context = mbedtls_backend().make_context(config);
  EXPECT_FALSE(context.has_value());
  return context.has_value() ? Error(Code::internal, "was not refused") : context.error();
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
inline EnginePair psk_pair(const PairKnobs& knobs = {}) {
  ContextConfig client = psk_config(Role::client);
  ContextConfig server = psk_config(Role::server);
  client.allow_renegotiation = server.allow_renegotiation = true;
  return pair_of(client, server, knobs);
}

#define RIG_EXPECT_DONE(run)                               \
  do {                                                     \
    const PairOutcome rig_outcome = (run);                 \
    EXPECT_TRUE(rig_outcome.done()) << rig_outcome.detail; \
  } while (false)

}  // namespace test
}  // namespace rig
