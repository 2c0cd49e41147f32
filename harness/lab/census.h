// Census: what the code of a run holds, for laws about it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rig::lab {

// locks_held is how many mutexes the calling thread holds; 0 outside of a run. Thread: any.
std::uint32_t locks_held() noexcept;

// open_descriptors is how many virtual descriptors are open. Within a run only. Thread: of the run.
std::size_t open_descriptors();

}  // namespace rig::lab
