#include "harness/engine/backend.h"

#include <mutex>

#include "backends/openssl/context.h"
#include "backends/openssl/library.h"

namespace rig {
namespace {

// use_library does the process-wide initialisation. The library must not tear itself down at exit either: engines of
// threads that still run, or of static objects, would be left with nothing below them.
void use_library() {
  static std::once_flag once;
  std::call_once(once, [] { OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr); });
}

class OpensslBackend final : public Backend {
 public:
  std::string_view name() const noexcept override { return "openssl"; }

  std::string runtime_version() const override {
    return std::string("OpenSSL ") + OpenSSL_version(OPENSSL_FULL_VERSION_STRING);
  }

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
    const openssl::Ambient ambient;
    use_library();
    return openssl::OpensslContext::make(config);
  }
};

}  // namespace

Backend& openssl_backend() {
  static OpensslBackend backend;
  return backend;
}

}  // namespace rig
