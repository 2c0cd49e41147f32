// The differences between libraries that are right. Each row was looked at, and says why.
#pragma once

#include <array>
#include <string_view>

namespace rig {

// Difference is a situation in which libraries may tell an outcome in one of several words.
struct Difference {
  std::string_view situation;  // of outcomes.cc; empty: each
  std::string_view what;       // "client closed"
  std::string_view words;      // separated by blanks
  std::string_view why;
};

// differences are those that there are.
inline constexpr std::array<Difference, 0> differences{};

}  // namespace rig
