#include "harness/base/error.h"

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

namespace rig {
namespace {

constexpr std::array<std::pair<Code, std::string_view>, 21> names{{
    {Code::closed, "closed"},
    {Code::clean_end, "clean_end"},
    {Code::truncated, "truncated"},
    {Code::reset, "reset"},
    {Code::refused, "refused"},
    {Code::unreachable, "unreachable"},
    {Code::timeout, "timeout"},
    {Code::aborted, "aborted"},
    {Code::verification_failed, "verification_failed"},
    {Code::handshake_failed, "handshake_failed"},
    {Code::protocol, "protocol"},
    {Code::peer_alert, "peer_alert"},
    {Code::unsupported, "unsupported"},
    {Code::invalid_argument, "invalid_argument"},
    {Code::invalid_state, "invalid_state"},
    {Code::would_block, "would_block"},
    {Code::no_memory, "no_memory"},
    {Code::no_descriptors, "no_descriptors"},
    {Code::address_in_use, "address_in_use"},
    {Code::refused_by_system, "refused_by_system"},
    {Code::internal, "internal"},
}};

// One reviewed table: would-block and timeouts are never "peer gone", peer-gone numbers are never "internal".
Code classify(int errno_value) noexcept {
  switch (errno_value) {
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case ESHUTDOWN:
    case ENETRESET:
      return Code::reset;
    case ECONNREFUSED:
      return Code::refused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENONET:
    case EADDRNOTAVAIL:
      return Code::unreachable;
    case ETIMEDOUT:
      return Code::timeout;
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
    case EINTR:
    case EINPROGRESS:
    case EALREADY:
      return Code::would_block;
    case EMFILE:
    case ENFILE:
      return Code::no_descriptors;
    case ENOMEM:
    case ENOBUFS:
      return Code::no_memory;
    case EADDRINUSE:
      return Code::address_in_use;
    case EINVAL:
    case EFAULT:
    case EBADF:
    case ENOTSOCK:
      return Code::invalid_argument;
    case EOPNOTSUPP:
    case ENOSYS:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:  // a system without IPv6, not a bad address: those never reach a system call
      return Code::unsupported;
    case EISCONN:
      return Code::invalid_state;
    default:
      return Code::refused_by_system;
  }
}

}  // namespace

std::string_view code_name(Code code) noexcept {
  for (const auto& [candidate, name] : names) {
    if (candidate == code) {
      return name;
    }
  }
  return "unknown";
}

std::optional<Code> code_from_name(std::string_view name) noexcept {
  for (const auto& [code, candidate] : names) {
    if (candidate == name) {
      return code;
    }
  }
  return std::nullopt;
}

Error::Error(Code code, std::string_view detail, std::int64_t number) noexcept : code_(code), number_(number) {
  detail_bytes_ = static_cast<std::uint8_t>(std::min(detail.size(), detail_bytes_max));
  std::copy_n(detail.begin(), detail_bytes_, detail_.begin());
}

Error error_of(Code code, std::int64_t number, const char* format, ...) noexcept {
  std::array<char, Error::detail_bytes_max + 1> text{};
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text.data(), text.size(), format, arguments);
  va_end(arguments);
  return Error(code, text.data(), number);
}

Error system_error(std::string_view call, int errno_value) noexcept {
  std::array<char, 96> reason{};
  const char* text = ::strerror_r(errno_value, reason.data(), reason.size());
  std::array<char, Error::detail_bytes_max> sentence{};
  const int printed =
      std::snprintf(sentence.data(), sentence.size(), "%.*s: %s", static_cast<int>(call.size()), call.data(), text);
  const std::size_t bytes = printed < 0 ? 0 : std::min(static_cast<std::size_t>(printed), sentence.size() - 1);
  return Error(classify(errno_value), {sentence.data(), bytes}, errno_value);
}

}  // namespace rig
