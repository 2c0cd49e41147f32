#include "harness/scenario/environment.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "harness/lab/census.h"
#include "harness/lab/lab.h"

namespace rig {
namespace {

constexpr const char* ipv6_advice = "; enable it: sysctl net.ipv6.conf.lo.disable_ipv6=0";

// The descriptors that this process has open, the one that counts them left out. Without one to look with, it is all
// that the limit allows.
std::size_t descriptors_in_use(std::size_t limit) {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) {
    return errno == EMFILE ? limit : 0;
  }
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(folder)) {
    count += entry->d_name[0] != '.' ? 1 : 0;
  }
  ::closedir(folder);
  return count - 1;
}

// is_of_the_kernel says that a link of /proc/self/fd leads to no file: what libraries open once, and keep, are files.
bool is_of_the_kernel(int folder, const char* name) {
  std::array<char, 32> target{};
  if (::readlinkat(folder, name, target.data(), target.size() - 1) < 0) {
    return false;
  }
  const std::string_view text(target.data());
  return text.starts_with("socket:") || text.starts_with("pipe:") || text.starts_with("anon_inode:");
}

// A subject that says "no memory" for another reason is judged like any other: the system has said so, or has none now.
bool memory_is_short(const Error& error) {
  if (error.number() == ENOMEM || error.number() == ENOBUFS) {
    return true;
  }
  constexpr std::size_t some_bytes = std::size_t{1} << 20;
  void* const some = ::mmap(nullptr, some_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (some == MAP_FAILED) {
    return true;
  }
  ::munmap(some, some_bytes);
  return false;
}

}  // namespace

std::size_t open_descriptors() {
  if (lab::running()) {
    return lab::open_descriptors();
  }
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) {
    return 0;
  }
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(folder)) {
    count += is_of_the_kernel(::dirfd(folder), entry->d_name) ? 1 : 0;
  }
  ::closedir(folder);
  return count;
}

std::optional<std::string> descriptors_lacking() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t used = descriptors_in_use(limit.rlim_cur);
  const std::size_t free = limit.rlim_cur > used ? limit.rlim_cur - used : 0;
  if (free >= descriptors_needed) {
    return std::nullopt;
  }
  return "only " + std::to_string(free) + " descriptors are free, a case needs up to " +
         std::to_string(descriptors_needed) + "; raise the limit: ulimit -n 4096";
}

Status try_loopback(bool ipv6) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  const int descriptor = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    return std::unexpected(system_error("socket", errno));
  }
  const sockaddr* const address = ipv6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  Status status;
  if (::bind(descriptor, address, ipv6 ? sizeof v6 : sizeof v4) != 0) {
    status = std::unexpected(system_error("bind", errno));
  } else if (::listen(descriptor, 1) != 0) {
    status = std::unexpected(system_error("listen", errno));
  }
  ::close(descriptor);
  return status;
}

std::optional<std::string> ipv6_lacking() {
  const Status tried = try_loopback(true);
  if (tried.has_value() || (tried.error().number() != EADDRNOTAVAIL && tried.error().number() != EAFNOSUPPORT)) {
    return std::nullopt;
  }
  return std::string("no IPv6 on the loopback") + ipv6_advice;
}

std::optional<std::string> lack_behind(const Error& error) {
  const std::string met(error.detail());
  if (error.code() == Code::no_descriptors && error.number() == ENFILE) {
    return "the whole system has no descriptor left (" + met + "); end other programs, or raise fs.file-max";
  }
  if (error.code() == Code::address_in_use || error.number() == EADDRNOTAVAIL) {
    return "no port is free on the loopback (" + met + "); end what holds them, or widen net.ipv4.ip_local_port_range";
  }
  if (error.code() == Code::no_memory && memory_is_short(error)) {
    return "the memory did not suffice (" + met + "); try fewer --jobs, or end other programs";
  }
  return std::nullopt;
}

}  // namespace rig
