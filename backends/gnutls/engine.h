// GnutlsEngine: a TlsEngine over one gnutls_session_t. Private to this folder.
//
// Theory of operation. The library keeps records that the caller's CipherOut had no room for in one queue, and takes
// any sending call for the continuation of what is in it: while a part of an application record is queued, sending an
// alert or a handshake message flushes that record, reports success, and makes no message of its own. So the engine
// knows whose record is queued, and settle() pushes it out before the library may make another one:
//   - application data (pending_): write() comes back for it. gnutls_record_send(NULL, 0) pushes the queue on whatever
//     the caller offers, so that no address or length of a retry matters. If a renegotiation had to push it out,
//     write() accepts it without calling the library.
//   - a HelloRequest or KeyUpdate whose verb answered Need::room (cut_), an alert of ours (owed_alert_), or an answer
//     to a KeyUpdate (answer_due_).
//
// A TLS 1.2 renegotiation cannot be left to gnutls_handshake() alone. It returns GNUTLS_E_GOT_APPLICATION_DATA when
// data comes before the peer's hello, and forgets how far it was: called again, a client sends a second ClientHello,
// which kills the connection (pjproject#4919). The type of a record stands in its header, so the engine gives
// application data to gnutls_record_recv() and everything else to gnutls_handshake(), and neither meets the other's
// records (Intake).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "backends/gnutls/context.h"
#include "backends/gnutls/input.h"
#include "backends/gnutls/library.h"
#include "harness/engine/engine.h"

namespace rig::gnutls {

// GnutlsEngine is the TlsEngine of this backend.
class GnutlsEngine final : public TlsEngine {
 public:
  // make makes an engine. Errors: as Context::make_engine.
  static std::expected<std::unique_ptr<TlsEngine>, Error> make(std::shared_ptr<const GnutlsContext> context,
                                                               const EngineConfig& config);

  Status feed(ByteView cipher) override;
  void end_of_input() noexcept override { input_.end(); }
  std::expected<Need, Error> handshake(CipherOut& out) override;
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override;
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override;
  bool readable() const noexcept override;
  std::expected<Need, Error> renegotiate(CipherOut& out) override;
  std::expected<Need, Error> update_keys(CipherOut& out) override;
  std::expected<Need, Error> close_notify(CipherOut& out) override;
  Facts facts() const override;
  std::expected<Bytes, Error> session() override;

  // GnutlsEngine is made by make() only.
  explicit GnutlsEngine(std::shared_ptr<const GnutlsContext> context) : context_(std::move(context)) {}

 private:
  struct Hooks;  // the library's callbacks; they forward to the on_... members
  friend struct Hooks;
  friend void set_callbacks(gnutls_session_t session, GnutlsEngine& engine);
  friend void set_message_hook(GnutlsEngine& engine);
  friend int verify_peer(gnutls_session_t session) noexcept;
  friend int psk_of_identity(gnutls_session_t session, const gnutls_datum_t* identity, gnutls_datum_t* key) noexcept;

  // Verb lends the caller's buffer to the library for the duration of one verb, and keeps errno as it was.
  class Verb {
   public:
    Verb(GnutlsEngine& engine, CipherOut& out) noexcept;
    ~Verb();
    Verb(const Verb&) = delete;
    Verb& operator=(const Verb&) = delete;

   private:
    GnutlsEngine& engine_;
    int errno_;
  };

  // PendingWrite is a record of application data that the library has made and not yet pushed out.
  struct PendingWrite {
    std::size_t plain = 0;  // what must be offered again; 0: no write is partly accepted
    bool out = false;       // it is out; write() has yet to say so
  };

  // Cut is a verb that answered Need::room.
  enum class Cut : std::uint8_t { none, key_update, hello_request };

  // Outcome is what came of letting the library go on with a renegotiation.
  enum class Outcome : std::uint8_t { over, starved, room };

  Status set_up(const EngineConfig& config);
  Status set_host(const std::string& host);
  Status offer_session(ByteView exported);

  Status usable() const;
  Status established() const;
  bool client() const noexcept { return context_->config().role == Role::client; }
  bool waits(int code) const noexcept { return code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED; }
  // wants_room is true if the last call that had to wait waited for room. The library's word is reliable here: one
  // thread is in the session.
  bool wants_room() const noexcept { return gnutls_record_get_direction(session_.get()) == 1; }

  // enter says what the library may pull in the call that follows, and forgets what the last call met.
  gnutls_session_t enter(Intake intake) noexcept;
  // settle pushes out what is queued and makes what is owed; true if the library may make a new record.
  std::expected<bool, Error> settle();
  std::expected<bool, Error> settle_pending();
  std::expected<bool, Error> settle_cut();
  std::expected<Need, Error> finish_cut();
  void note_handshake() noexcept;

  // read_once lets the library read one record; nothing if the caller should go on reading.
  std::expected<std::optional<ReadStep>, Error> read_once(MutableBytes plain, bool room_wanted);
  Status on_rehandshake_request();
  void on_warning() noexcept;
  std::expected<Need, Error> start_rehandshake();
  std::expected<Outcome, Error> continue_rehandshake();
  bool hello_request_next() const noexcept;
  std::expected<bool, Error> throw_away_record();

  // fail makes the error of the library call that returned `code` the engine's last word, and tells the peer.
  std::unexpected<Error> fail(int code);
  // die makes `error` the last word, without a call to the library.
  std::unexpected<Error> die(const Error& error);
  void send_fatal_alert(gnutls_alert_description_t alert) noexcept;

  ssize_t on_push(const giovec_t* pieces, int count) noexcept;
  ssize_t on_pull(MutableBytes room) noexcept;
  int on_certificate() noexcept;
  int on_identity(ByteView identity, gnutls_datum_t& key) noexcept;
  int on_secret(const char* label, ByteView secret) noexcept;
  void on_client_hello(const gnutls_datum_t& message) noexcept;
  void on_key_update(bool before, bool incoming, const gnutls_datum_t& message) noexcept;

  std::shared_ptr<const GnutlsContext> context_;
  Session session_;
  Input input_;

  CipherOut* out_ = nullptr;  // the caller's, within a verb
  Intake intake_ = Intake::none;
  bool starved_ = false;   // in the last call, the library asked for input that is not there
  bool end_seen_ = false;  // in the last call, the library was told that the input has ended

  PendingWrite pending_;
  Cut cut_ = Cut::none;       // pushed out by whoever comes next
  Cut finished_ = Cut::none;  // is out; its verb has yet to say so
  bool owed_alert_ = false;   // no_renegotiation
  bool answer_due_ = false;   // a KeyUpdate of ours

  bool handshake_done_ = false;
  bool rehandshaking_ = false;  // a renegotiation takes handshake records, and nothing else is written
  bool data_held_ = false;      // the library holds decrypted application data
  bool start_cut_ = false;      // a client's renegotiate() answered Need::room
  bool asked_ = false;          // server: a HelloRequest is out, and no handshake has followed
  bool close_started_ = false;
  bool close_done_ = false;
  bool clean_end_ = false;
  std::optional<Error> failure_;
  std::optional<Error> hook_failure_;  // what went wrong within a callback of ours; better than the library's word
  std::optional<gnutls_alert_description_t> hook_alert_;

  std::string host_;
  Facts facts_;                   // without its strings
  const char* cipher_ = nullptr;  // static storage of the library
  std::array<char, 33> alpn_{};   // ends in NUL, as server_name_ does
  std::array<char, 257> server_name_{};
  bool verified_ = false;  // a certificate of the peer passed on_certificate()
};

}  // namespace rig::gnutls
