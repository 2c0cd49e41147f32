#include "harness/scenario/lab_world.h"

#include <string>
#include <utility>

#include "harness/engine/backend.h"
#include "harness/engine/identities.h"
#include "harness/engine/pair.h"
#include "harness/lab/addresses.h"
#include "harness/lab/lab.h"

namespace rig {
namespace {

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
  auto randomised = lab::fix_addresses();
  RIG_TRY_STATUS(lab::interposed());
  Status used;
  // The watchdog would be a second thread, and a fork must not have one.
  lab::Options options;
  options.watchdog = false;
  lab::run(options, [&used] { used = use_all_once(); });
  RIG_TRY_STATUS(std::move(used));
  return randomised;
}

}  // namespace rig
