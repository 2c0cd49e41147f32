// Bugs planted on purpose, to see how soon the fuzzers find them.
#pragma once

#include <memory>

#include "harness/engine/engine.h"
#include "harness/subjects/subject.h"

namespace rig {

// planted_subject is the house with the bug in it that TLSRIG_PLANT names, as new for each run: NAME or NAME:MOMENT,
// where NAME is a canary of harness/subjects/canary (c1_lost, c1_twice, ...), struck on the first client at its
// MOMENT-th event (1), or a mix-up (truncation_as_end, ...), told once `data` has come MOMENT - 1 times, or
// wrong_class:MOMENT: one class of error is told as its neighbour, in `connected` and `closed` (planted.cc lists them),
// or use_after_close: after MOMENT sends (1) a close leaves the socket's note behind, freed, and what comes next looks
// at it. Null without the variable, and where it names a bug of an engine. A name that is not known ends the process.
const rig_subject* planted_subject();

// planted_engine is `engine`, or where TLSRIG_PLANT is no_clear or no_clear:MOMENT one that misses a clear before a
// read: an error that lies in the library's queue before its MOMENT-th read that waits for input is taken for its own.
std::unique_ptr<TlsEngine> planted_engine(std::unique_ptr<TlsEngine> engine);

}  // namespace rig
