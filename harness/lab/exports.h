// What the lab defines in place of the system's: the names of all exports.list files.
#pragma once

#include <span>

namespace rig::lab {

// exports are the names of the functions that an executable with the lab must export.
std::span<const char* const> exports();

}  // namespace rig::lab
