// Small programs with a planted bug each, of the kinds that real socket layers had.
#pragma once

namespace rig::lab {

// Encrypting and flushing are two critical sections: a flush takes the bytes of a stranger's op along and completes
// only its own (pjproject#4864). True: every op has completed.
bool encrypt_then_flush();

// Two mutexes are taken in opposite orders.
bool opposite_locks();

// A close frees the ops, one of which the drainer still writes. With ASan it is reported; without, a freed op is known
// by its mark.
bool freed_in_flight();

// A flag is looked at and set under its mutex, but not in one critical section: `closed` is reported twice.
bool check_then_act();

// A sender leaves an item to a drainer that has just stopped looking: the flag is loaded, and stored later. There is no
// lock in it, so that without memory hooks it has no point to be preempted at. (planted_hooks.cc)
bool lost_wake_up();

// The same programs with the bug mended; they must be silent.
bool encrypt_and_flush();
bool ordered_locks();
bool kept_in_flight();
bool check_and_act();
bool kept_wake_up();

}  // namespace rig::lab
