// The fake subject: a socket layer in memory, so small that it is plainly right. For tests of wrappers.
#pragma once

#include "harness/subjects/subject.h"

namespace rig {

// fake_subject is its table. A loop is a queue of callbacks that loop_turn runs; it never waits. With fast_track a send
// completes at once unless the peer has paused; else it goes pending. An aborted socket fails what is pending, and its
// peer is reset. Thread: one.
const rig_subject* fake_subject();

// fake_sockets is how many sockets exist.
int fake_sockets();

}  // namespace rig
