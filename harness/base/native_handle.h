// NativeHandle: a socket descriptor as the platform names it, at full width, with an invalid value that no platform
// uses.
#pragma once

#include <cstdint>

namespace rig {

// NativeHandle is 64 bits wide, so that a Windows SOCKET fits as well as a POSIX descriptor (eMuleBB@c6c1526 cast one
// into an int). The invalid value is a named constant and is never 0: descriptor 0 is legal (AtomVM#2290). Only a
// Transport or a Poller of the platform unwraps it.
class NativeHandle {
 public:
  constexpr NativeHandle() noexcept = default;
  constexpr explicit NativeHandle(std::uint64_t value) noexcept : value_(value) {}

  constexpr std::uint64_t value() const noexcept { return value_; }
  constexpr bool valid() const noexcept { return value_ != invalid_value; }
  friend constexpr bool operator==(NativeHandle, NativeHandle) noexcept = default;

 private:
  static constexpr std::uint64_t invalid_value = ~std::uint64_t{0};
  std::uint64_t value_ = invalid_value;
};

// invalid_handle is the handle that names nothing.
inline constexpr NativeHandle invalid_handle{};

}  // namespace rig
