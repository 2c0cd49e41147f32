#include "harness/lab/fault.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "harness/base/check.h"
#include "harness/lab/kernel/state.h"

namespace rig::lab {
namespace {

// In the order of the enumerations.
constexpr std::array<std::string_view, 14> kind_words{
    "short_write", "short_read", "would_block",  "interrupted", "error",       "reset",    "delay",
    "split",       "coalesce",   "sync_connect", "no_memory",   "errno_noise", "spurious", "option"};
constexpr std::array<std::string_view, 3> side_words{"any", "client", "server"};

template <class Enum, std::size_t Count>
std::optional<Enum> find_word(const std::array<std::string_view, Count>& words, std::string_view text) {
  const auto found = std::ranges::find(words, text);
  if (found == words.end()) {
    return std::nullopt;
  }
  return static_cast<Enum>(found - words.begin());
}

}  // namespace

std::string_view word(FaultKind kind) {
  return kind_words[static_cast<std::size_t>(kind)];
}

std::optional<FaultKind> fault_kind_from_word(std::string_view text) {
  return find_word<FaultKind>(kind_words, text);
}

std::string_view word(FaultSide side) {
  return side_words[static_cast<std::size_t>(side)];
}

std::optional<FaultSide> fault_side_from_word(std::string_view text) {
  return find_word<FaultSide>(side_words, text);
}

void name_connection(std::uint16_t port, std::uint32_t number) {
  RIG_CHECK(self() != nullptr);
  kernel().connections[port] = number;
}

}  // namespace rig::lab
