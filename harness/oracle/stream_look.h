// What wrong bytes look like: the part of an S1 report that a person needs. Internal to the oracle room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "harness/base/bytes.h"
#include "harness/oracle/position_code.h"

namespace rig {

// StreamPayload is what one op carries: position code, or the bytes of an echo.
struct StreamPayload {
  std::uint64_t token = 0;
  std::uint64_t bytes = 0;
  CodeKey key = 0;
  bool echoed = false;
  Bytes echo;  // only if `echoed`

  // agreeing is how many of `actual`, from the first on, are the payload from `offset` on.
  std::size_t agreeing(std::uint64_t offset, ByteView actual) const;
};

// KnownOp is an op that the stream has had, and how far it has come.
struct KnownOp {
  enum class State : std::uint8_t { awaited, under_way, arrived, refused };

  const StreamPayload* payload;
  State state;
};

// stream_look says what `actual` is, the bytes that stand where byte `offset` of `expected` was due (nullptr: nothing
// was due). It answers with the predicate of a sentence: "op 7, which has arrived already, comes again."
std::string stream_look(ByteView actual, const StreamPayload* expected, std::uint64_t offset,
                        std::span<const KnownOp> known);

}  // namespace rig
