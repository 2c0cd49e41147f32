// Bugs planted on purpose, to see how soon the fuzzers find them.
#pragma once

#include "harness/subjects/subject.h"

namespace rig {

// planted_subject is the house with the bug in it that TLSRIG_PLANT names, as new for each run: NAME or NAME:MOMENT,
// where NAME is a canary of harness/subjects/canary (c1_lost, c1_twice, ...), struck on the first client at its
// MOMENT-th event (1), or use_after_close: after MOMENT sends (1) a close leaves the socket's note behind, freed, and
// what comes next looks at it. Null without the variable. A name that is not known ends the process.
const rig_subject* planted_subject();

}  // namespace rig
