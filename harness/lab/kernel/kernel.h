// The virtual kernel, as run() sees it: sockets, pipes and pollers of one run. What the functions in place of the
// system's share stands in state.h of this folder.
#pragma once

#include <cstddef>

#include "harness/lab/lab.h"

namespace rig::lab {

// kernel_begin makes an empty kernel for the run that is going on; without it, the first call that needs one does.
// kernel_end forgets it, and answers how many descriptors were open. Thread: of run(), before the first and after the
// last call of the run's threads.
void kernel_begin(const Options& options);
std::size_t kernel_end();

}  // namespace rig::lab
