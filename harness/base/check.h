// RIG_CHECK: a bug in the rig itself ends the process at once, naming the place.
#pragma once

namespace rig {

// check_failed prints "file:line: check failed: expression" to standard error and aborts. Thread: any.
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace rig

// RIG_CHECK aborts the process if `condition` is false. It is for bugs of ours only: a refusal by the world is an
// Error, misbehaviour of a subject is a Violation. It is active in every build.
#define RIG_CHECK(condition)                               \
  do {                                                     \
    if (!(condition)) [[unlikely]] {                       \
      ::rig::check_failed(#condition, __FILE__, __LINE__); \
    }                                                      \
  } while (false)
