// TlsEngine: one side of one TLS connection without I/O. The contract that every backend fulfils.
//
// An engine turns bytes into bytes. Ciphertext goes in through feed(), plaintext comes out of read(); plaintext goes in
// through write(), and every verb appends the ciphertext that it produces to the CipherOut of the caller, also when it
// fails (alerts). There is no socket, no clock, no thread and no callback in an engine.
//
// The order of verbs: handshake() until it needs nothing, then write() and read(). After the first handshake only
// read() drives the engine: it answers a renegotiation, a key update or an alert of the peer, whatever the library
// calls that. A verb that cannot finish says what it needs (Need); the caller supplies it and calls the same verb
// again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "harness/base/bytes.h"
#include "harness/base/error.h"

namespace rig {

// Role is the side of the handshake that an engine plays.
enum class Role : std::uint8_t { client, server };

// TlsVersion is a protocol version that a backend may negotiate.
enum class TlsVersion : std::uint8_t { none, tls12, tls13 };

// version_name is "1.2" or "1.3", and "none" for a connection without TLS.
std::string_view version_name(TlsVersion version) noexcept;

// CipherOut is where a verb puts its ciphertext: storage that the caller owns, filled from the front. A full one is
// would-block for the library below, so a caller can clog an engine at any byte.
// Owns: nothing. Thread: as the engine that writes to it.
class CipherOut {
 public:
  explicit CipherOut(MutableBytes storage) noexcept : storage_(storage) {}

  // append takes as much of `cipher` as fits and returns how much that was; 0 means full.
  std::size_t append(ByteView cipher) noexcept;

  // room is how many bytes still fit.
  std::size_t room() const noexcept { return storage_.size() - size_; }
  // size is how many bytes were appended.
  std::size_t size() const noexcept { return size_; }
  // bytes views what was appended.
  ByteView bytes() const noexcept { return storage_.first(size_); }

 private:
  MutableBytes storage_;
  std::size_t size_ = 0;
};

// Need is what a verb waits for. Neither kind is an error.
enum class Need : std::uint8_t {
  nothing,  // the verb did all it could with what it was given
  input,    // more ciphertext from the peer: feed(), then read() (or handshake() before the first one is done)
  room,     // more room: empty the CipherOut, then call the same verb with the same arguments again
};

// WriteStep is the answer of write(): `accepted` bytes of plaintext are in the output, whole; `need` says why not all.
struct WriteStep {
  std::size_t accepted = 0;
  Need need = Need::nothing;
};

// ReadStep is the answer of read(): `bytes` of plaintext were delivered. With bytes == 0 and need == nothing, `end` is
// true: the peer ended its stream with close_notify (clean end), and every later read says so again.
struct ReadStep {
  std::size_t bytes = 0;
  Need need = Need::nothing;
  bool end = false;
};

// Facts is what a connection really uses and has negotiated: `library` is known to the engine from its making on, the
// rest is read back from the library.
struct Facts {
  std::string_view library;  // whose engine this is: Backend::name() of the code that runs, whoever was asked for
  TlsVersion version = TlsVersion::none;
  std::string cipher;            // the library's own name of the cipher suite; empty before the handshake
  std::string alpn;              // the protocol chosen by ALPN; empty if none
  std::string server_name;       // on a server: the name that the client asked for (SNI); empty if none
  bool resumed = false;          // the handshake resumed an earlier session
  bool peer_verified = false;    // a certificate of the peer was verified (chain, and name where we are the client)
  bool psk = false;              // the peers authenticated by an external pre-shared key
  unsigned handshakes = 0;       // completed handshakes; 2 after one renegotiation
  unsigned key_updates_out = 0;  // TLS 1.3 KeyUpdate messages sent, answers included
  unsigned key_updates_in = 0;   // TLS 1.3 KeyUpdate messages received
};

// TlsEngine is one side of one connection.
//
// Errors: the first fatal Error ends the engine: every later verb answers that same first Error, at once and without
// calling the library (which would be undefined), whatever came after it. `unsupported`, `invalid_state` and
// `invalid_argument` answer a verb that was not possible, and leave the engine as it was. Running out of memory is
// fatal for the engine (`no_memory`). No exception leaves a verb.
// Ambient state: a verb trusts nothing that it finds in the library's error queue or in errno, and leaves nothing
// there. Thread: one thread at a time; different engines are independent, also when they come from one Context.
class TlsEngine {
 public:
  virtual ~TlsEngine() = default;

  // feed hands over ciphertext from the peer; it is copied and consumed by later verbs. Errors: no_memory;
  // invalid_state after end_of_input.
  virtual Status feed(ByteView cipher) = 0;

  // end_of_input says that the peer's byte stream has ended (FIN). The next read (or handshake) that has used up its
  // input answers: a clean end if close_notify came before, else Code::truncated; during the handshake
  // Code::truncated too.
  virtual void end_of_input() noexcept = 0;

  // handshake drives the first handshake. Needs: nothing (it is done), input or room. Errors: verification_failed,
  // handshake_failed, protocol, peer_alert, truncated, ...; the alert that tells the peer is in `out` if it fitted.
  // Once done, it answers nothing for ever.
  virtual std::expected<Need, Error> handshake(CipherOut& out) = 0;

  // write encrypts a prefix of `plain`. Until all of `plain` is accepted the caller must come again with the rest:
  // the same bytes from the first unaccepted one on, at any address, at least as many as before. An empty `plain` is
  // accepted and produces nothing. Need input: a renegotiation is under way and the library cannot write now; read.
  // Errors: invalid_state before the handshake is done or after close_notify(); handshake_failed where the peer has
  // closed within a renegotiation.
  virtual std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) = 0;

  // read decrypts into `plain` (not empty) and drives everything that the peer may have started. Needs: nothing with
  // bytes > 0 (there may be more: call again), or a clean end; input; room (an answer to the peer did not fit).
  // Errors: truncated, protocol, peer_alert, ...; invalid_state before the handshake is done.
  virtual std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) = 0;

  // readable is true if read() could make progress without more input: decrypted bytes are held back, or input has
  // not been used up. A layer asks before it goes to sleep.
  virtual bool readable() const noexcept = 0;

  // renegotiate starts a new handshake on an established TLS 1.2 connection; its completion is read()'s work and
  // shows as Facts::handshakes. Errors: unsupported (TLS 1.3, a role or library that cannot), invalid_state (before the
  // handshake, while a write is only partly accepted, while one is under way, after close_notify()).
  virtual std::expected<Need, Error> renegotiate(CipherOut& out) = 0;

  // update_keys sends a TLS 1.3 KeyUpdate and asks the peer for one. Errors: unsupported (TLS 1.2, or the library
  // cannot), invalid_state (before the handshake, while a write is only partly accepted, after close_notify()).
  virtual std::expected<Need, Error> update_keys(CipherOut& out) = 0;

  // close_notify ends our direction; read() still works. Needs: nothing (the alert is in `out`) or room. A second call
  // produces nothing. Errors: invalid_state before the handshake is done, while a renegotiation is under way, or while
  // a write is only partly accepted; unsupported is never an answer: an engine without such an alert (null) needs
  // nothing.
  virtual std::expected<Need, Error> close_notify(CipherOut& out) = 0;

  // facts reads back what is used. All but `library` is meaningful once the handshake is done. Errors: none; strings
  // may be empty if memory ran out.
  virtual Facts facts() const = 0;

  // session exports the session for a later resumption; empty if there is none (yet: in TLS 1.3 it arrives with the
  // first reads). Client role only. Errors: unsupported, no_memory.
  virtual std::expected<Bytes, Error> session() = 0;
};

}  // namespace rig
