// OpensslEngine: a TlsEngine over one SSL. Private to this folder.
//
// Theory of operation. The library writes one record at a time. If the CipherOut cuts it, the library keeps the rest
// and demands that the same call comes again: any other write meanwhile, also one of the library's own that answers
// the peer, is a "bad write retry" or a "bad length" and ends the connection. So the engine sees to it that no two want
// to write:
//   - application data (pending_): write() hands over one record per call, so that the rest in the library is exactly
//     what must be repeated. A read may make the library answer the peer (a renegotiation; a KeyUpdate that comes while
//     the answer to an earlier one is owed), so read() first lets the wire take that rest. write() counts the record as
//     accepted once it is in the output. To leave the peer's records unread instead would let the input pile up, and
//     stop a layer for good that feeds no more than is read, if both sides did it.
//   - alerts and KeyUpdates: the wire takes them whole.
//   - the answer to a KeyUpdate: the library puts it off to its next write, which may never come; settle() sends it.
// A handshake of its own the library drives only within a read: a write within a renegotiation would meet application
// data of the peer where it expects a handshake message, and fail. So write() does not call it then.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "backends/openssl/context.h"
#include "backends/openssl/errors.h"
#include "backends/openssl/library.h"
#include "backends/openssl/wire.h"
#include "harness/engine/engine.h"

namespace rig::openssl {

// OpensslEngine is the TlsEngine of this backend.
class OpensslEngine final : public TlsEngine {
 public:
  // make makes an engine. Errors: as Context::make_engine.
  static std::expected<std::unique_ptr<TlsEngine>, Error> make(std::shared_ptr<const OpensslContext> context,
                                                               const EngineConfig& config);
  ~OpensslEngine() override;

  Status feed(ByteView cipher) override;
  void end_of_input() noexcept override { wire_.end(); }
  std::expected<Need, Error> handshake(CipherOut& out) override;
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override;
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override;
  bool readable() const noexcept override;
  std::expected<Need, Error> renegotiate(CipherOut& out) override;
  std::expected<Need, Error> update_keys(CipherOut& out) override;
  std::expected<Need, Error> close_notify(CipherOut& out) override;
  Facts facts() const override;
  std::expected<Bytes, Error> session() override;

  // What the library's callbacks need and tell. on_key_log keeps what the user's function throws; on_psk says whether
  // the identity that was offered is ours.
  const ContextConfig& config() const noexcept { return context_->config(); }
  const std::string& host() const noexcept { return host_; }
  void on_key_log(const char* line) noexcept;
  void on_psk(bool known) noexcept { psk_known_ = known; }

  // OpensslEngine is made by make() only.
  explicit OpensslEngine(std::shared_ptr<const OpensslContext> context) : context_(std::move(context)) {}

 private:
  struct Hooks;  // the library's callbacks about messages and states
  friend struct Hooks;

  // Verb lends the caller's buffer to the library for the duration of one verb, and guards its ambient state.
  class Verb {
   public:
    Verb(OpensslEngine& engine, CipherOut& out, bool reads) noexcept : engine_(engine) {
      engine_.wire_.open(out, reads);
      engine_.wire_.flush();
    }
    ~Verb() { engine_.wire_.close(); }
    Verb(const Verb&) = delete;
    Verb& operator=(const Verb&) = delete;

   private:
    OpensslEngine& engine_;
    Ambient ambient_;
  };

  // Name is a string of the protocol that lives without the heap: ALPN and SNI have at most 255 bytes.
  struct Name {
    std::array<char, 255> text{};
    std::size_t size = 0;

    void set(std::string_view name) noexcept;
    std::string_view view() const noexcept { return {text.data(), size}; }
  };

  Status set_up(const EngineConfig& config);
  Status set_host(const std::string& host);
  Status offer_session(const Bytes& exported);
  bool session_fits(SSL_SESSION& session) const noexcept;

  // usable is the first fatal error, if there was one; established refuses also before the handshake is done.
  Status usable() const;
  Status established() const;

  bool tls13() const noexcept { return facts_.version == TlsVersion::tls13; }
  bool in_handshake() const noexcept { return SSL_in_init(ssl_.get()) != 0; }
  // writing is true while the rest of a record of application data is in the library.
  bool writing() const noexcept { return pending_ > 0 && !yielded_; }
  // owes is true if something to say to the peer waits for room, and read() is the one to bring it out.
  bool owes() const noexcept;
  std::size_t record_bytes_max() const noexcept;

  // outcome classifies the call that has just returned `result`: Need::nothing if it was done.
  std::expected<Need, Error> outcome(int result);
  std::unexpected<Error> fail(int ssl_error);
  std::unexpected<Error> fail(const Error& error);

  // yield_pending takes the rest of a record of application data from the library, into the output or the backlog.
  Status yield_pending();
  std::expected<Need, Error> settle();
  std::expected<Need, Error> finish_key_update();
  std::expected<Need, Error> start_renegotiation();
  // catch_up does what a call of the library leaves undone, within the room that is left.
  std::expected<Need, Error> catch_up();

  void on_record(std::uint8_t type) noexcept;
  void on_message(bool outgoing, ByteView message) noexcept;
  void on_handshake_done() noexcept;

  std::shared_ptr<const OpensslContext> context_;
  Wire wire_;
  std::string host_;
  SslSession offered_;
  Ssl ssl_;  // refers to the wire, so it goes first

  std::size_t pending_ = 0;  // plaintext of a record that is only partly in the output
  bool yielded_ = false;     // the library has given up the rest of it; write() has not counted it yet
  bool handshake_done_ = false;
  bool start_due_ = false;      // a renegotiation waits for the end of a record that the library has in part
  bool start_cut_ = false;      // the first message of a renegotiation did not fit
  bool update_cut_ = false;     // a KeyUpdate of ours did not fit
  bool close_started_ = false;  // close_notify was produced
  bool clean_end_ = false;
  std::optional<Error> failure_;
  std::optional<Error> hook_failure_;  // what went wrong within a callback of ours

  Facts facts_;                   // without its strings
  const char* cipher_ = nullptr;  // static storage of the library
  Name alpn_;
  Name server_name_;
  bool psk_known_ = false;
  unsigned finished_in_ = 0;  // Finished messages, of every handshake
  unsigned finished_out_ = 0;
};

}  // namespace rig::openssl
