// What every function in place of the system's begins with. Internal to the lab's folders.
#pragma once

#include "harness/lab/real.h"
#include "harness/lab/sanitizer.h"
#include "harness/lab/scheduler.h"

// RIG_LAB_EXPORT stands before each function that takes the place of a system's: the shared libraries of the process
// must find it, and its name stands in an exports list.
#define RIG_LAB_EXPORT extern "C" [[gnu::visibility("default"), gnu::used]]

// RIG_LAB_CALLER is where the present function was called from.
#define RIG_LAB_CALLER __builtin_return_address(0)

namespace rig::lab {

// outside says that a call is to be passed on to the system: the thread is not of a run, or AddressSanitizer is in the
// middle of a report. The report unwinds stacks with a lock of its own held, and must not lose the token meanwhile.
inline bool outside() noexcept {
  return self() == nullptr || (__asan_report_present != nullptr && __asan_report_present() != 0);
}

}  // namespace rig::lab
