// The ends of threads. Internal to this folder.
#pragma once

namespace rig::lab {

// watch_end has the calling thread's part of the run end with the last of its destructors, or not.
void watch_end(bool wanted);

// release_detached gives a crew's thread that is about to end back, if nobody can join it.
void release_detached();

}  // namespace rig::lab
