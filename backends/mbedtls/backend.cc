#include <array>

#include "backends/mbedtls/context.h"
#include "backends/mbedtls/library.h"
#include "harness/engine/backend.h"

#if defined(MBEDTLS_USE_PSA_CRYPTO)
#include <psa/crypto.h>

#include <mutex>
#endif

namespace rig {
namespace {

// use_library does the process-wide initialisation, which only builds over PSA have. It must come before any thread.
void use_library() {
#if defined(MBEDTLS_USE_PSA_CRYPTO)
  static std::once_flag once;
  std::call_once(once, [] { psa_crypto_init(); });
#endif
}

class MbedtlsBackend final : public Backend {
 public:
  std::string_view name() const noexcept override { return "mbedtls"; }

  std::string runtime_version() const override {
    std::array<char, 18> text{};  // the size that the library asks for
    mbedtls_version_get_string_full(text.data());
    return text.data();
  }

  const Capabilities& capabilities() const noexcept override {
    static constexpr Capabilities capabilities{
        .tls12 = true,
        .tls13 = false,
        .certificates = true,
        .psk = true,
        .alpn = true,
        .resumption = true,
        .key_log = true,
        .close_notify = true,
        .update_keys = false,
        .renegotiate_as_client = true,
        .renegotiate_as_server = true,
        // Held by tests/engine_test.cc: both sides write without pause while either side renegotiates.
        .renegotiate_in_flight = true,
    };
    return capabilities;
  }

  std::expected<std::shared_ptr<const Context>, Error> make_context(const ContextConfig& config) override {
    use_library();
    return mbedtls::MbedtlsContext::make(config);
  }
};

}  // namespace

Backend& mbedtls_backend() {
  static MbedtlsBackend backend;
  return backend;
}

}  // namespace rig
