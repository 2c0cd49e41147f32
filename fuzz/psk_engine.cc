#include "fuzz/psk_engine.h"

#include <map>
#include <tuple>
#include <utility>

#include "fuzz/finding.h"
#include "harness/engine/backend.h"
#include "harness/engine/identities.h"

namespace rig {
namespace {

std::shared_ptr<const Context> make_context(const PskEngine& wanted) {
  Backend* const backend = find_backend(wanted.library);
  demand(backend != nullptr, "there is no such library");
  ContextConfig config;
  config.role = wanted.role;
  config.version_min = config.version_max = wanted.version;
  config.psk = test_psk();
  config.allow_renegotiation = wanted.renegotiation;
  auto context = backend->make_context(config);
  demand(context.has_value(), "there is no context");
  return std::move(*context);
}

}  // namespace

std::unique_ptr<TlsEngine> make_psk_engine(const PskEngine& wanted) {
  static auto& made = *new std::map<std::tuple<std::string, Role, TlsVersion, bool>, std::shared_ptr<const Context>>;
  auto& context = made[{wanted.library, wanted.role, wanted.version, wanted.renegotiation}];
  if (context == nullptr) {
    context = make_context(wanted);
  }
  auto engine = context->make_engine({.host = "localhost", .resume = {}});
  demand(engine.has_value(), "there is no engine");
  return std::move(*engine);
}

}  // namespace rig
