// Canaries: a subject that is sound but for one thing, so that a test can demand that the law against it reports.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "harness/oracle/violation.h"
#include "harness/subjects/subject.h"

namespace rig {

// Canary is what is broken, at one socket and one moment. The moment counts, from 1, the events of that socket that the
// canary can spoil; they are named here. Where there is one event only (`connected`, `closed`), it is not looked at.
enum class Canary : std::uint8_t {
  none,                      // nothing: the wrapper alone must be silent
  c1_lost,                   // a `sent` is swallowed
  c1_twice,                  // a `sent` comes twice
  c1_wrong_token,            // a `sent` comes with a token that was never issued
  c1_connected_twice,        // `connected` comes twice
  c2_callback_too,           // a send that is not refused is answered as completed, and its `sent` comes as well
  c3_data_after_closed,      // `data` (of no bytes, so that the stream stays right) comes after `closed`
  c3_data_before_connected,  // `data` (of no bytes) comes before `connected`
  c4_swapped,                // a `sent` and a second one that follows it in the same turn change places
  c5_short,                  // a `sent` with success and at least 1 byte comes with a byte too few
  c5_success_for_failure,    // a `sent` with an error comes with success and the whole length
  c6_never_closed,           // `closed` is swallowed
  c6_registration_left,      // after `closed` the socket's loop counts a registration more
  c6_listener_left,          // after `closed` the socket's loop counts a listener more
  c6_undestroyed,            // after destroy() the socket's loop counts an undestroyed socket more
  s1_changed,                // a byte of a `data` is flipped
  s1_lost,                   // a byte of a `data` is left out
  s1_doubled,                // a byte of a `data` comes twice
  s1_swapped,                // the halves of a `data` of at least 2 bytes change places
  h1_entry_left,             // a send leaves an entry in an ambient source of the canary's own
};

// CanarySide is which sockets are counted: those that connect() made, or those that were adopted.
enum class CanarySide : std::uint8_t { client, server };

// CanaryKind says what a canary provokes.
struct CanaryKind {
  Canary canary;
  std::string_view name;  // "c1_lost"
  Law law;                // which must report, and it alone at the app door
};

// canaries lists all but `none`.
std::span<const CanaryKind> canaries();

// make_canary wraps `inner`, which must outlive its use, and breaks `which` at the `moment` of one socket: the
// `connection_index`-th (from 0) that `side` connects or adopts. Handles are the inner subject's own, and all other
// sockets are untouched. The app's `user` must outlive the socket by a callback (c3_data_after_closed).
//
// The table of subject.h carries no user pointer, so there is one canary in the process: make_canary replaces the one
// before it, and must be called while no run is under way. Some canaries need a situation: c4_swapped one sender and
// two completions in a turn; c5_success_for_failure is seen by OpLedger if an op that failed came before (moment 2 or
// later).
const rig_subject* make_canary(const rig_subject* inner, Canary which, std::uint32_t connection_index,
                               std::uint64_t moment, CanarySide side = CanarySide::client);

// canary_struck says whether the break has happened since make_canary: without it a silent law has proved nothing.
// Thread: any.
bool canary_struck();

}  // namespace rig
