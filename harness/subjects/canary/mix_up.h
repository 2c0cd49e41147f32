// Mix-ups: subjects that tell one class of outcome as another. The canaries of law X1.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "harness/base/error.h"
#include "harness/subjects/subject.h"

namespace rig {

// MixUp is what is taken for what.
enum class MixUp : std::uint8_t {
  none,
  truncation_as_end,
  end_as_truncation,
  reset_as_end,
  timeout_as_reset,
  refusal_as_timeout,
  distrust_as_reset,  // a failed verification, and a handshake that failed by a key
  dismissal_as_end,   // the peer's alert
  end_as_failure,     // an orderly end, as what the peer sent that is no TLS
  end_as_reset,       // also of the side that has begun to end
  abort_as_end,       // a graceful close aborts: a canary of W1
  failure_as_sent,    // a `sent` with an error comes with success: a canary of C5, for ops that are all of one length
};

// MixUpKind is its name ("truncation_as_end").
struct MixUpKind {
  MixUp mix_up;
  std::string_view name;
};

// mix_ups lists those of X1.
std::span<const MixUpKind> mix_ups();

// make_mix_up wraps `inner`, which must outlive its use, so that every `closed` (or `sent`) of the kind is told wrong
// once `data` has come `after_data` times, to all sockets together; a `connected` with an error stays one. There is one
// in the process, which must be made while no run is under way; all sockets of the process have one table of callbacks.
const rig_subject* make_mix_up(const rig_subject* inner, MixUp mix_up, std::uint64_t after_data = 0);

}  // namespace rig
