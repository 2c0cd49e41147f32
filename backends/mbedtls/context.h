// MbedtlsContext: settings and credentials that engines share, and what they cannot share, pooled. Private to this
// folder.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <vector>

#include "backends/mbedtls/library.h"
#include "harness/base/mutex.h"
#include "harness/engine/backend.h"

namespace rig::mbedtls {

// Material is what the library writes into while it works, so that no two engines may use it at once: 2.28 stores comb
// tables in the curve of an EC key and blinding values in an RSA key (whose lock exists only in builds with
// MBEDTLS_THREADING_C), and draws random bytes from a generator. An engine owns one; when it ends the next one gets it.
struct Material {
  Entropy entropy;
  Drbg drbg;
  Certificates authorities;
  Certificates chain;
  PrivateKey key;
  Config config;  // refers to all of the above, so it goes first
  std::unique_ptr<Material> next;
};

// MbedtlsContext is the Context of this backend. Thread: any, as Context.
class MbedtlsContext final : public Context, public std::enable_shared_from_this<MbedtlsContext> {
 public:
  // make checks `config` and loads it once. Errors: as Backend::make_context.
  static std::expected<std::shared_ptr<const Context>, Error> make(const ContextConfig& config);

  std::expected<std::unique_ptr<TlsEngine>, Error> make_engine(const EngineConfig& config) const override;

  // config is what the context was made from, with peer_check set.
  const ContextConfig& config() const noexcept { return config_; }

  // verifies is true if engines demand something of the peer's certificate.
  bool verifies() const noexcept { return !config_.psk.has_value() && config_.peer_check != PeerCheck::none; }

  // take_material is material of its own for one engine, its generator freshly seeded. Errors: no_memory, internal (no
  // entropy).
  std::expected<std::unique_ptr<Material>, Error> take_material() const;

  // give_back takes the material of an engine that has ended.
  void give_back(std::unique_ptr<Material> material) const noexcept;

  // version_max is the highest version that is negotiated.
  TlsVersion version_max() const noexcept { return has_tls13 ? config_.version_max : TlsVersion::tls12; }

  // has_tls13_tickets is true if sessions of TLS 1.3 can be taken up again. Its tickets hold no certificate of the
  // peer, so that a server that asks for one makes a full handshake each time; and a pre-shared key is as cheap as a
  // ticket.
  bool has_tls13_tickets() const noexcept {
    return config_.session_tickets && !config_.psk.has_value() && (config_.role == Role::client || !verifies());
  }

  // write_ticket, parse_ticket, cache_get and cache_set are the library's functions of these names over the context's
  // own keys and cache, one thread at a time. Errors: the library's codes.
  int write_ticket(const mbedtls_ssl_session* session, unsigned char* start, const unsigned char* end, size_t* bytes,
                   uint32_t* lifetime) const noexcept;
  int parse_ticket(mbedtls_ssl_session* session, unsigned char* ticket, size_t bytes) const noexcept;
  int cache_get(auto... arguments) const noexcept {
    MutexLock lock(resumption_mutex_);
    return mbedtls_ssl_cache_get(resumption_.cache.get(), arguments...);
  }
  int cache_set(auto... arguments) const noexcept {
    MutexLock lock(resumption_mutex_);
    return mbedtls_ssl_cache_set(resumption_.cache.get(), arguments...);
  }

  // MbedtlsContext is made by make() only.
  explicit MbedtlsContext(const ContextConfig& config);
  ~MbedtlsContext() override;

 private:
  // Resumption is what a server needs to take up its sessions again.
  struct Resumption {
    Entropy entropy;
    Drbg drbg;
    Tickets tickets;
    SessionCache cache;
  };

  Status check() const;
  Status load(Material& material) const;
  Status configure(Material& material) const;
  Status set_up_resumption();

  ContextConfig config_;
  std::vector<const char*> alpn_;  // the names in config_, as the library wants them; ends in a null pointer
  bool proven_ = false;            // config_ was loaded without error, once

  mutable Mutex resumption_mutex_;
  mutable Resumption resumption_ RIG_GUARDED_BY(resumption_mutex_);

  mutable Mutex spare_mutex_;
  mutable std::unique_ptr<Material> spare_ RIG_GUARDED_BY(spare_mutex_);
};

}  // namespace rig::mbedtls
