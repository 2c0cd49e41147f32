// SendQueue: the full per-op send queue of a socket, as a value.
//
// Theory of operation. An op is one send of the application. It passes through two lanes:
//
//     push() -> WAITING lane (plaintext, copied once) -> encrypt -> WIRE lane (ciphertext) -> transport -> done
//
// The wire lane is one stream of ciphertext in chunks. An op remembers where in that stream its last byte ends, so
// short writes need no bookkeeping of their own: consume(n) moves the stream's front, and every op that ends at or
// before it is done, in order. Control ciphertext (handshake, renegotiation, key update, alerts) has no op and enters
// at the tail of the wire lane, past all waiting plaintext: in a single queue a renegotiation would wait behind the
// data that waits for it, and nothing would ever move again.
//
// An op has exactly one owner state, QUEUED -> INFLIGHT -> DONE | CANCELLED, and is handed out by pop_completed()
// exactly once, in issue order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>

#include "harness/base/bytes.h"
#include "harness/base/error.h"

namespace rig {

// Token is the application's name for an op. A token that is still pending cannot be used again.
using Token = std::uint64_t;

// SendLimits bounds a queue. Units: ops and bytes. As much as may be pending may be done besides, and wait for
// pop_completed(); beyond that nothing is taken.
struct SendLimits {
  std::size_t ops_max = 65536;               // pending ops (0 counts as 1)
  std::size_t bytes_max = 16 * 1024 * 1024;  // plaintext bytes of those ops
  std::size_t wire_bytes_max = 256 * 1024;   // ciphertext bytes at which encrypt-ahead stops; control may exceed it
  std::size_t free_ops_max = 64;             // op nodes kept for reuse
  std::size_t free_chunks_max = 4;           // wire chunks kept for reuse
};

// Completion is the end of one op.
struct Completion {
  Token token = 0;
  std::size_t bytes = 0;       // plaintext bytes of the op
  std::optional<Error> error;  // nothing: every byte was taken by the transport
};

// SendQueue holds the ops of one socket.
//
// Owns: plaintext and ciphertext of every op. Errors: as said at each verb; cancel_all(), consume() and pop_completed()
// never allocate and cannot fail.
// Thread: one thread at a time; it calls nobody back. One exception makes draining without a lock possible: between
// gather() and consume() the gathered pieces stay where they are, whatever else is called but cancel_all().
class SendQueue {
 public:
  explicit SendQueue(const SendLimits& limits = {});
  ~SendQueue();
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;

  // push copies `plain` into a new op at the end of the waiting lane. `more`: further ops follow soon, this one may
  // wait for them. A zero-length op is an op like any other. An op larger than bytes_max is accepted when nothing else
  // is queued, so that every op can be sent some time. Errors: invalid_argument (the token is pending), would_block (a
  // limit is reached; take_writable_again() tells when to come back), no_memory. A refused push leaves no trace.
  Status push(Token token, ByteView plain, bool more) noexcept;

  // next_plain is what to encrypt next: the unencrypted rest of the first waiting op that has one; nothing if all is
  // encrypted or the wire lane is full. Zero-length ops are passed along to the wire lane on the way.
  std::optional<ByteView> next_plain() noexcept;

  // encrypted says that `accepted` more bytes of next_plain() are in the wire lane, and that the last commit_wire() was
  // ciphertext of that op. Call it behind each commit_wire() of an engine's write, also with 0 (a record that is only
  // partly out): ciphertext that no call of encrypted() follows is control.
  void encrypted(std::size_t accepted) noexcept;

  // partly_encrypted is true while the op at the front of the waiting lane has sent bytes to the wire lane and is not
  // all there.
  bool partly_encrypted() const noexcept;

  // prepare_wire is storage at the tail of the wire lane for an engine to fill, at least 1 byte; the part that was
  // filled is then given to commit_wire(). The storage is not part of any gathered piece. Errors: no_memory.
  std::expected<MutableBytes, Error> prepare_wire() noexcept;

  // commit_wire appends the first `bytes` of the prepared storage to the wire lane.
  void commit_wire(std::size_t bytes) noexcept;

  // Gathered is a run of ciphertext for one system call.
  struct Gathered {
    std::size_t pieces = 0;  // how many entries were filled
    std::size_t bytes = 0;   // and their length together
    bool more = false;       // nothing in the wire lane must leave at once: the run may wait for more (MSG_MORE)
  };

  // gather fills `pieces` from the front of the wire lane. It stops behind the last byte of an op pushed without `more`
  // if only ops with `more` follow, so that holding the latter back cannot hold back the former. With `flush` nothing
  // is held back: `more` is false and the run is not cut. Control ciphertext is never held back.
  Gathered gather(std::span<ByteView> pieces, bool flush) noexcept;

  // consume says that the transport took `bytes` of what was gathered last; ops that end there are DONE.
  void consume(std::size_t bytes) noexcept;

  // take_push is true once after an op without `more` was done that had no byte of its own to send while what was sent
  // last may be held back by the transport (Gathered::more): nothing else would make it leave.
  bool take_push() noexcept;

  // settle_front completes ops at the front that have nothing (left) to send: zero-length ones, which wait for the ops
  // before them but never for control ciphertext. Call it once the connection may carry ops at all: consume() leaves
  // those of the waiting lane alone, so that none is done before the handshake is.
  void settle_front() noexcept;

  // cancel_all makes every op that is not DONE CANCELLED with `error`, in issue order behind the DONE ones, and drops
  // both lanes: pieces gathered and storage prepared before it are gone, and no consume() or commit_wire() for them may
  // follow.
  void cancel_all(const Error& error) noexcept;

  // pop_completed hands out the oldest op that is DONE or CANCELLED; its token is free again.
  std::optional<Completion> pop_completed() noexcept;

  // take_writable_again is true once after a push was refused with would_block, both pending ops and bytes have fallen
  // to half their limits or below, what is done is within the limits as well, and the smallest op that was refused fits
  // (else its owner would come back in vain, again and again).
  bool take_writable_again() noexcept;

  // refused is true from a push that was refused with would_block until take_writable_again() was true.
  bool refused() const noexcept;

  bool has_completed() const noexcept;       // pop_completed() would hand out something
  bool idle() const noexcept;                // no op is pending, nothing is completed, the wire lane is empty
  std::size_t ops() const noexcept;          // ops pushed and not yet handed out by pop_completed()
  std::size_t ops_pending() const noexcept;  // of those, neither DONE nor CANCELLED
  std::size_t plain_bytes() const noexcept;  // plaintext bytes of pending ops
  std::size_t wire_bytes() const noexcept;   // ciphertext bytes not yet taken by the transport
  bool only_more() const noexcept;           // something is queued, and all of it may wait for more

  // Counters for tests and the free list's contract.
  struct Counters {
    std::uint64_t nodes_allocated = 0;
    std::uint64_t nodes_reused = 0;
    std::uint64_t nodes_released = 0;  // freed at once because the free list was at its cap
    std::size_t nodes_free = 0;
    std::size_t chunks_free = 0;
  };
  Counters counters() const noexcept;

 private:
  struct Lanes;
  std::unique_ptr<Lanes> lanes_;
};

}  // namespace rig
