#include "harness/cli/words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

namespace rig::cli {
namespace {

// The number of letters to insert, remove, change or swap with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> steps(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        steps[i][j] = i + j;
        continue;
      }
      const std::size_t change = steps[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      steps[i][j] = std::min({change, steps[i - 1][j] + 1, steps[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        steps[i][j] = std::min(steps[i][j], steps[i - 2][j - 2] + 1);
      }
    }
  }
  return steps[a.size()][b.size()];
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string_view nearest(std::string_view typed, std::span<const std::string> candidates) {
  std::string_view best;
  std::size_t best_distance = typed.size() / 3 + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t far = distance(typed, candidate);
    if (far < best_distance || (far == best_distance && best.empty())) {
      best = candidate;
      best_distance = far;
    }
  }
  if (best.empty() && typed.size() >= 3) {
    const auto begun = std::ranges::find_if(candidates, [&](const std::string& one) { return one.starts_with(typed); });
    best = begun == candidates.end() ? std::string_view() : std::string_view(*begun);
  }
  return best;
}

std::string hint(std::string_view typed, std::span<const std::string> candidates) {
  if (const std::string_view near = nearest(typed, candidates); !near.empty()) {
    return "did you mean '" + std::string(near) + "'?";
  }
  std::string sentence = "there is ";
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    sentence += (i == 0 ? "" : i + 1 == candidates.size() ? " and " : ", ") + candidates[i];
  }
  return sentence;
}

std::string unknown(std::string_view kind, std::string_view typed, std::span<const std::string> candidates) {
  return "there is no " + std::string(kind) + " '" + std::string(typed) + "'; " + hint(typed, candidates);
}

std::string shell_word(const std::string& text) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./~=:@%+-,";
  if (!text.empty() && text.front() != '~' && text.find_first_not_of(plain) == std::string::npos) {
    return text;
  }
  std::string quoted = "'";
  for (const char letter : text) {
    quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  }
  return quoted + "'";
}

std::expected<Seeds, Error> parse_seeds(std::string_view text) {
  const std::size_t dots = text.find("..");
  const auto first = whole_number(text.substr(0, dots));
  const auto last = dots == std::string_view::npos ? first : whole_number(text.substr(dots + 2));
  if (!first.has_value() || !last.has_value()) {
    return std::unexpected(
        Error(Code::invalid_argument, "'" + std::string(text) + "' is no range of seeds; it reads 7 or 1..100"));
  }
  if (*last < *first) {
    return std::unexpected(Error(Code::invalid_argument, "the seeds " + std::string(text) + " end before they begin"));
  }
  return Seeds{*first, *last};
}

std::expected<std::chrono::milliseconds, Error> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 4> units{
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
  constexpr std::uint64_t longest_ms = std::uint64_t{30} * 24 * 3'600'000;
  for (const auto& [unit, factor] : units) {
    const auto number = text.ends_with(unit) ? whole_number(text.substr(0, text.size() - unit.size())) : std::nullopt;
    if (number.has_value() && *number > 0 && *number <= longest_ms / factor) {
      return std::chrono::milliseconds(*number * factor);
    }
  }
  return std::unexpected(Error(Code::invalid_argument, "'" + std::string(text) +
                                                           "' is no duration; it reads 500ms, 60s, 5m or 2h, and is at "
                                                           "most 30 days"));
}

std::string duration_text(double seconds) {
  std::array<char, 64> text{};
  if (seconds < 9.95) {
    std::snprintf(text.data(), text.size(), "%.1f s", std::max(seconds, 0.0));
    return text.data();
  }
  const auto whole = static_cast<unsigned long long>(std::llround(seconds));
  if (whole < 60) {
    std::snprintf(text.data(), text.size(), "%llu s", whole);
  } else if (whole < 3600) {
    std::snprintf(text.data(), text.size(), "%llu min %llu s", whole / 60, whole % 60);
  } else {
    std::snprintf(text.data(), text.size(), "%llu h %llu min", whole / 3600, whole / 60 % 60);
  }
  return text.data();
}

}  // namespace rig::cli
