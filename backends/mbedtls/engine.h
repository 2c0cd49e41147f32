// MbedtlsEngine: a TlsEngine over one mbedtls_ssl_context. Private to this folder.
//
// Theory of operation. The library keeps at most one record that the caller's CipherOut had no room for, the backlog,
// and expects whoever caused it to come again. Two of its functions mistake a stranger's backlog for their own:
// mbedtls_ssl_write() would report bytes as written that it never took, and mbedtls_ssl_send_alert_message() would
// report an alert as sent that it never made. So the engine knows at each moment what the backlog is:
//   - application data (pending_): only write() comes back for it, with the same arguments. A renegotiation that read()
//     drives may push it out first; write() then counts it as accepted, for to call the library would send it twice.
//   - anything else (an alert, a handshake message): settle() pushes it out before the library may make another record.
// The send hook sees both cases; it also sees the alert that got lost behind a backlog (owed_), which settle() makes
// up.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "backends/mbedtls/context.h"
#include "backends/mbedtls/errors.h"
#include "backends/mbedtls/library.h"
#include "harness/engine/engine.h"
#include "harness/engine/foreign_protocol.h"

namespace rig::mbedtls {

// MbedtlsEngine is the TlsEngine of this backend.
class MbedtlsEngine final : public TlsEngine {
 public:
  // make makes an engine. Errors: as Context::make_engine.
  static std::expected<std::unique_ptr<TlsEngine>, Error> make(std::shared_ptr<const MbedtlsContext> context,
                                                               const EngineConfig& config);
  ~MbedtlsEngine() override;

  Status feed(ByteView cipher) override;
  void end_of_input() noexcept override { input_ended_ = true; }
  std::expected<Need, Error> handshake(CipherOut& out) override;
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override;
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override;
  bool readable() const noexcept override;
  std::expected<Need, Error> renegotiate(CipherOut& out) override;
  std::expected<Need, Error> update_keys(CipherOut& out) override;
  std::expected<Need, Error> close_notify(CipherOut& out) override;
  Facts facts() const override;
  std::expected<Bytes, Error> session() override;

  // MbedtlsEngine is made by make() only.
  MbedtlsEngine(std::shared_ptr<const MbedtlsContext> context, std::unique_ptr<Material> material);

 private:
  struct Hooks;  // the library's callbacks; they forward to the on_... members
  friend struct Hooks;

  // Verb lends the caller's buffer to the library for the duration of one verb.
  class Verb {
   public:
    Verb(MbedtlsEngine& engine, CipherOut& out, bool reads) noexcept;
    ~Verb();
    Verb(const Verb&) = delete;
    Verb& operator=(const Verb&) = delete;

   private:
    MbedtlsEngine& engine_;
  };

  // PendingWrite is a record of application data of which a part is in the library's backlog.
  struct PendingWrite {
    std::size_t plain = 0;   // what must be offered again; 0: no write is partly accepted
    std::size_t cipher = 0;  // what is left in the backlog
  };

  Status set_up(const EngineConfig& config);
  void set_hooks() noexcept;
  Status set_host(const std::string& host);
  Status offer_session(ByteView exported);
  bool session_fits(const mbedtls_ssl_session& session, std::string_view host) const noexcept;

  // usable is the first fatal error, if there was one; established refuses also before the handshake is done.
  Status usable() const;
  Status established() const;

  bool client() const noexcept { return context_->config().role == Role::client; }
  bool tls13() const noexcept { return has_tls13 && version_of(*ssl_.get()) == TlsVersion::tls13; }
  int state() const noexcept { return ssl_->MBEDTLS_PRIVATE(state); }
  bool handshaking() const noexcept { return state() != MBEDTLS_SSL_HANDSHAKE_OVER; }
  bool finished_due() const noexcept;
  std::size_t unread() const noexcept { return input_.size() - used_; }

  // enter notes what the hooks and fail() must know about the library call that follows.
  void enter() noexcept;
  // flush pushes the backlog out; true if nothing is left of it.
  bool flush() noexcept;
  // settle pushes out what is not application data; true if the library may make a new record.
  std::expected<bool, Error> settle();
  std::expected<bool, Error> finish_write(ByteView plain);
  void note_handshake() noexcept;
  std::optional<Error> note_ignored_alert();
  void send_fatal_alert(std::uint8_t description) noexcept;

  // fail makes the error of the library call that returned `code` the engine's last word, and tells the peer.
  std::unexpected<Error> fail(int code);
  std::unexpected<Error> fail(const Error& error);

  int on_send(ByteView record) noexcept;
  int on_receive(MutableBytes room) noexcept;
  int on_certificate(const mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags) noexcept;
  int on_server_name(ByteView name) noexcept;
  void on_secret(Secret kind, ByteView secret, const unsigned char* client_random) noexcept;
  void on_offer(const mbedtls_ssl_session& session) noexcept;

  std::shared_ptr<const MbedtlsContext> context_;
  std::unique_ptr<Material> material_;
  Ssl ssl_;

  Bytes input_;
  std::size_t used_ = 0;  // bytes of input_ that the library has taken
  bool input_ended_ = false;
  FirstBytes first_bytes_;

  CipherOut* out_ = nullptr;  // the caller's, within a verb
  bool reads_ = false;        // the verb may take input
  std::size_t backlog_ = 0;   // bytes of a record that the library holds back
  PendingWrite pending_;
  bool entry_backlog_ = false;     // there was a backlog when the library was called
  bool starved_ = false;           // the library asked for more input than there is
  bool end_seen_ = false;          // the library was told that the input has ended
  std::optional<int> sent_alert_;  // within a library call: the alert it sent in the clear, or -1 for an encrypted one
  bool owed_ = false;              // a no_renegotiation alert got lost behind a backlog

  bool handshake_done_ = false;
  bool asked_ = false;      // server: a HelloRequest is out, and no handshake has followed
  bool start_cut_ = false;  // the first message of a renegotiation did not fit
  bool close_started_ = false;
  bool close_done_ = false;
  bool clean_end_ = false;
  std::optional<Error> failure_;
  std::optional<Error> hook_failure_;  // what went wrong within a callback of ours

  std::string host_;
  std::string server_name_;
  std::uint32_t verify_flags_ = 0;
  const mbedtls_ssl_session* session_seen_ = nullptr;  // changes with each completed handshake
  Facts facts_;                                        // without its strings
  const char* cipher_ = nullptr;                       // static storage of the library
  const char* alpn_ = nullptr;                         // storage of the context
  bool resuming_ = false;  // the keys of the handshake under way come from the session that was on offer
  bool offered_ = false;
  bool offered_verified_ = false;  // client: with the session on offer the server's certificate was verified
  std::array<std::uint8_t, master_bytes> offered_master_{};
  Bytes exported_;  // the latest session: the library gives each of them out once
};

}  // namespace rig::mbedtls
