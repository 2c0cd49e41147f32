// session_slot: where a table that knows TLS sessions by their addresses begins to look for one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rig {

// session_slots_max is how many places such a table has.
inline constexpr std::size_t session_slots_max = 1024;

// session_slot answers a place below session_slots_max. Two sessions may share one.
inline std::size_t session_slot(const void* session) noexcept {
  static_assert(session_slots_max == std::size_t{1} << (64 - 54));
  return (reinterpret_cast<std::uintptr_t>(session) >> 4) * 0x9e3779b97f4a7c15u >> 54;
}

}  // namespace rig
