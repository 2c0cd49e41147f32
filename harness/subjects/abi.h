// Errors at the C boundary of subject.h.
#pragma once

#include "harness/base/error.h"
#include "harness/subjects/subject.h"

namespace rig {

// to_abi and from_abi translate an Error at the C boundary. A null `abi` is left alone.
rig_status to_abi(const Error& error, rig_error* abi) noexcept;
Error from_abi(const rig_error& abi) noexcept;

}  // namespace rig
