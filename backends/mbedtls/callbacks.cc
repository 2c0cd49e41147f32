// What the library calls back into: transport, certificates, names, keys, sessions.
#include <algorithm>
#include <new>
#include <tuple>

#include "backends/mbedtls/engine.h"
#include "backends/mbedtls/verify.h"
#include "harness/base/check.h"

namespace rig::mbedtls {
namespace {

// key_log_label is the word of the NSS key log format; empty for what has none there.
constexpr std::string_view key_log_label(Secret kind) noexcept {
  switch (kind) {
    case Secret::master:
      return "CLIENT_RANDOM";
    case Secret::client_handshake:
      return "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
    case Secret::server_handshake:
      return "SERVER_HANDSHAKE_TRAFFIC_SECRET";
    case Secret::client_traffic:
      return "CLIENT_TRAFFIC_SECRET_0";
    case Secret::server_traffic:
      return "SERVER_TRAFFIC_SECRET_0";
    case Secret::other:
      break;
  }
  return {};
}

}  // namespace

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
  static void secret(void* self, Secret kind, ByteView secret, const unsigned char* client_random) noexcept {
    engine(self).on_secret(kind, secret, client_random);
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
  // 3.6 names the session's id in front of it; 2.28 does not.
  template <typename... Id>
  static int cache_get(void* self, Id... id_and_session) noexcept {
    const int code = engine(self).context_->cache_get(id_and_session...);
    if (code == 0) {
      engine(self).on_offer(*std::get<sizeof...(Id) - 1>(std::tuple(id_and_session...)));
    }
    return code;
  }
  template <typename... Id>
  static int cache_set(void* self, Id... id_and_session) noexcept {
    return engine(self).context_->cache_set(id_and_session...);
  }
};

void MbedtlsEngine::set_hooks() noexcept {
  mbedtls_ssl_config* const config = material_->config.get();
  mbedtls_ssl_set_bio(ssl_.get(), this, Hooks::send, Hooks::receive, nullptr);
  mbedtls_ssl_conf_verify(config, Hooks::certificate, this);
  export_secrets<Hooks::secret>(ssl_.get(), config, this);
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
  if (const auto pending = pending_alert(*ssl_.get()); pending.has_value()) {
    sent_alert_ = pending;  // also if it is the rest of one for which there was no room at first
  } else if (backlog_ == 0 && ssl_->MBEDTLS_PRIVATE(out_msgtype) == MBEDTLS_SSL_MSG_ALERT) {
    sent_alert_ = record[0] == MBEDTLS_SSL_MSG_ALERT && record.size() == 7 ? record[6] : -1;
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
  if (!client() && !handshake_done_ && backlog_ == 0) {
    use_traffic_keys(*ssl_.get());
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

void MbedtlsEngine::on_secret(Secret kind, ByteView secret, const unsigned char* client_random) noexcept {
  if (kind == Secret::master) {
    resuming_ = offered_ && std::ranges::equal(offered_master_, secret);
  }
  const std::string_view label = key_log_label(kind);
  if (!context_->config().key_log || label.empty()) {
    return;
  }
  static constexpr std::size_t label_bytes_max = 32;
  static constexpr std::size_t random_bytes = 32;
  static constexpr std::size_t secret_bytes_max = 64;
  RIG_CHECK(secret.size() <= secret_bytes_max && label.size() <= label_bytes_max);
  std::array<char, label_bytes_max + 1 + 2 * random_bytes + 1 + 2 * secret_bytes_max> line;
  auto at = std::ranges::copy(label, line.begin()).out;
  const auto put = [&at](ByteView bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    *at++ = ' ';
    for (const std::uint8_t byte : bytes) {
      *at++ = digits[byte >> 4];
      *at++ = digits[byte & 15];
    }
  };
  put({client_random, random_bytes});
  put(secret);
  try {
    context_->config().key_log({line.data(), static_cast<std::size_t>(at - line.begin())});
  } catch (const std::bad_alloc&) {
    hook_failure_ = Error(Code::no_memory, "no memory to log the keys");
  } catch (...) {
    hook_failure_ = Error(Code::internal, "the key log failed");
  }
  mbedtls_platform_zeroize(line.data(), line.size());
}

void MbedtlsEngine::on_offer(const mbedtls_ssl_session& session) noexcept {
  std::copy_n(session.MBEDTLS_PRIVATE(master), master_bytes, offered_master_.begin());  // none under TLS 1.3
  offered_ = true;
}

}  // namespace rig::mbedtls
