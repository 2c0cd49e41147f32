// The process that runs cases in the lab, before the first of them: a command or a fuzzer.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "harness/base/error.h"

namespace rig {

// enter_lab makes the process one of which every fork, and every later process of the same program, is alike: it is
// executed anew without address randomisation, once, where the system lets it, and each TLS library is used once in a
// seeded run of its own, so that no case pays for the first use. To be called before anything else is done with a
// library, on the only thread. Answers why addresses are not fixed, if they are not: the bytes of a run (not its
// schedule) may then differ between processes. Errors: what the system or the lab refuses.
std::expected<std::optional<std::string>, Error> enter_lab();

}  // namespace rig
