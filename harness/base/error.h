// Error: how a refusal by the world travels. It is carried by std::expected and holds no heap memory, so that making,
// copying and reporting one works when memory has run out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <system_error>

namespace rig {

// Code is the outcome class of an Error: what the caller can act on. The classes are the same on every backend, so that
// a clean end, a truncation, a reset, a refusal, a timeout and a failed verification never look alike.
enum class Code : std::uint8_t {
  closed,               // a verb on a socket that is closed or closing
  clean_end,            // the peer ended its stream in the orderly way (close_notify; FIN for plain TCP)
  truncated,            // the peer's stream ended without close_notify
  reset,                // the peer is gone (RST, broken pipe, connection aborted)
  refused,              // nobody listens at that address
  unreachable,          // no route to the host or network
  timeout,              // a deadline of ours, or the kernel's, passed
  aborted,              // ended by our own side: abort, or a graceful close that met its deadline
  verification_failed,  // the peer's certificate or name was not accepted
  handshake_failed,     // the handshake failed for another reason; the detail says which
  protocol,             // the peer sent something that is not valid TLS here
  peer_alert,           // the peer sent a fatal alert
  unsupported,          // this backend, subject or platform cannot do it
  invalid_argument,     // the caller passed something that cannot be used
  invalid_state,        // the verb does not fit the state (for example a renegotiation before the handshake)
  would_block,          // a bounded queue is full; a writable event follows
  no_memory,            // an allocation failed
  no_descriptors,       // EMFILE, ENFILE, or a descriptor beyond what a poller can take
  address_in_use,       // the local address is taken
  refused_by_system,    // the system said no (permission, an option it does not know, ...)
  internal,             // the TLS library reports a state that should not be
};

// code_name is the stable word for `code` ("clean_end"), as it stands in scenarios and verdicts.
std::string_view code_name(Code code) noexcept;

// code_from_name is the inverse of code_name; nothing if there is no such word.
std::optional<Code> code_from_name(std::string_view name) noexcept;

// Error says what was refused (`code`), and in one sentence for a person why (`detail`).
class Error {
 public:
  // Error makes one; a detail longer than detail_bytes_max is cut. `number` is the library's or the system's own error
  // number, 0 if there is none.
  explicit Error(Code code, std::string_view detail = {}, std::int64_t number = 0) noexcept;

  Code code() const noexcept { return code_; }
  std::int64_t number() const noexcept { return number_; }
  std::string_view detail() const noexcept { return {detail_.data(), detail_bytes_}; }

  // detail_bytes_max bounds the sentence. Units: bytes.
  static constexpr std::size_t detail_bytes_max = 180;

 private:
  Code code_;
  std::uint8_t detail_bytes_ = 0;
  std::array<char, detail_bytes_max> detail_{};
  std::int64_t number_;
};

// error_of makes an Error whose detail is formatted as by printf, and cut where Error cuts.
[[gnu::format(printf, 3, 4)]] Error error_of(Code code, std::int64_t number, const char* format, ...) noexcept;

// system_error turns an errno value met in `call` ("connect") into an Error with the right class. Errors: none.
// Source: POSIX connect(2), accept(2), send(2), recv(2), setsockopt(2).
Error system_error(std::string_view call, int errno_value) noexcept;

// Status is the result of something that returns nothing but may be refused.
using Status = std::expected<void, Error>;

}  // namespace rig

// RIG_TRY(name, expression): evaluates an expected, returns its Error to the caller, or binds its value to `name`.
// RIG_TRY_STATUS(expression): the same for Status. libstdc++ 12 has no monadic std::expected.
#define RIG_TRY(name, expression)                               \
  auto name##_or_error = (expression);                          \
  if (!name##_or_error.has_value()) {                           \
    return std::unexpected(std::move(name##_or_error.error())); \
  }                                                             \
  auto name = std::move(*name##_or_error)

#define RIG_TRY_STATUS(expression)                                 \
  do {                                                             \
    if (auto rig_status = (expression); !rig_status.has_value()) { \
      return std::unexpected(std::move(rig_status.error()));       \
    }                                                              \
  } while (false)
