// Words: what a person types, read and mended.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "harness/base/error.h"

namespace rig::cli {

// nearest is the candidate that `typed` was most likely meant to be, or empty if none is near.
std::string_view nearest(std::string_view typed, std::span<const std::string> candidates);

// hint is what to say about a word that is not one of `candidates`: "did you mean 'y'?", or the whole list where
// nothing is near.
std::string hint(std::string_view typed, std::span<const std::string> candidates);

// unknown is a sentence with that hint: "there is no suite 'x'; did you mean 'y'?"
std::string unknown(std::string_view kind, std::string_view typed, std::span<const std::string> candidates);

// shell_word is `text` as one word of a shell's line, quoted where it must be.
std::string shell_word(const std::string& text);

// Seeds is a closed range.
struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  friend bool operator==(const Seeds&, const Seeds&) = default;
};

// parse_seeds reads "7" or "1..100". Errors: invalid_argument.
std::expected<Seeds, Error> parse_seeds(std::string_view text);

// parse_duration reads "500ms", "60s", "5m" or "2h", more than nothing and at most 30 days. Errors: invalid_argument.
std::expected<std::chrono::milliseconds, Error> parse_duration(std::string_view text);

// duration_text is a time as a person says it: "0.4 s", "12 s", "3 min 5 s", "2 h 10 min".
std::string duration_text(double seconds);

}  // namespace rig::cli
