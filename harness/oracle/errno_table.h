// The errno table: what an errno of a system call means for a connection. Reviewed row by row, and asked of every
// subject by the tests lab.errno.*.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "harness/base/error.h"

namespace rig {

// SystemCall is whose errno it is: set_option is setsockopt; send and receive go by several names. The last five are
// calls by which a loop, a listener and a connection are made.
enum class SystemCall : std::uint8_t {
  connect,
  accept,
  send,
  receive,
  set_option,
  socket,
  bind,
  listen,
  epoll_create,
  eventfd,
};

// ErrnoRow is one row.
struct ErrnoRow {
  SystemCall call;
  int number;             // ECONNRESET
  std::string_view name;  // "ECONNRESET"
  // ends is how the connection ends by it; nothing if it goes on as though the call had not failed, in the end. Of a
  // call by which something is made it is what the verb is refused with that was to make it.
  std::optional<Code> ends;
  std::string_view why;
};

// errno_rows lists the table, by call: what the manual pages of Linux name. What no call can give to a program that
// passes it sound arguments (EBADF, EFAULT, ENOTSOCK) is left out, and so is EINTR of a connect that does not wait.
// Source: connect(2), accept(2), send(2), recv(2), setsockopt(2), socket(2), bind(2), listen(2), epoll_create(2),
// eventfd(2), tcp(7), ip(7), and for EPIPE and ENOTCONN of a stream POSIX.1-2017.
std::span<const ErrnoRow> errno_rows() noexcept;

// call_name is "connect".
std::string_view call_name(SystemCall call) noexcept;

}  // namespace rig
