// Transport: the byte stream below TLS. One object owns a descriptor, and one path closes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "harness/base/bytes.h"
#include "harness/base/error.h"
#include "harness/base/native_handle.h"

namespace rig {

// Endpoint is a TCP address: a numeric host ("127.0.0.1", "::1", no brackets) and a port.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
};

// endpoint_text is "127.0.0.1:80" or "[::1]:80".
std::string endpoint_text(const Endpoint& endpoint);

// Transport is one connected, or connecting, non-blocking byte stream.
//
// Owns: its descriptor, from construction to close(), which is the only path that closes it; the destructor calls it.
// Signals: a send to a dead peer never raises SIGPIPE.
// Thread: send() and recv() may run at the same time on two threads, each on one at a time; close() and the destructor
// when neither runs.
class Transport {
 public:
  virtual ~Transport() = default;

  // handle names the stream for a Poller; invalid_handle after close().
  virtual NativeHandle handle() const noexcept = 0;

  // finish_connect says how a connect in progress ended, once the stream is writable. Errors: refused, unreachable,
  // timeout, reset, ...; would_block while it is still in progress.
  virtual Status finish_connect() noexcept = 0;

  // failure says what has become of a connected stream while nobody sent or received: nothing while it lives; reset,
  // timeout, ... once the system has given it up; closed if it is over and the system says no more than that (both
  // sides have ended, or the error was taken before). It takes the pending error, so it is an answer to act on.
  virtual Status failure() noexcept = 0;

  // send hands over a prefix of the joined `pieces` and returns its length. With `more` the caller promises further
  // bytes soon, and the system may hold these back to join them (MSG_MORE). EINTR is not an answer. Errors: would_block
  // (nothing taken), reset, no_memory, closed (after close(), as every verb), ...
  virtual std::expected<std::size_t, Error> send(std::span<const ByteView> pieces, bool more) noexcept = 0;

  // push lets what was sent with `more` leave now, as a send without it would have. A refusal ends nothing. Source:
  // tcp(7), TCP_CORK; a send of no bytes pushes nothing.
  virtual Status push() noexcept = 0;

  // recv takes what is there, at most `storage.size()` bytes (not 0). 0 is the end of the peer's stream (FIN).
  // EINTR is not an answer. Errors: would_block, reset, timeout, ...
  virtual std::expected<std::size_t, Error> recv(MutableBytes storage) noexcept = 0;

  // shutdown_send ends our direction (FIN after everything sent so far). Errors: reset if the peer is gone.
  virtual Status shutdown_send() noexcept = 0;

  // unsent_bytes is how much the peer's system has not acknowledged yet, our FIN included; nothing if the platform
  // cannot tell.
  virtual std::expected<std::size_t, Error> unsent_bytes() const noexcept = 0;

  // set_nodelay switches Nagle's algorithm off or on. A refusal ends nothing.
  virtual Status set_nodelay(bool on) noexcept = 0;

  // set_buffers asks for buffer sizes; 0 leaves one alone. Units: bytes. A refusal ends nothing.
  virtual Status set_buffers(std::size_t send_bytes, std::size_t recv_bytes) noexcept = 0;

  // close gives the descriptor back; with `reset` what is unsent is dropped and the peer sees RST. A second call does
  // nothing.
  virtual void close(bool reset) noexcept = 0;

  // local and peer addresses, as far as the platform knows them.
  virtual std::expected<Endpoint, Error> local_endpoint() const = 0;
  virtual std::expected<Endpoint, Error> peer_endpoint() const = 0;
};

// connect_tcp begins a connection. The stream is in progress, or already connected or refused where the system does
// that at once; in each case the caller waits for writable and asks finish_connect(). Errors: only what cannot become a
// stream at all: invalid_argument (the host is not numeric), no_descriptors, no_memory, unsupported (no IPv6 here).
std::expected<std::unique_ptr<Transport>, Error> connect_tcp(const Endpoint& peer) noexcept;

// Acceptor is a listening TCP socket. Owns: its descriptor, as Transport. Thread: one thread at a time.
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  virtual NativeHandle handle() const noexcept = 0;
  // accept takes one waiting connection. Errors: would_block (none is waiting); no_descriptors or no_memory (it goes on
  // waiting in the backlog); a connection that died in the backlog is skipped.
  virtual std::expected<std::unique_ptr<Transport>, Error> accept() noexcept = 0;
  virtual std::expected<Endpoint, Error> local_endpoint() const = 0;
  virtual void close() noexcept = 0;
};

// listen_tcp opens a listening socket; port 0 lets the system choose (see local_endpoint). Errors: invalid_argument,
// address_in_use, no_descriptors, refused_by_system, unsupported (no IPv6 here). An IPv6 listener takes IPv6 only.
std::expected<std::unique_ptr<Acceptor>, Error> listen_tcp(const Endpoint& local, int backlog) noexcept;

}  // namespace rig
