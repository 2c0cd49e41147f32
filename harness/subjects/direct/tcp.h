// TCP as `direct` uses it: descriptors with an owner, addresses, connecting, listening, ending.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/native_handle.h"
#include "harness/subjects/subject.h"

namespace rig::direct {

// Descriptor owns a descriptor of the system, which it alone closes, once.
class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(NativeHandle handle) noexcept : handle_(handle) {}
  Descriptor(Descriptor&& other) noexcept : handle_(std::exchange(other.handle_, invalid_handle)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Descriptor() { close(); }

  NativeHandle handle() const noexcept { return handle_; }
  void close() noexcept;
  // reset drops what is unsent and closes: the peer sees RST.
  void reset() noexcept;

 private:
  NativeHandle handle_ = invalid_handle;
};

// number_of is the system's own number of a valid handle, at full width, as the calls of the system and of TLS
// libraries take it.
int number_of(NativeHandle handle) noexcept;

// is_address says that `host` is an IPv4 or IPv6 address and not a name.
bool is_address(const char* host) noexcept;

// Connecting is a connection under way. A refusal that came at once is kept in `failure`, to be reported as one that
// came later.
struct Connecting {
  Descriptor descriptor;
  std::optional<Error> failure;
};

// begin_connect begins a connection to a numeric address. Errors: what cannot become a connection at all:
// invalid_argument, no_descriptors, no_memory, unsupported.
std::expected<Connecting, Error> begin_connect(const char* host, std::uint16_t port) noexcept;

// connected says how a connection under way ended. Errors: would_block while it is, refused, unreachable, ...
Status connected(NativeHandle handle) noexcept;

// listen_at opens a listening socket at a numeric address; port 0: the system chooses.
std::expected<Descriptor, Error> listen_at(const char* host, std::uint16_t port) noexcept;

// port_of is where a listening socket listens; 0 if the system does not say.
std::uint16_t port_of(NativeHandle handle) noexcept;

// accept_one takes a waiting connection; one that died while it waited is passed over. Errors: would_block,
// no_descriptors, no_memory.
std::expected<Descriptor, Error> accept_one(NativeHandle listener) noexcept;

// set_options sets what `config` asks of a connection. False: Nagle's algorithm is on.
bool set_options(NativeHandle handle, const rig_socket_config& config) noexcept;

// end_sending sends FIN behind everything.
Status end_sending(NativeHandle handle) noexcept;

// all_taken says whether the peer's system has all that was sent, FIN included. Errors: reset, ... (the connection is
// over, and it has not).
std::expected<bool, Error> all_taken(NativeHandle handle) noexcept;

// drop_input takes what lies unread off the wire. Closing over unread bytes makes the system send a reset, which
// overtakes our own last ones (curl#7095).
void drop_input(NativeHandle handle) noexcept;

}  // namespace rig::direct
