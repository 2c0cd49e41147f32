#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/cli/guests.h"
#include "harness/cli/selection.h"
#include "harness/cli/verbs.h"
#include "harness/scenario/environment.h"
#include "harness/subjects/subjects.h"

namespace rig::cli {
namespace {

// State is how a thing was found: in order; missing but not needed for the stress runs; missing and needed.
enum class State { good, absent, missing };

// Finding is one line of the doctor.
struct Finding {
  std::string area;
  std::string name;
  State state;
  std::string sentence;
};

Finding good(std::string_view area, std::string_view name, std::string sentence) {
  return {std::string(area), std::string(name), State::good, std::move(sentence)};
}

Finding missing(std::string_view area, std::string_view name, std::string sentence) {
  return {std::string(area), std::string(name), State::missing, std::move(sentence)};
}

Finding absent(std::string_view area, std::string_view name, std::string sentence) {
  return {std::string(area), std::string(name), State::absent, std::move(sentence)};
}

// Descriptor closes what a probe has opened.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  bool open() const { return number_ >= 0; }

 private:
  int number_;
};

void find_libraries(std::vector<Finding>& findings) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> packages{
      {{"openssl", "libssl-dev"}, {"gnutls", "libgnutls28-dev"}, {"mbedtls", "libmbedtls-dev"}}};
  const rig_subject* const house = subjects().empty() ? nullptr : subjects().front();
  const std::vector<std::string> here = house == nullptr ? std::vector<std::string>() : words_of(house->libraries);
  for (const auto& [library, package] : packages) {
    if (std::ranges::find(here, library) == here.end()) {
      findings.push_back(
          missing("library", library, "not in this build; install " + std::string(package) + " and build again"));
      continue;
    }
    std::array<char, 128> version{};
    house->library_version(std::string(library).c_str(), version.data(), version.size());
    findings.push_back(good("library", library, version.data()));
  }
}

void find_subjects(std::vector<Finding>& findings) {
  for (const rig_subject* subject : subjects()) {
    findings.push_back(good("subject", subject->name, std::string("libraries: ") + subject->libraries));
  }
  if (subjects().empty()) {
    findings.push_back(missing("subject", "house", "no socket layer is in this build; build it again as it comes"));
  }
  for (const Guest& guest : guests) {
    const std::string path = guest.path;
    if (path.empty()) {
      findings.push_back(absent("subject", guest.name,
                                "not in this build; install " + std::string(guest.package) + " and build again"));
    } else if (::access(guest.path, R_OK) != 0) {
      findings.push_back(absent("subject", guest.name,
                                "not built; cmake --build with the target " + std::string(guest.name) + "_subject"));
    } else {
      findings.push_back(good("subject", guest.name, "tlsrig run --subject " + path));
    }
  }
}

Finding loopback(bool ipv6) {
  const std::string_view name = ipv6 ? "IPv6" : "IPv4";
  const Status tried = try_loopback(ipv6);
  if (tried.has_value()) {
    return good("kernel", name, "a listener can be opened");
  }
  const auto lacking = ipv6 ? ipv6_lacking() : std::nullopt;
  return missing("kernel", name,
                 lacking.value_or("no listener on the loopback address (" + std::string(tried.error().detail()) +
                                  "); bring the interface up: ip link set lo up"));
}

Finding epoll() {
  const Descriptor descriptor(::epoll_create1(EPOLL_CLOEXEC));
  return descriptor.open() ? good("kernel", "epoll", "works")
                           : missing("kernel", "epoll",
                                     std::string("epoll_create1: ") + std::strerror(errno) +
                                         "; use --poller poll, or a Linux kernel with CONFIG_EPOLL");
}

Finding descriptors() {
  if (const auto lacking = descriptors_lacking(); lacking.has_value()) {
    return missing("kernel", "descriptors", *lacking);
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return good("kernel", "descriptors", "up to " + std::to_string(limit.rlim_cur));
}

Finding proc() {
  std::array<char, 16> path{};
  return ::readlink("/proc/self/exe", path.data(), path.size()) > 0
             ? good("kernel", "/proc", "is mounted")
             : missing("kernel", "/proc", "is not mounted; fresh processes start from it: mount -t proc proc /proc");
}

// Same addresses in every run. The setting is taken back at once; it has an effect only after an exec.
Finding fixed_addresses() {
  const int before = ::personality(0xffffffff);
  const bool works = before >= 0 && ::personality(static_cast<unsigned long>(before) | ADDR_NO_RANDOMIZE) >= 0;
  if (!works) {
    return absent("kernel", "personality",
                  "addresses cannot be fixed here (a container's seccomp profile): in the lab a seed still has one "
                  "schedule, but its ciphertext is another each time; docker run --security-opt seccomp=unconfined");
  }
  ::personality(static_cast<unsigned long>(before));
  return good("kernel", "personality", "address randomisation can be switched off");
}

// The kernel takes the TLS module only on a connected socket.
Finding kernel_tls() {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const bool connected = listener.open() && client.open() && ::bind(listener.number(), generic, length) == 0 &&
                         ::listen(listener.number(), 1) == 0 &&
                         ::getsockname(listener.number(), generic, &length) == 0 &&
                         ::connect(client.number(), generic, length) == 0;
  if (!connected) {
    return absent("kernel", "kTLS", std::string("not asked: no loopback connection (") + std::strerror(errno) + ")");
  }
  if (::setsockopt(client.number(), IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0) {
    return good("kernel", "kTLS", "the kernel can do TLS records; no backend uses it");
  }
  return absent("kernel", "kTLS", "the kernel has no TLS module loaded (modprobe tls); no backend uses it");
}

std::vector<Finding> look() {
  std::vector<Finding> findings;
  find_libraries(findings);
  find_subjects(findings);
  utsname system{};
  ::uname(&system);
  findings.push_back(good("kernel", system.sysname, system.release));
  findings.push_back(loopback(false));
  findings.push_back(loopback(true));
  findings.push_back(epoll());
  findings.push_back(good("kernel", "poll, select", "work; select takes descriptors below 1024"));
  findings.push_back(descriptors());
  findings.push_back(proc());
  findings.push_back(fixed_addresses());
  findings.push_back(kernel_tls());
  return findings;
}

std::string_view word_of(State state) {
  return state == State::good ? "ok" : state == State::absent ? "absent" : "missing";
}

}  // namespace

int doctor(const DoctorCommand& command) {
  std::size_t lacking = 0;
  for (const Finding& finding : look()) {
    lacking += finding.state == State::missing ? 1 : 0;
    const std::string_view state = word_of(finding.state);
    if (command.json) {
      const nlohmann::ordered_json line{
          {"area", finding.area}, {"name", finding.name}, {"state", state}, {"sentence", finding.sentence}};
      std::printf("%s\n", line.dump().c_str());
    } else {
      std::printf("%-8.*s %-8s %-14s %s\n", static_cast<int>(state.size()), state.data(), finding.area.c_str(),
                  finding.name.c_str(), finding.sentence.c_str());
    }
  }
  if (lacking > 0) {
    return refuse({exit_lacking, std::to_string(lacking) + " things are missing; see the lines above"});
  }
  return exit_green;
}

}  // namespace rig::cli
