// What the library calls back into: transport, certificates, names, keys, sessions.
#include <algorithm>
#include <new>

#include "backends/mbedtls/engine.h"
#include "backends/mbedtls/verify.h"

namespace rig::mbedtls {

// Hooks are the C faces of the on_... members. `self` is the engine.
struct MbedtlsEngine::Hooks {
  static MbedtlsEngine& engine(void* self) noexcept { return *static_cast<MbedtlsEngine*>(self); }

  static int send(void* self, const unsigned char* bytes, size_t size) noexcept {
    return engine(self).on_send({bytes, size});
  }
  static int receive(void* self, unsigned char* bytes, size_t size) noexcept {
    return engine(self).on_receive({bytes, size});
  }
  static int certificate(void* self, mbedtls_x509_crt* certificate, int depth, uint32_t* flags) noexcept {
    return engine(self).on_certificate(*certificate, depth, *flags);
  }
  static int server_name(void* self, mbedtls_ssl_context*, const unsigned char* name, size_t size) noexcept {
    return engine(self).on_server_name({name, size});
  }
  static int keys(void* self, const unsigned char* master, const unsigned char*, size_t, size_t, size_t,
                  const unsigned char client_random[32], const unsigned char[32], mbedtls_tls_prf_types) noexcept {
    engine(self).on_keys(master, client_random);
    return 0;
  }
  static int write_ticket(void* self, const mbedtls_ssl_session* session, unsigned char* start,
                          const unsigned char* end, size_t* bytes, uint32_t* lifetime) noexcept {
    return engine(self).context_->write_ticket(session, start, end, bytes, lifetime);
  }
  static int parse_ticket(void* self, mbedtls_ssl_session* session, unsigned char* ticket, size_t bytes) noexcept {
    const int code = engine(self).context_->parse_ticket(session, ticket, bytes);
    if (code == 0) {
      engine(self).on_offer(*session);
    }
    return code;
  }
  static int cache_get(void* self, mbedtls_ssl_session* session) noexcept {
    const int code = engine(self).context_->cache_get(session);
    if (code == 0) {
      engine(self).on_offer(*session);
    }
    return code;
  }
  static int cache_set(void* self, const mbedtls_ssl_session* session) noexcept {
    return engine(self).context_->cache_set(session);
  }
};

void MbedtlsEngine::set_hooks() noexcept {
  mbedtls_ssl_config* const config = material_->config.get();
  mbedtls_ssl_set_bio(ssl_.get(), this, Hooks::send, Hooks::receive, nullptr);
  mbedtls_ssl_conf_verify(config, Hooks::certificate, this);
  mbedtls_ssl_conf_export_keys_ext_cb(config, Hooks::keys, this);
  if (client()) {
    return;
  }
  mbedtls_ssl_conf_sni(config, Hooks::server_name, this);
  if (context_->config().session_tickets) {
    mbedtls_ssl_conf_session_tickets_cb(config, Hooks::write_ticket, Hooks::parse_ticket, this);
    mbedtls_ssl_conf_session_cache(config, this, Hooks::cache_get, Hooks::cache_set);
  }
}

int MbedtlsEngine::on_send(ByteView record) noexcept {
  if (close_started_ && backlog_ == 0) {
    // Nothing follows our close_notify. What the library answers to a peer that has not yet seen it goes nowhere.
    return static_cast<int>(record.size());
  }
  if (backlog_ == 0 && record[0] == MBEDTLS_SSL_MSG_ALERT) {
    sent_alert_ = record.size() == 7 ? record[6] : -1;
  }
  // While established the library sends nothing of its own but alerts; one that meets a backlog flushes that backlog,
  // reports success, and is forgotten.
  if (entry_backlog_ && reads_ && handshake_done_ && !handshaking()) {
    owed_ = true;
  }
  const std::size_t taken = out_ == nullptr ? 0 : out_->append(record);
  backlog_ = record.size() - taken;
  pending_.cipher -= std::min(taken, pending_.cipher);
  entry_backlog_ = entry_backlog_ && backlog_ > 0;
  return taken == 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : static_cast<int>(taken);
}

int MbedtlsEngine::on_receive(MutableBytes room) noexcept {
  if (!reads_) {
    return MBEDTLS_ERR_SSL_WANT_READ;  // only handshake() and read() take input
  }
  if (unread() == 0) {
    if (input_ended_) {
      end_seen_ = true;
      return 0;
    }
    starved_ = true;
    return MBEDTLS_ERR_SSL_WANT_READ;
  }
  const std::size_t taken = std::min(room.size(), unread());
  std::copy_n(input_.begin() + static_cast<std::ptrdiff_t>(used_), taken, room.begin());
  used_ += taken;
  return static_cast<int>(taken);
}

int MbedtlsEngine::on_certificate(const mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags) noexcept {
  if (depth == 0) {
    // The library's own comparison, which set_hostname turns on, takes a CN for a name and knows no addresses.
    flags &= ~static_cast<std::uint32_t>(MBEDTLS_X509_BADCERT_CN_MISMATCH);
    if (client() && !certificate_names(certificate, host_)) {
      flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    if (!client() && mbedtls_x509_crt_check_extended_key_usage(&certificate, MBEDTLS_OID_CLIENT_AUTH,
                                                               MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0) {
      flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    }
  }
  verify_flags_ |= flags;
  // Where a certificate is optional the library overlooks the flags; it does not overlook a failing hook.
  const bool optional = context_->config().peer_check == PeerCheck::optional;
  return depth == 0 && optional && verify_flags_ != 0 ? MBEDTLS_ERR_X509_FATAL_ERROR : 0;
}

int MbedtlsEngine::on_server_name(ByteView name) noexcept {
  try {
    server_name_.assign(as_text(name));
    return 0;
  } catch (const std::bad_alloc&) {
    hook_failure_ = Error(Code::no_memory, "no memory for the name that the client asked for");
    return -1;
  }
}

void MbedtlsEngine::on_keys(const unsigned char* master, const unsigned char* client_random) noexcept {
  resuming_ = offered_ && std::equal(offered_master_.begin(), offered_master_.end(), master);
  if (!context_->config().key_log) {
    return;
  }
  static constexpr std::string_view label = "CLIENT_RANDOM ";
  static constexpr std::size_t random_bytes = 32;
  std::array<char, label.size() + 2 * random_bytes + 1 + 2 * master_bytes> line;
  auto at = std::ranges::copy(label, line.begin()).out;
  const auto put = [&at](ByteView bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    for (const std::uint8_t byte : bytes) {
      *at++ = digits[byte >> 4];
      *at++ = digits[byte & 15];
    }
  };
  put({client_random, random_bytes});
  *at++ = ' ';
  put({master, master_bytes});
  try {
    context_->config().key_log({line.data(), line.size()});
  } catch (const std::bad_alloc&) {
    hook_failure_ = Error(Code::no_memory, "no memory to log the keys");
  } catch (...) {
    hook_failure_ = Error(Code::internal, "the key log failed");
  }
  mbedtls_platform_zeroize(line.data(), line.size());
}

void MbedtlsEngine::on_offer(const mbedtls_ssl_session& session) noexcept {
  std::copy_n(session.MBEDTLS_PRIVATE(master), master_bytes, offered_master_.begin());
  offered_ = true;
}

}  // namespace rig::mbedtls
