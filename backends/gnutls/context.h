// GnutlsContext: settings, credentials and priorities that engines share. Private to this folder.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <string_view>

#include "backends/gnutls/library.h"
#include "harness/engine/backend.h"

namespace rig::gnutls {

// Fingerprint says under which checks a session came about.
using Fingerprint = std::array<std::uint8_t, 32>;

// GnutlsContext is the Context of this backend. All that it holds is read-only once it is made: the library's manual
// allows several sessions to use credentials and priorities at the same time. Loading them once is the point: trust
// anchors per connection cost more than a handshake.
class GnutlsContext final : public Context, public std::enable_shared_from_this<GnutlsContext> {
 public:
  // make checks `config` and loads it. Errors: as Backend::make_context.
  static std::expected<std::shared_ptr<const Context>, Error> make(const ContextConfig& config);

  std::expected<std::unique_ptr<TlsEngine>, Error> make_engine(const EngineConfig& config) const override;

  // config is what the context was made from, with peer_check set.
  const ContextConfig& config() const noexcept { return config_; }

  // verifies is true if engines demand something of the peer's certificate.
  bool verifies() const noexcept { return !config_.psk.has_value() && config_.peer_check != PeerCheck::none; }

  // prepare gives `session` all that it needs of this context. Errors: no_memory, internal.
  Status prepare(gnutls_session_t session) const;

  // forbid_tickets takes tickets away from `session`, which is a server's and within its second handshake or later.
  void forbid_tickets(gnutls_session_t session) const noexcept;

  // fingerprint digests what this context checks of a peer that is called `host`: a session may be taken up again only
  // where the same would be checked, because a resumed handshake checks nothing. Errors: no_memory.
  std::expected<Fingerprint, Error> fingerprint(std::string_view host) const;

  // GnutlsContext is made by make() only.
  explicit GnutlsContext(const ContextConfig& config);

 private:
  Status check() const;
  Status load();
  Status load_priorities(Priorities& priorities, const char* options);
  Status load_psk();
  Status load_certificates();
  Status set_alpn(gnutls_session_t session) const;

  ContextConfig config_;
  Priorities priorities_;
  Priorities priorities_without_tickets_;  // where a server may renegotiate
  CertificateCredentials certificates_;
  PskClientCredentials psk_client_;
  PskServerCredentials psk_server_;
  Datum ticket_key_;
};

}  // namespace rig::gnutls
