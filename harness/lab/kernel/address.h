// Address: where a virtual socket stands. An IPv4 address is kept as the IPv6 address that it is mapped to.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <expected>
#include <string>

namespace rig::lab {

// Address is an address and a port.
struct Address {
  std::array<std::uint8_t, 16> ip{};
  std::uint16_t port = 0;

  bool is_v4() const;
  bool is_any() const;       // of either family
  bool is_loopback() const;  // of either family
  bool operator==(const Address&) const = default;
};

// any_address is the unspecified one of a family, loopback_address the first one of its loopback.
Address any_address(int family);
Address loopback_address(bool v4);

// address_from reads what a program passes to bind or connect on a socket of `family`. Errors: an errno.
std::expected<Address, int> address_from(const sockaddr* from, socklen_t bytes, int family);

// address_to writes `address` as the calls do that answer one: cut to the caller's size, which becomes the real one.
void address_to(const Address& address, int family, sockaddr* to, socklen_t* bytes);

// text writes it for reports.
std::string text(const Address& address);

}  // namespace rig::lab
