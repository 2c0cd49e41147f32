#include <array>

#include "backends/mbedtls/context.h"
#include "backends/mbedtls/library.h"
#include "harness/engine/backend.h"

namespace rig {
namespace {

class MbedtlsBackend final : public Backend {
 public:
  std::string_view name() const noexcept override { return "mbedtls"; }

  std::string runtime_version() const override {
    std::array<char, mbedtls::version_bytes_max> text{};
    mbedtls_version_get_string_full(text.data());
    return text.data();
  }

  const Capabilities& capabilities() const noexcept override {
    static constexpr Capabilities capabilities{
        .tls12 = true,
        .tls13 = mbedtls::has_tls13,
        .certificates = true,
        .psk = true,
        .alpn = true,
        .resumption = true,
        .key_log = true,
        .close_notify = true,
        .update_keys = false,  // 3.6 has no function for it, and ends a connection whose peer sends one
        .renegotiate_as_client = true,
        .renegotiate_as_server = true,
        // Held by tests/engine_test.cc: both sides write without pause while either side renegotiates.
        .renegotiate_in_flight = true,
    };
    return capabilities;
  }

  std::expected<std::shared_ptr<const Context>, Error> make_context(const ContextConfig& config) override {
    RIG_TRY_STATUS(mbedtls::initialise_library());
    return mbedtls::MbedtlsContext::make(config);
  }
};

}  // namespace

Backend& mbedtls_backend() {
  static MbedtlsBackend backend;
  return backend;
}

}  // namespace rig
