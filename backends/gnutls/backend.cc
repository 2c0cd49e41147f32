#include "harness/engine/backend.h"
#include "backends/gnutls/context.h"
#include "backends/gnutls/library.h"

namespace rig {
namespace {

// The library initialises itself when it is loaded, and counts. Nothing here undoes it: to do so per socket broke the
// others (pjproject#4909).
class GnutlsBackend final : public Backend {
 public:
  std::string_view name() const noexcept override { return "gnutls"; }

  std::string runtime_version() const override { return std::string("GnuTLS ") + gnutls_check_version(nullptr); }

  const Capabilities& capabilities() const noexcept override {
    static constexpr Capabilities capabilities{
        .tls12 = true,
        .tls13 = true,
        .certificates = true,
        .psk = true,
        .alpn = true,
        .resumption = true,
        .key_log = true,
        .close_notify = true,
        .update_keys = true,
        .renegotiate_as_client = true,
        .renegotiate_as_server = true,
        .renegotiate_in_flight = true,
    };
    return capabilities;
  }

  std::expected<std::shared_ptr<const Context>, Error> make_context(const ContextConfig& config) override {
    return gnutls::GnutlsContext::make(config);
  }
};

}  // namespace

Backend& gnutls_backend() {
  static GnutlsBackend backend;
  return backend;
}

}  // namespace rig
