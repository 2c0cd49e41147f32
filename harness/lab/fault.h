// Fault: one thing that goes wrong at one named moment of a lab run. Faults are numbered items of a scenario, so that
// each can be taken away by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "harness/lab/op.h"

namespace rig::lab {

// FaultKind is what goes wrong. `amount` of the fault means what is said here.
enum class FaultKind : std::uint8_t {
  short_write,   // a send takes `amount` bytes at most (at least 1)
  short_read,    // a receive gives `amount` bytes at most (at least 1)
  would_block,   // a call that does not wait answers EAGAIN, of a TCP socket whose other end could be slow
  interrupted,   // a call answers EINTR
  error,         // a call fails with the errno `amount`
  reset,         // the connection is reset once the stream has carried `amount` bytes
  delay,         // what the stream carries from byte `offset` on arrives `amount` microseconds later
  split,         // a segment of the stream ends at byte `amount`
  coalesce,      // segments from byte `offset` on are held back until the stream has carried `amount` bytes, or its
                 // end, or 200 virtual milliseconds have passed
  sync_connect,  // a non-blocking connect succeeds at once
  no_memory,     // the nth allocation fails; with `sticky`, each one from there on
  errno_noise,   // the call succeeds and leaves `amount` in errno
  spurious,      // a poll reports a readiness that is not there (one descriptor, once)
  option,        // setsockopt is refused with the errno `amount`
  stop,          // a send of the stream, and a receive, ends at its byte `amount`
  block,         // the same, and the next one answers EAGAIN, once, on a descriptor that does not wait
};

// FaultSide says which end of a connection is meant: client (which called connect) or server (which was accepted).
enum class FaultSide : std::uint8_t { any, client, server };

// Fault strikes the nth (from 1) call of `op` on that side of that connection; without a connection, the nth call on
// any descriptor (no_memory: the nth allocation of the run). The faults of a stream (reset, delay, split, coalesce,
// stop, block) strike by byte offset, in the direction away from `side`, and have no op. Connections are known by the
// port of their listener (name_connection).
struct Fault {
  std::uint32_t number = 0;
  FaultKind kind = FaultKind::short_write;
  std::optional<std::uint32_t> connection;
  FaultSide side = FaultSide::any;
  Op op = Op::send;
  std::uint64_t nth = 1;
  std::uint64_t offset = 0;
  std::int64_t amount = 0;
  bool sticky = false;
  bool operator==(const Fault&) const = default;
};

// fails_for_good says that a call which a fault strikes fails, and that coming again is no answer. EAGAIN of a connect
// is such an error: no port is free.
bool fails_for_good(const Fault& fault);

// Words for files, and what each kind does, as a sentence for a person.
std::string_view sentence(FaultKind kind);
std::string_view word(FaultKind kind);
std::optional<FaultKind> fault_kind_from_word(std::string_view text);
std::string_view word(FaultSide side);
std::optional<FaultSide> fault_side_from_word(std::string_view text);

// name_connection says that the connections of the listener on `port` are connection `number`; for faults and for
// traces. It may be called within a run only. Thread: of the run.
void name_connection(std::uint16_t port, std::uint32_t number);

}  // namespace rig::lab
