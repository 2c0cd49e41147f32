#include "harness/engine/host_name.h"

#include <arpa/inet.h>

#include <algorithm>

namespace rig {
namespace {

// ascii_lower ignores the locale: a Turkish "I" must not decide who a peer is.
constexpr char ascii_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, {}, ascii_lower, ascii_lower);
}

constexpr bool letter_digit_hyphen(char c) noexcept {
  const char lower = ascii_lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

// after_first_label is what stands behind the first dot; empty if there is none, or nothing before it.
std::string_view after_first_label(std::string_view name) noexcept {
  const std::size_t dot = name.find('.');
  return dot == 0 || dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

}  // namespace

Status check_host(std::string_view host, bool verifies) noexcept {
  if (host.empty() && verifies) {
    return std::unexpected(
        Error(Code::invalid_argument, "a client that verifies its peer must say which host it connects to"));
  }
  constexpr std::size_t host_bytes_max = 255;
  if (host.size() > host_bytes_max || host.find('\0') != std::string_view::npos) {
    return std::unexpected(Error(Code::invalid_argument, "the host's name contains a NUL or is longer than 255 bytes"));
  }
  return {};
}

std::optional<HostAddress> parse_address(std::string_view host) noexcept {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (host.size() >= text.size() || host.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::ranges::copy(host, text.begin());
  HostAddress address;
  if (inet_pton(AF_INET, text.data(), address.storage.data()) == 1) {
    address.size = 4;
    return address;
  }
  if (inet_pton(AF_INET6, text.data(), address.storage.data()) == 1) {
    address.size = 16;
    return address;
  }
  return std::nullopt;
}

bool name_matches(std::string_view entry, std::string_view host) noexcept {
  if (host.empty() || entry.find('\0') != std::string_view::npos) {
    return false;
  }
  if (entry.find('*') == std::string_view::npos) {
    return equal_ignoring_case(entry, host);
  }
  const std::string_view parent = after_first_label(entry);
  const bool whole_label = entry.starts_with("*.") && parent.find('*') == std::string_view::npos;
  if (!whole_label || after_first_label(parent).empty() || !equal_ignoring_case(parent, after_first_label(host))) {
    return false;
  }
  const std::string_view covered = host.substr(0, host.find('.'));
  return covered == "*" || std::ranges::all_of(covered, letter_digit_hyphen);
}

bool sendable_name(std::string_view host) noexcept {
  const auto allowed = [](char c) { return letter_digit_hyphen(c) || c == '.'; };
  return !host.empty() && host.size() <= 253 && host.front() != '.' && std::ranges::all_of(host, allowed) &&
         !parse_address(host).has_value();
}

}  // namespace rig
