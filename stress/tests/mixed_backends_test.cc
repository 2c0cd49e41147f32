// A build whose TLS libraries are mixed up below the subject: the name openssl stands over the engines of mbedTLS. The
// list of backends is this program's own; it takes the place of the generated one.
#include <gtest/gtest.h>

#include <array>

#include "harness/engine/backend.h"
#include "harness/engine/null_backend.h"
#include "harness/scenario/runner.h"
#include "stress/suite.h"

namespace rig {

Backend& openssl_backend();
Backend& mbedtls_backend();

namespace {

// MixedUp says in all that it is one library, and makes its contexts with another.
class MixedUp final : public Backend {
 public:
  MixedUp(Backend& named, Backend& real) : named_(named), real_(real) {}
  std::string_view name() const noexcept override { return named_.name(); }
  std::string runtime_version() const override { return named_.runtime_version(); }
  const Capabilities& capabilities() const noexcept override { return named_.capabilities(); }
  std::expected<std::shared_ptr<const Context>, Error> make_context(const ContextConfig& config) override {
    return real_.make_context(config);
  }

 private:
  Backend& named_;
  Backend& real_;
};

TEST(MixedBackends, AreSeenByEachCell) {
  for (const char* suite : {"send_load", "plaintext_peer"}) {
    const Verdict verdict = run_scenario(find_suite(suite)->make(Cell{}, Size::tiny, 1));
    EXPECT_EQ(verdict.kind, VerdictKind::fail) << verdict_json(verdict);
    EXPECT_EQ(verdict.reason, "client 0: the cell claims library openssl, really used was mbedtls");
    EXPECT_TRUE(verdict.used.client_library.starts_with("mbed TLS ")) << verdict.used.client_library;
  }
}

}  // namespace

std::span<Backend* const> backends() {
  static MixedUp mixed(openssl_backend(), mbedtls_backend());
  static const auto all = std::to_array<Backend*>({&mixed, &mbedtls_backend(), &null_backend()});
  return all;
}

Backend* find_backend(std::string_view name) {
  for (Backend* backend : backends()) {
    if (backend->name() == name) {
      return backend;
    }
  }
  return nullptr;
}

}  // namespace rig
