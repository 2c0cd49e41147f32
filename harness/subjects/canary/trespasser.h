// The trespasser: a subject that does with descriptors what no layer may.
#pragma once

#include <cstdint>

#include "harness/subjects/subject.h"

namespace rig {

// Trespass is what it does, once, within the first turn of a loop. What is wrong is done with descriptors of
// its own, but for what is said in the clear.
enum class Trespass : std::uint8_t {
  none,                 // all of what follows, as it should be
  double_close,         // F1
  use_after_close,      // F1
  register_closed,      // F1: in a poll
  leak,                 // F1: the socket is never closed
  acts_on_old_event,    // F1: reads from a connecting socket, by an event that was collected for what had its number
  raises_sigpipe,       // P1
  overruns_sets,        // M1: a select beyond its sets
  waits_in_a_call,      // L2: reads from a socket that is not O_NONBLOCK
  ignores_input,        // L2: waits again and again for input that is there
  ignores_room,         // L2: asks for room, and has nothing to send
  repeats_at_once,      // L2: a send that would block, again and again
  starves,              // L2: reads from one socket on and on, while its neighbour waits
  gulps,                // L2: the same in a few large reads
  ticks,                // L2: wakes up each millisecond, while nothing happens
  ticks_slowly,         // the neighbour of that, for virtual time: a timer of some times in a second
  speaks_in_the_clear,  // W1: on the first connection that is begun, which ends it
};

// make_trespasser wraps `inner`, which must outlive its use. There is one trespasser in the process.
const rig_subject* make_trespasser(const rig_subject* inner, Trespass trespass);

}  // namespace rig
