// Session: one side of one TLS connection whose library reads and writes the descriptor itself. What `direct` asks of a
// TLS library; one file per library answers it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "harness/base/bytes.h"
#include "harness/base/error.h"
#include "harness/base/native_handle.h"
#include "harness/subjects/subject.h"

namespace rig::direct {

// Want is why a verb is not through: the descriptor has nothing to read, or takes nothing. Each verb may want either
// (a read writes alerts and key updates, a write reads handshakes), so the want belongs to the verb, not to a
// direction. With `other` it is of no use to look at the descriptor: a read comes again when the write that is under
// way is through, everything else when a read has been called.
enum class Want : std::uint8_t { nothing, read, write, other };

// Moved is how far a read or a write came: `bytes` of plaintext, or what it waits for, or the peer's clean end.
struct Moved {
  Want want = Want::nothing;
  std::size_t bytes = 0;
  bool end = false;
};

// want_of is the want of a verb that moves no plaintext.
inline std::expected<Want, Error> want_of(const std::expected<Moved, Error>& moved) noexcept {
  return moved.has_value() ? std::expected<Want, Error>(moved->want) : std::unexpected(moved.error());
}

// Facts is what a finished handshake came to.
struct Facts {
  std::uint32_t tls_version = RIG_TLS_NONE;
  std::string cipher;
  bool psk = false;
  bool peer_verified = false;
};

// Session is that side. The descriptor is non-blocking and belongs to the caller, who closes it after the session is
// gone. Errors: the first one ends the session; no verb may be called behind it. What the library keeps of errors per
// thread is empty when a verb returns. Signals: no verb raises SIGPIPE. Thread: one at a time.
class Session {
 public:
  Session() = default;
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  virtual std::expected<Want, Error> handshake() noexcept = 0;

  // read takes decrypted bytes (`storage` is not empty). Errors: truncated (the stream ended without close_notify), ...
  virtual std::expected<Moved, Error> read(MutableBytes storage) noexcept = 0;

  // write encrypts and sends a prefix of `plain`, which is not empty. While it wants something, the next write must
  // have the very same bytes, in the same place and in the same number.
  virtual std::expected<Moved, Error> write(ByteView plain) noexcept = 0;

  // close_notify ends our direction; no write may be under way. It is called again until it wants nothing.
  virtual std::expected<Want, Error> close_notify() noexcept = 0;

  // may_renegotiate says why a renegotiation cannot be asked for; call it when the handshake is done. Errors:
  // unsupported, invalid_state (one is under way, or the peer has ended its stream). None of them ends the session.
  virtual Status may_renegotiate() const noexcept {
    return std::unexpected(Error(Code::unsupported, "the library is not asked to renegotiate here"));
  }

  // renegotiate asks for a new handshake, if may_renegotiate(): it sends the first message, as far as there is room;
  // the rest is the work of read(), behind what the peer has sent before. Wants: `other` (nothing has happened, for a
  // write is under way or a record was read in part; call it again), `write` (the message is cut; so is the next
  // read's want).
  virtual std::expected<Want, Error> renegotiate() noexcept {
    return std::unexpected(Error(Code::unsupported, "the library is not asked to renegotiate here"));
  }

  // handshakes is how many are complete; call it when the first is.
  virtual std::uint32_t handshakes() const noexcept { return 1; }

  // facts are those of the last complete handshake; call it when the first is.
  virtual Facts facts() const = 0;
};

// Setup is rig_context_config with texts of its own. A text that is empty was not given; trust anchors are there if
// verifies().
struct Setup {
  bool server = false;
  std::uint32_t tls_min = RIG_TLS_NONE;
  std::uint32_t tls_max = RIG_TLS_NONE;
  bool verify_peer = true;
  bool allow_renegotiation = false;
  std::string ca_pem;
  std::string certificate_pem;
  std::string private_key_pem;
  std::string psk_identity;
  Bytes psk;

  // verifies says that a certificate is demanded of the peer. A pre-shared key stands in for certificates.
  bool verifies() const noexcept { return verify_peer && !has_key(); }
  bool has_key() const noexcept { return !psk_identity.empty(); }
};

// Context is what the sessions of one side share. Thread: any.
class Context : public std::enable_shared_from_this<Context> {
 public:
  explicit Context(const Setup& setup) : setup_(setup) {}
  virtual ~Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Setup& setup() const noexcept { return setup_; }

  // make_session makes one over `handle`. `host` is who a client wants to reach, and not empty if it verifies. Errors:
  // invalid_argument, no_memory, internal.
  virtual std::expected<std::unique_ptr<Session>, Error> make_session(NativeHandle handle,
                                                                      const std::string& host) const = 0;

 private:
  const Setup setup_;
};

// Library is one TLS library. Thread: any.
struct Library {
  const char* name;
  std::uint32_t capabilities;  // RIG_CAN_ bits of the library's own: versions, authentication, renegotiation
  std::string (*version)();    // of the loaded library
  std::expected<std::shared_ptr<const Context>, Error> (*make_context)(const Setup& setup);
};

// libraries lists those that are built in. Defined by the build.
std::span<const Library* const> libraries();

}  // namespace rig::direct
