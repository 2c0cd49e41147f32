#include "fuzz/engine_nature.h"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "fuzz/finding.h"
#include "harness/engine/identities.h"

namespace rig {
namespace {

constexpr std::array hosts{"localhost", "a.wild.test", "127.0.0.1", "::1", "elsewhere.test", "a.b.wild.test"};
constexpr std::array identities{Identity::server,  Identity::chained,    Identity::odd_names, Identity::untrusted,
                                Identity::expired, Identity::wrong_host, Identity::ip_as_dns};
constexpr std::array clients{Identity::client, Identity::untrusted_client, Identity::server};
constexpr std::array<std::optional<PeerCheck>, 4> checks{std::nullopt, PeerCheck::none, PeerCheck::optional,
                                                         PeerCheck::verify};

std::vector<std::string> protocols(std::uint8_t choice) {
  switch (choice % 4) {
    case 1:
      return {"h2"};
    case 2:
      return {"http/1.1", "h2"};
    case 3:
      return {"another"};
    default:
      return {};
  }
}

// A log of keys is the app's code: it may fail.
std::function<void(std::string_view)> key_log(std::uint8_t choice) {
  switch (choice % 4) {
    case 1:
      return [](std::string_view line) { demand(!line.empty(), "a line of the key log is empty"); };
    case 2:
      return [](std::string_view) { throw std::runtime_error("the disk is full"); };
    case 3:
      return [](std::string_view) { throw std::bad_alloc(); };
    default:
      return {};
  }
}

void set_versions(ContextConfig& config, std::uint8_t choice) {
  constexpr std::array<std::pair<TlsVersion, TlsVersion>, 4> ranges{{{TlsVersion::tls12, TlsVersion::tls13},
                                                                     {TlsVersion::tls12, TlsVersion::tls12},
                                                                     {TlsVersion::tls13, TlsVersion::tls13},
                                                                     {TlsVersion::tls12, TlsVersion::tls13}}};
  std::tie(config.version_min, config.version_max) = ranges[choice % ranges.size()];
}

using Shape = std::array<std::uint8_t, 6>;

ContextConfig config_of(Role role, const Shape& shape) {
  const auto [who, checked, alpn, tickets, logs, versions] = shape;
  const bool server = role == Role::server;
  ContextConfig config;
  config.role = role;
  set_versions(config, server ? versions / 4 : versions);
  config.alpn = protocols(server ? alpn / 4 : alpn);
  config.key_log = key_log(server ? logs / 4 : logs);
  config.session_tickets = (tickets >> (server ? 1 : 0) & 1) == 0;
  config.allow_renegotiation = (tickets >> (server ? 3 : 2) & 1) == 0;
  const std::uint8_t kind = who % (identities.size() + 1);
  if (kind == 0) {
    config.psk = test_psk();
    config.psk->key[0] = static_cast<std::uint8_t>(!server && checked % 16 == 1);
    return config;
  }
  config.ca_pem = ca_pem();
  const std::uint8_t own = checked % (clients.size() + 1);
  if (server) {
    config.credentials = credentials(identities[kind - 1U]);
    config.peer_check = checks[checked / 4 % checks.size()];
  } else {
    if (own > 0) {
      config.credentials = credentials(clients[own - 1U]);
    }
    config.peer_check = checked / 16 % 4 == 3 ? std::optional(PeerCheck::none) : std::nullopt;
  }
  return config;
}

constexpr const char* unreadable = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n";

ContextConfig complete(Role role) {
  ContextConfig config;
  config.role = role;
  config.ca_pem = ca_pem();
  if (role == Role::server) {
    config.credentials = credentials(Identity::server);
  }
  return config;
}

// Lengths are those of an identity and its key.
using Lengths = std::pair<std::size_t, std::size_t>;
constexpr std::array<Lengths, 6> lengths{{{0, 16}, {8, 0}, {8, 16}, {8, 100'000}, {100'000, 16}, {8, 300}}};

ContextConfig keyed(Role role, const Lengths& bytes) {
  ContextConfig config;
  config.role = role;
  config.psk = Psk{.identity = std::string(bytes.first, 'i'), .key = Bytes(bytes.second, 7)};
  return config;
}

using Change = void (*)(ContextConfig&);
constexpr std::array<Change, 19> changes{
    [](ContextConfig&) {},
    [](ContextConfig& c) { c.credentials = mismatched_credentials(); },
    [](ContextConfig& c) { c.credentials = Credentials{"rubbish", "rubbish"}; },
    [](ContextConfig& c) {
      c.credentials = Credentials{credentials(Identity::server).certificate_chain_pem, "rubbish"};
    },
    [](ContextConfig& c) { c.credentials = Credentials{"", credentials(Identity::server).private_key_pem}; },
    [](ContextConfig& c) { c.credentials.reset(); },
    [](ContextConfig& c) { c.ca_pem = "rubbish"; },
    [](ContextConfig& c) { c.ca_pem.clear(); },
    [](ContextConfig& c) { c.ca_pem += unreadable; },
    [](ContextConfig& c) {
      c.credentials = credentials(Identity::chained);
      c.credentials->certificate_chain_pem += unreadable;
    },
    [](ContextConfig& c) {
      c.peer_check = PeerCheck::verify;
      c.ca_pem.clear();
    },
    [](ContextConfig& c) { c.peer_check = PeerCheck::optional; },
    [](ContextConfig& c) { c.alpn = {""}; },
    [](ContextConfig& c) { c.alpn = {std::string(256, 'p')}; },
    [](ContextConfig& c) { c.alpn = {std::string(255, 'p')}; },
    [](ContextConfig& c) { c.alpn = std::vector<std::string>(40, "protocol"); },
    [](ContextConfig& c) { c.version_max = TlsVersion::none; },
    [](ContextConfig& c) {
      c.version_min = TlsVersion::tls13;
      c.version_max = TlsVersion::tls12;
    },
    [](ContextConfig& c) { c.key_log = [](std::string_view) {}; },
};

std::optional<Error> engine_refusal(const Context& context, std::size_t choice) {
  static const std::array<EngineConfig, 8> asked{{{.host = "", .resume = {}},
                                                  {.host = std::string("local\0host", 10), .resume = {}},
                                                  {.host = std::string(256, 'a'), .resume = {}},
                                                  {.host = "localhost", .resume = {1, 2, 3}},
                                                  {.host = "localhost", .resume = Bytes(300, 1)},
                                                  {.host = "127.0.0.1", .resume = {}},
                                                  {.host = "::1", .resume = Bytes(1, 0)},
                                                  {.host = "localhost", .resume = {}}}};
  const auto engine = context.make_engine(asked[choice % asked.size()]);
  return engine.has_value() ? std::nullopt : std::optional(engine.error());
}

}  // namespace

Nature nature_of(Choices& choices, const std::string& library) {
  static auto& made = *new std::map<std::tuple<std::string, Role, Shape>, std::shared_ptr<const Context>>;
  Backend* const backend = find_backend(library);
  demand(backend != nullptr, "there is no such library");
  constexpr std::size_t kept_max = 256;
  if (made.size() >= kept_max) {
    made.clear();
  }
  Shape shape{};
  std::ranges::generate(shape, [&choices] { return choices.next(); });
  const auto context = [&](Role role) {
    const auto [at, is_new] = made.try_emplace({library, role, shape});
    if (is_new) {
      at->second = backend->make_context(config_of(role, shape)).value_or(nullptr);
    }
    return at->second;
  };
  Nature nature{.client = context(Role::client), .server = context(Role::server), .connect = {}};
  nature.connect.host = hosts[choices.next() % hosts.size()];
  return nature;
}

std::optional<Error> refusal_of(Backend& backend, std::uint8_t choice) {
  const Role role = choice % 2 != 0 ? Role::server : Role::client;
  const std::size_t which = choice / 2U;
  const bool of_keys = which >= changes.size() && which - changes.size() < lengths.size();
  ContextConfig config = of_keys ? keyed(role, lengths[which - changes.size()]) : complete(role);
  if (which < changes.size()) {
    changes[which](config);
  }
  const auto context = backend.make_context(config);
  if (!context.has_value()) {
    return context.error();
  }
  const std::size_t before = changes.size() + lengths.size();
  return which < before ? std::nullopt : engine_refusal(**context, which - before);
}

}  // namespace rig
