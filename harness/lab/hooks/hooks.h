// Memory hooks: preemption between memory accesses, for code compiled with -fsanitize=thread and linked without it.
#pragma once

namespace rig::lab {

// link_memory_hooks does nothing; to name it makes the linker take the hooks from their library.
void link_memory_hooks();

}  // namespace rig::lab
