// Randomness outside of runs. Within a run it comes from the run's seed.
#pragma once

#include <cstdint>

namespace rig::lab {

// fix_entropy makes what the process draws outside of runs come from `seed`, and its id a constant there: TLS libraries
// mix what they drew earlier into what they draw in a run, so that runs in different processes are equal to the byte
// only if both were fixed. To be called before a TLS library is first used. Thread: any.
void fix_entropy(std::uint64_t seed);

}  // namespace rig::lab
