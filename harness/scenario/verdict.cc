#include "harness/scenario/verdict.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <type_traits>

#include "harness/base/check.h"
#include "harness/scenario/text.h"
#include "harness/scenario/text_lab.h"

namespace rig {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kinds{
    Word{VerdictKind::pass, "pass"},       Word{VerdictKind::fail, "fail"}, Word{VerdictKind::hang, "hang"},
    Word{VerdictKind::vacuous, "vacuous"}, Word{VerdictKind::skip, "skip"},
};

// One list of keys for both directions: `visit(key, member)` for each member of a plain struct.
template <class Some, class Visit>
void each_used(Some& used, Visit visit) {
  visit("client_library", used.client_library);
  visit("server_library", used.server_library);
  visit("tls", used.tls);
  visit("cipher", used.cipher);
  visit("poller", used.poller);
  visit("fast_track", used.fast_track);
  visit("nodelay_client", used.nodelay_client);
  visit("nodelay_server", used.nodelay_server);
}

template <class Some, class Visit>
void each_claimed(Some& cell, Visit visit) {
  visit("subject", cell.subject);
  visit("client", cell.client);
  visit("server", cell.server);
  visit("tls", cell.tls);
  visit("auth", cell.auth);
  visit("world", cell.world);
  visit("poller", cell.poller);
  visit("fast_track", cell.fast_track);
  visit("nodelay_client", cell.nodelay_client);
  visit("nodelay_server", cell.nodelay_server);
  visit("ipv6", cell.ipv6);
}

template <class Some, class Visit>
void each_plain(Some& verdict, Visit visit) {
  visit("suite", verdict.suite);
  visit("cell", verdict.cell);
  visit("seed", verdict.seed);
  visit("reason", verdict.reason);
  visit("violation_count", verdict.violation_count);
  visit("counters", verdict.counters);
  visit("repro", verdict.repro);
  visit("seconds", verdict.seconds);
}

// Refusal ends the reading of a line; it never leaves verdict_from_json.
struct Refusal {
  std::string sentence;
};

template <class Value>
void read_value(const Json& json, Value& value) {
  if constexpr (std::is_enum_v<Value>) {
    const auto text = json.get<std::string>();
    const auto known = from_word<Value>(text);
    if (!known.has_value()) {
      throw Refusal{"it has the unknown word '" + text + "'"};
    }
    value = *known;
  } else {
    value = json.get<Value>();
  }
}

// Passes over keys that are missing: see verdict_from_json.
auto reader(const Json& json) {
  if (!json.is_object()) {
    throw Refusal{"it has " + std::string(json.type_name()) + " where an object belongs"};
  }
  return [&json](const char* key, auto& value) {
    if (const auto found = json.find(key); found != json.end()) {
      read_value(*found, value);
    }
  };
}

Law read_law(const std::string& name) {
  const auto law = law_from_name(name);
  if (!law.has_value()) {
    throw Refusal{"it has the unknown law '" + name + "'"};
  }
  return *law;
}

VerdictKind read_kind(const std::string& name) {
  const auto kind = verdict_kind_from_name(name);
  if (!kind.has_value()) {
    throw Refusal{"it has the unknown verdict '" + name + "'"};
  }
  return *kind;
}

Verdict read_verdict(const Json& json) {
  Verdict verdict;
  verdict.kind = read_kind(json.at("verdict").get<std::string>());
  each_plain(verdict, reader(json));
  if (const auto claimed = json.find("claimed"); claimed != json.end()) {
    each_claimed(verdict.cell_claimed, reader(*claimed));
  }
  if (const auto used = json.find("used"); used != json.end()) {
    each_used(verdict.used, reader(*used));
  }
  if (const auto violations = json.find("violations"); violations != json.end()) {
    for (const Json& one : *violations) {
      verdict.violations.push_back({read_law(one.at("law").get<std::string>()), one.at("where").get<std::string>(),
                                    one.at("message").get<std::string>()});
    }
  }
  if (const auto hash = json.find("hash"); hash != json.end()) {
    const auto text = hash->get<std::string>();
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), verdict.trace_hash, 16);
    if (wrong != std::errc() || end != text.data() + text.size()) {
      throw Refusal{"its hash '" + text + "' is no hexadecimal number of 64 bits"};
    }
  }
  if (const auto lacking = json.find("lacking"); lacking != json.end()) {
    verdict.lacking = lacking->get<std::string>();
  }
  if (const auto lab = json.find("lab"); lab != json.end()) {
    const auto scenario = parse_scenario("scenario 1\n" + lab->get<std::string>());
    if (!scenario.has_value()) {
      throw Refusal{"its lab lines cannot be read: " + scenario.error().message};
    }
    verdict.lab = scenario->lab;
  }
  if (const auto sites = json.find("allocation_sites"); sites != json.end()) {
    verdict.allocation_sites = sites->get<std::vector<std::uint64_t>>();
  }
  return verdict;
}

// A green run's seed says all; its switches would be most of the line.
std::string lab_lines(const Verdict& verdict) {
  LabPart part = *verdict.lab;
  if (verdict.kind == VerdictKind::pass) {
    part.switches.clear();
    part.faults.clear();
  }
  return print_lab(part);
}

}  // namespace

std::string_view verdict_kind_name(VerdictKind kind) noexcept {
  for (const auto& one : kinds) {
    if (one.value == kind) {
      return one.text;
    }
  }
  RIG_CHECK(false);
}

std::optional<VerdictKind> verdict_kind_from_name(std::string_view name) noexcept {
  for (const auto& one : kinds) {
    if (one.text == name) {
      return one.value;
    }
  }
  return std::nullopt;
}

std::string verdict_json(const Verdict& verdict) {
  Json json = Json::object();
  json["verdict"] = verdict_kind_name(verdict.kind);
  each_plain(verdict, [&json](const char* key, const auto& value) {
    if constexpr (std::is_same_v<decltype(value), const double&>) {
      json[key] = std::isfinite(value) ? value : 0.0;  // JSON has no others
    } else {
      json[key] = value;
    }
  });
  each_claimed(verdict.cell_claimed, [&claimed = json["claimed"]](const char* key, const auto& value) {
    if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(value)>>) {
      claimed[key] = word(value);
    } else {
      claimed[key] = value;
    }
  });
  each_used(verdict.used, [&used = json["used"]](const char* key, const std::string& value) { used[key] = value; });
  Json& violations = json["violations"] = Json::array();
  for (const Violation& one : verdict.violations) {
    violations.push_back({{"law", law_name(one.law)}, {"where", one.where}, {"message", one.message}});
  }
  std::array<char, 17> hash{};
  std::snprintf(hash.data(), hash.size(), "%016llx", static_cast<unsigned long long>(verdict.trace_hash));
  json["hash"] = hash.data();
  if (!verdict.lacking.empty()) {
    json["lacking"] = verdict.lacking;
  }
  if (verdict.lab.has_value()) {
    json["lab"] = lab_lines(verdict);
  }
  if (!verdict.allocation_sites.empty()) {
    json["allocation_sites"] = verdict.allocation_sites;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::expected<Verdict, Error> verdict_from_json(std::string_view line) {
  const auto refuse = [](const std::string& why) {
    return std::unexpected(Error(Code::invalid_argument, "this is no verdict: " + why));
  };
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    return refuse("it is not one JSON object");
  }
  if (!json.contains("verdict")) {
    return refuse("the key 'verdict' is missing");
  }
  try {
    return read_verdict(json);
  } catch (const Refusal& refusal) {
    return refuse(refusal.sentence);
  } catch (const Json::exception& wrong) {
    return refuse(wrong.what());
  }
}

}  // namespace rig
