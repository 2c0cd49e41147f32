// Environment: what a run on loopback needs of this machine, and the sentences that say what is lacking and what to do.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "harness/base/error.h"

namespace rig {

// descriptors_needed is how many descriptors a process must have free to run any case, with room to spare.
inline constexpr std::size_t descriptors_needed = 256;

// open_descriptors is how many sockets, pipes and pollers are open: in the lab those of its kernel, else those of this
// process, as far as /proc tells.
std::size_t open_descriptors();

// descriptors_lacking says that fewer are free in this process, and what to do; nothing if there are enough. Without
// /proc those that are open are not counted.
std::optional<std::string> descriptors_lacking();

// try_loopback opens a listener on the loopback address, and closes it. Errors: what the system says.
Status try_loopback(bool ipv6);

// ipv6_lacking says that this machine has no IPv6 loopback address, and what to do; nothing if it has one.
std::optional<std::string> ipv6_lacking();

// lack_behind says what of this machine was used up when `error` came, and what to do; nothing if the error is not the
// machine's: that memory has run out is believed where the system says so, by its number or when asked for some. A
// process that has met its own limit of descriptors is none: descriptors_lacking() was asked before.
std::optional<std::string> lack_behind(const Error& error);

}  // namespace rig
