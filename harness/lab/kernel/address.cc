#include "harness/lab/kernel/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "harness/lab/sanitizer.h"

namespace rig::lab {
namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool all_zero(const std::uint8_t* begin, const std::uint8_t* end) {
  return std::all_of(begin, end, [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

bool Address::is_v4() const {
  return std::equal(v4_prefix.begin(), v4_prefix.end(), ip.begin());
}

bool Address::is_any() const {
  return is_v4() ? all_zero(ip.data() + 12, ip.data() + 16) : all_zero(ip.data(), ip.data() + 16);
}

bool Address::is_loopback() const {
  return is_v4() ? ip[12] == 127 : all_zero(ip.data(), ip.data() + 15) && ip[15] == 1;
}

Address any_address(int family) {
  Address address;
  if (family == AF_INET) {
    std::copy(v4_prefix.begin(), v4_prefix.end(), address.ip.begin());
  }
  return address;
}

Address loopback_address(bool v4) {
  Address address = any_address(v4 ? AF_INET : AF_INET6);
  if (v4) {
    address.ip[12] = 127;
  }
  address.ip[15] = 1;
  return address;
}

std::expected<Address, int> address_from(const sockaddr* from, socklen_t bytes, int family) {
  if (from == nullptr || bytes < sizeof(sa_family_t)) {
    return std::unexpected(EINVAL);
  }
  const bool v4 = family == AF_INET;
  if (bytes < (v4 ? sizeof(sockaddr_in) : offsetof(sockaddr_in6, sin6_scope_id))) {
    return std::unexpected(EINVAL);
  }
  if (from->sa_family != family) {
    return std::unexpected(EAFNOSUPPORT);
  }
  user_reads(from, bytes);
  Address address = any_address(family);
  if (v4) {
    sockaddr_in in;
    std::memcpy(&in, from, sizeof in);
    std::memcpy(address.ip.data() + 12, &in.sin_addr, 4);
    address.port = ntohs(in.sin_port);
  } else {
    sockaddr_in6 in{};
    std::memcpy(&in, from, std::min<std::size_t>(bytes, sizeof in));
    std::memcpy(address.ip.data(), &in.sin6_addr, 16);
    address.port = ntohs(in.sin6_port);
  }
  return address;
}

void address_to(const Address& address, int family, sockaddr* to, socklen_t* bytes) {
  if (to == nullptr || bytes == nullptr) {
    return;
  }
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  const void* from = &v6;
  socklen_t real = sizeof v6;
  if (family == AF_INET) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, address.ip.data() + 12, 4);
    from = &v4;
    real = sizeof v4;
  } else {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    std::memcpy(&v6.sin6_addr, address.ip.data(), 16);
  }
  const socklen_t copied = std::min(*bytes, real);
  std::memcpy(to, from, copied);
  user_writes(to, copied);
  *bytes = real;
}

std::string text(const Address& address) {
  char ip[INET6_ADDRSTRLEN] = "";
  if (address.is_v4()) {
    inet_ntop(AF_INET, address.ip.data() + 12, ip, sizeof ip);
    return std::string(ip) + ":" + std::to_string(address.port);
  }
  inet_ntop(AF_INET6, address.ip.data(), ip, sizeof ip);
  return "[" + std::string(ip) + "]:" + std::to_string(address.port);
}

}  // namespace rig::lab
