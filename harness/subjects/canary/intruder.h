// Intruders: subjects whose callbacks come where none may. The canaries of law C7.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "harness/subjects/subject.h"

namespace rig {

// Intrusion is what is wrong with a callback.
enum class Intrusion : std::uint8_t {
  none,
  under_lock,   // every `data` comes while a mutex of the subject is held
  inside_send,  // a send that is not refused calls `writable` before it returns
  foreign,      // `writable` comes on a thread of the subject's own, in the second send
  deeper,       // each `sent` of a turn comes from deeper in the stack than the one before
};

// IntrusionKind is its name.
struct IntrusionKind {
  Intrusion intrusion;
  std::string_view name;
};

// intrusions lists all but `none`.
std::span<const IntrusionKind> intrusions();

// make_intruder wraps `inner`, which must outlive its use. There is one in the process, which must be made while no run
// is under way; all sockets of the process have one table of callbacks. `foreign` and `inside_send` concern sockets
// that connect() has made.
const rig_subject* make_intruder(const rig_subject* inner, Intrusion intrusion);

}  // namespace rig
