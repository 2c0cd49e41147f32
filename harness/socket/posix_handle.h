// Private to this room: the one place where a NativeHandle and a POSIX descriptor turn into each other.
#pragma once

#include <cerrno>
#include <cstdint>
#include <expected>
#include <limits>

#include "harness/base/error.h"
#include "harness/base/native_handle.h"

namespace rig {

// posix_descriptor is the descriptor that `handle` names. Errors: invalid_argument (the handle names nothing, or no
// POSIX descriptor can have this number; it is never narrowed).
inline std::expected<int, Error> posix_descriptor(NativeHandle handle) noexcept {
  if (!handle.valid()) {
    return std::unexpected(Error(Code::invalid_argument, "the handle names no socket"));
  }
  if (handle.value() > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) {
    return std::unexpected(Error(Code::invalid_argument, "the handle is no POSIX descriptor: its number is too large"));
  }
  return static_cast<int>(handle.value());
}

// posix_handle names `descriptor`; invalid_handle if it is negative.
inline NativeHandle posix_handle(int descriptor) noexcept {
  return descriptor < 0 ? invalid_handle : NativeHandle(static_cast<std::uint64_t>(descriptor));
}

// KeepErrno gives errno back as it was found: a verb of this room leaves no ambient error behind.
class KeepErrno {
 public:
  KeepErrno() noexcept : errno_(errno) {}
  ~KeepErrno() { errno = errno_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  int errno_;
};

}  // namespace rig
