#include "harness/engine/backend.h"

#include <mutex>

#include "backends/openssl/context.h"
#include "backends/openssl/library.h"

namespace rig {
namespace {

// use_library does the process-wide initialisation. The library must not tear itself down at exit either: engines of
// threads that still run, or of static objects, would be left with nothing below them. It comes before any other call,
// since even a look into the error queue initialises the library, and then with the tearing down.
void use_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    const int found = errno;
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
    errno = found;
  });
}

std::uint64_t peek_queue(char* sentence, std::uint64_t sentence_bytes) {
  use_library();
  const unsigned long latest = ERR_peek_last_error();
  if (latest != 0) {
    ERR_error_string_n(latest, sentence, sentence_bytes);
  }
  return latest;
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

  const AmbientSource* ambient() const noexcept override {
    static constexpr AmbientSource queue{.name = "OpenSSL error queue", .peek = peek_queue, .clear = ERR_clear_error};
    return &queue;
  }

  std::expected<std::shared_ptr<const Context>, Error> make_context(const ContextConfig& config) override {
    use_library();
    const openssl::Ambient ambient;
    return openssl::OpensslContext::make(config);
  }
};

}  // namespace

Backend& openssl_backend() {
  static OpensslBackend backend;
  return backend;
}

}  // namespace rig
