// The position code: how payload bytes say which stream, op and offset they belong to. Internal to the oracle room.
#pragma once

#include <cstdint>
#include <optional>

#include "harness/base/bytes.h"

namespace rig {

// CodeKey stands for one op of one stream in the code.
using CodeKey = std::uint64_t;

// code_key is the key of an op.
CodeKey code_key(std::uint64_t stream, std::uint64_t token) noexcept;

// code_fill writes the payload bytes of the op from `offset` on.
void code_fill(CodeKey key, std::uint64_t offset, MutableBytes bytes) noexcept;

// CodeWord is a word of position code found in foreign bytes. The code is a counter under an invertible mix, so two
// neighbouring words betray that they are code, of whatever op, and each known op can be asked whether it is its own.
struct CodeWord {
  std::uint64_t at;       // where in the bytes the word begins
  std::uint64_t counter;  // key + index * step

  // offset_in is the offset in the op with `key` at which the word stands; nothing if the op would have to be longer
  // than `bytes` for that.
  std::optional<std::uint64_t> offset_in(CodeKey key, std::uint64_t bytes) const noexcept;
};

// code_find looks for two neighbouring words that begin in the first 8 bytes. It takes 23 bytes to be sure to find what
// is there.
std::optional<CodeWord> code_find(ByteView bytes) noexcept;

}  // namespace rig
