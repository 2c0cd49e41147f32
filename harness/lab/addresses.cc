#include "harness/lab/addresses.h"

#include <sys/personality.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

namespace rig::lab {
namespace {

// Set in the environment of the second program, so that there is no third.
constexpr const char* executed_anew = "TLSRIG_ADDRESSES";
constexpr const char* bound = "bound";  // its value where LD_BIND_NOW was not there before
constexpr unsigned long ask = 0xffffffff;

// Executes this program anew with its own arguments. Returns only if that is refused.
void execute_anew() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<char*> arguments;
  for (std::size_t at = 0; at < text.size(); at += std::strlen(&text[at]) + 1) {
    arguments.push_back(&text[at]);
  }
  arguments.push_back(nullptr);
  ::execv("/proc/self/exe", arguments.data());
}

}  // namespace

std::optional<std::string> fix_addresses() {
  const int now = ::personality(ask);
  if (const char* const how = std::getenv(executed_anew); how != nullptr && how == std::string_view(bound)) {
    // It was for this process only: a program that it starts would pay for every function, and calls few of them.
    ::unsetenv("LD_BIND_NOW");
    ::setenv(executed_anew, "fixed", 1);
  }
  if (now != -1 && (now & ADDR_NO_RANDOMIZE) != 0) {
    return std::nullopt;
  }
  if (std::getenv(executed_anew) != nullptr) {
    return "address randomisation stays on";
  }
  if (now == -1 || ::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) == -1) {
    return std::string("the system refuses to switch address randomisation off: ") + std::strerror(errno);
  }
  // Functions are bound once, here, and not again by each child that first calls them: 5 % of a short run.
  const bool bind = std::getenv("LD_BIND_NOW") == nullptr;
  if (bind) {
    ::setenv("LD_BIND_NOW", "1", 1);
  }
  ::setenv(executed_anew, bind ? bound : "fixed", 1);
  execute_anew();
  return std::string("the program cannot be executed anew: ") + std::strerror(errno);
}

}  // namespace rig::lab
