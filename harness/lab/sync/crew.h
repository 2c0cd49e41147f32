// The crew: threads that are parked between the runs of a process instead of made anew (Options::crew). Internal to
// this folder.
#pragma once

#include <pthread.h>

#include "harness/lab/scheduler.h"

namespace rig::lab {

// Member is one thread of the crew.
struct Member;

// crew_create gives `routine` to a parked thread, or to one that it makes for it; null: none could be made, or the run
// has no crew. The thread belongs to the caller until crew_release.
Member* crew_create(pthread_t* handle, void* (*routine)(void*), void* argument);

// record_of is the member's thread of this run; result_of is what its routine returned or passed to pthread_exit, once
// that has ended.
Thread* record_of(const Member& member);
void* result_of(const Member& member);

// crew_release parks a member whose routine has ended, or that is about to end: its handle stands for nobody from there
// on.
void crew_release(Member& member);

// crew_exit keeps what the calling thread, if it is of the crew, passes to pthread_exit. It leaves the crew.
void crew_exit(void* result);

}  // namespace rig::lab
