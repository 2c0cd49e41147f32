#include "harness/cli/lab_world.h"

#include <sys/personality.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "harness/engine/backend.h"
#include "harness/engine/identities.h"
#include "harness/engine/pair.h"
#include "harness/lab/lab.h"

namespace rig::cli {
namespace {

constexpr const char* executed_anew = "TLSRIG_ADDRESSES";
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

std::optional<std::string> fix_addresses() {
  const int now = ::personality(ask);
  if (now != -1 && (now & ADDR_NO_RANDOMIZE) != 0) {
    return std::nullopt;
  }
  if (std::getenv(executed_anew) != nullptr) {
    return "address randomisation stays on";
  }
  if (now == -1 || ::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) == -1) {
    return std::string("the system refuses to switch address randomisation off: ") + std::strerror(errno);
  }
  ::setenv(executed_anew, "fixed", 1);
  execute_anew();
  return std::string("the program cannot be executed anew: ") + std::strerror(errno);
}

Status use_once(Backend& backend, bool with_psk) {
  ContextConfig server;
  server.role = Role::server;
  ContextConfig client;
  if (with_psk) {
    server.psk = client.psk = test_psk();
  } else {
    server.credentials = credentials(Identity::server);
    client.ca_pem = ca_pem();
  }
  RIG_TRY(server_context, backend.make_context(server));
  RIG_TRY(client_context, backend.make_context(client));
  RIG_TRY(server_engine, server_context->make_engine({}));
  RIG_TRY(client_engine, client_context->make_engine({.host = "localhost", .resume = {}}));
  EnginePair pair(std::move(client_engine), std::move(server_engine));
  const PairOutcome outcome = pair.run_handshake();
  if (!outcome.done()) {
    return std::unexpected(Error(Code::internal, std::string(backend.name()) + ": " + outcome.detail));
  }
  return {};
}

Status use_all_once() {
  for (Backend* const backend : backends()) {
    const Capabilities& can = backend->capabilities();
    if (can.psk) {
      RIG_TRY_STATUS(use_once(*backend, true));
    }
    if (can.certificates) {
      RIG_TRY_STATUS(use_once(*backend, false));
    }
  }
  return {};
}

}  // namespace

std::expected<std::optional<std::string>, Error> enter_lab() {
  auto randomised = fix_addresses();
  RIG_TRY_STATUS(lab::interposed());
  Status used;
  // The watchdog would be a second thread, and a fork must not have one.
  lab::Options options;
  options.watchdog = false;
  lab::run(options, [&used] { used = use_all_once(); });
  RIG_TRY_STATUS(std::move(used));
  return randomised;
}

}  // namespace rig::cli
