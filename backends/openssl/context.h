// OpensslContext: one SSL_CTX, with the settings and credentials that engines share. Private to this folder.
#pragma once

#include <expected>
#include <memory>

#include "backends/openssl/library.h"
#include "harness/engine/backend.h"

namespace rig::openssl {

// OpensslContext is the Context of this backend. Thread: any, as Context; the SSL_CTX is not changed once it is made.
class OpensslContext final : public Context, public std::enable_shared_from_this<OpensslContext> {
 public:
  // make checks `config` and loads it once. Errors: as Backend::make_context.
  static std::expected<std::shared_ptr<const Context>, Error> make(const ContextConfig& config);

  std::expected<std::unique_ptr<TlsEngine>, Error> make_engine(const EngineConfig& config) const override;

  // config is what the context was made from, with peer_check set.
  const ContextConfig& config() const noexcept { return config_; }
  bool client() const noexcept { return config_.role == Role::client; }
  bool psk() const noexcept { return config_.psk.has_value(); }
  // verifies is true if engines demand something of the peer's certificate.
  bool verifies() const noexcept { return !psk() && config_.peer_check != PeerCheck::none; }
  // library is the shared SSL_CTX. Owns: the context.
  SSL_CTX* library() const noexcept { return library_.get(); }

  // OpensslContext is made by make() only.
  explicit OpensslContext(const ContextConfig& config);
  ~OpensslContext() override;

 private:
  Status check() const;
  Status set_up();
  Status set_versions();
  void set_options();
  Status set_resumption();
  Status set_alpn();
  Status set_psk();
  Status load_authorities();
  Status load_credentials();

  ContextConfig config_;
  SslContext library_;
};

}  // namespace rig::openssl
