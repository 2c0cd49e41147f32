#include "harness/lab/fault.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "harness/base/check.h"
#include "harness/lab/kernel/state.h"

namespace rig::lab {
namespace {

// In the order of the enumerations.
constexpr std::array<std::string_view, 16> kind_words{
    "short_write", "short_read",   "would_block", "interrupted", "error",    "reset",  "delay", "split",
    "coalesce",    "sync_connect", "no_memory",   "errno_noise", "spurious", "option", "stop",  "block"};
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

bool fails_for_good(const Fault& fault) {
  return fault.kind == FaultKind::error || fault.kind == FaultKind::option || fault.kind == FaultKind::no_memory ||
         (fault.kind == FaultKind::would_block && fault.op == Op::connect);
}

std::string_view sentence(FaultKind kind) {
  switch (kind) {
    case FaultKind::short_write:
      return "a send takes at most so many bytes";
    case FaultKind::short_read:
      return "a receive gives at most so many bytes";
    case FaultKind::would_block:
      return "a call on a non-blocking descriptor answers EAGAIN";
    case FaultKind::interrupted:
      return "a call answers EINTR";
    case FaultKind::error:
      return "a call fails with that errno";
    case FaultKind::reset:
      return "the connection is reset once the stream has carried so many bytes";
    case FaultKind::delay:
      return "what the stream carries from a byte on arrives so many microseconds later";
    case FaultKind::split:
      return "a segment of the stream ends at that byte";
    case FaultKind::coalesce:
      return "segments are held back until the stream has carried so many bytes, or its end";
    case FaultKind::sync_connect:
      return "a non-blocking connect succeeds at once";
    case FaultKind::no_memory:
      return "an allocation fails, or each one from there on";
    case FaultKind::errno_noise:
      return "a call succeeds and leaves that errno behind";
    case FaultKind::spurious:
      return "a poll reports a readiness that is not there, once";
    case FaultKind::option:
      return "setsockopt is refused with that errno";
    case FaultKind::stop:
      return "a send, and a receive, ends at that byte of the stream";
    case FaultKind::block:
      return "a send, and a receive, ends at that byte of the stream, and the next one answers EAGAIN once";
  }
  return "";
}

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
