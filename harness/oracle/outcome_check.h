// OutcomeCheck: law X1. How a connection ended is told as what happened to it, on every backend alike.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "harness/base/error.h"
#include "harness/oracle/violation.h"

namespace rig {

// Deed is what the world did to one side of a connection: that by which it ended, and nothing else did.
enum class Deed : std::uint8_t {
  orderly_end,     // the peer sent everything, its close_notify and its FIN (plain TCP: its FIN)
  cut,             // the peer's FIN came without a close_notify
  reset,           // RST
  nobody_listens,  // the port was refused
  silence,         // the peer was never heard, until a deadline of ours
  distrusted,      // the peer is not who it is to be: another certificate, name or key
  dismissed,       // the peer does not accept us, says so in an alert, and goes
};

// all_deeds lists them in their order; deed_sentence says what happened ("the peer was reset").
std::span<const Deed> all_deeds() noexcept;
std::string_view deed_sentence(Deed deed) noexcept;

// outcomes_of are the classes that tell a deed, where no code is an orderly end. Source: the classes of error.h; a key
// that differs shows as a handshake that fails, since only the keys made of it are compared (RFC 4279, RFC
// 8446 4.2.11). A reset overtakes the alert of a peer that goes at once, and one that comes before the keys do may not
// be readable.
std::span<const std::optional<Code>> outcomes_of(Deed deed) noexcept;

// judge_outcome reports X1 at `where` if `outcome`, the error of `closed` or of `connected`, does not tell `deed`. What
// it asks: a truncation is no end and an end no truncation; a reset, a refused port, a deadline and a failed
// verification are neither of these, nor each other. Only for a side that has not ended the connection itself before it
// learnt of the deed: what such a side is told is its own business. Thread: any.
void judge_outcome(const std::string& where, Deed deed, const std::optional<Error>& outcome, ViolationLog& log);

// is_told_by_peers says that a code can be the truth about what the peer did or met: its reset, its end, its alert. Any
// other code that is told of a connection says that something of this side's own, or of what came, was wrong.
bool is_told_by_peers(Code code) noexcept;

// judge_unprovoked reports X1 at `where`: `outcome` was told, and nothing was done to the connection that is told so.
// Who asks knows what was done. Thread: any.
void judge_unprovoked(const std::string& where, const Error& outcome, ViolationLog& log);

// judge_lack reports X1 at `where` if what was told of a call that failed for lack of memory, and for nothing else, is
// another class. Thread: any.
void judge_lack(const std::string& where, const Error& told, ViolationLog& log);

}  // namespace rig
