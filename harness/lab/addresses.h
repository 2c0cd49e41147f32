// Fixed addresses: what a run's bytes need in order to be the same in every process. OpenSSL mixes addresses into its
// random numbers.
#pragma once

#include <optional>
#include <string>

namespace rig::lab {

// fix_addresses executes the program anew, once, with its own arguments, without address randomisation, unless that is
// off already, and with every function bound (LD_BIND_NOW). To be called first in main(), since all that was done
// before is done again. Answers why addresses are not fixed, if they are not: the byte hash of a run may then differ
// between processes, its schedule hash does not. Thread: the only one of the process.
std::optional<std::string> fix_addresses();

}  // namespace rig::lab
