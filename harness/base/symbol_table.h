// The names of functions that are not exported, from the symbol table of an ELF file.
#pragma once

#include <cstdint>
#include <string>

namespace rig {

// function_in_file is the name of the function that holds `address`, as the file at `path` counts addresses; empty if
// the file was stripped, or is none. It reads the file. Thread: any.
std::string function_in_file(const char* path, std::uint64_t address);

}  // namespace rig
