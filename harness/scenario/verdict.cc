#include "harness/scenario/verdict.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace rig {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<VerdictKind, std::string_view>, 5> kinds{{{VerdictKind::pass, "pass"},
                                                                         {VerdictKind::fail, "fail"},
                                                                         {VerdictKind::hang, "hang"},
                                                                         {VerdictKind::vacuous, "vacuous"},
                                                                         {VerdictKind::skip, "skip"}}};

// The members of Used by their JSON key, for both directions.
constexpr std::array<std::pair<const char*, std::string Used::*>, 8> used_members{
    {{"client_library", &Used::client_library},
     {"server_library", &Used::server_library},
     {"tls", &Used::tls},
     {"cipher", &Used::cipher},
     {"poller", &Used::poller},
     {"fast_track", &Used::fast_track},
     {"nodelay_client", &Used::nodelay_client},
     {"nodelay_server", &Used::nodelay_server}}};

Verdict from_json(const Json& json) {
  Verdict verdict;
  const auto kind = verdict_kind_from_name(json.at("verdict").get<std::string>());
  if (!kind.has_value()) {
    throw std::runtime_error("unknown verdict");
  }
  verdict.kind = *kind;
  verdict.suite = json.at("suite");
  verdict.cell = json.at("cell");
  verdict.seed = json.at("seed");
  verdict.reason = json.at("reason");
  for (const Json& one : json.at("violations")) {
    const auto law = law_from_name(one.at("law").get<std::string>());
    if (!law.has_value()) {
      throw std::runtime_error("unknown law");
    }
    verdict.violations.push_back({.law = *law, .where = one.at("where"), .message = one.at("message")});
  }
  verdict.violation_count = json.at("violation_count");
  verdict.counters = json.at("counters").get<std::map<std::string, std::uint64_t>>();
  for (const auto& [key, member] : used_members) {
    verdict.used.*member = json.at("used").at(key);
  }
  verdict.repro = json.at("repro");
  verdict.seconds = json.at("seconds");
  verdict.trace_hash = json.at("hash");
  return verdict;
}

}  // namespace

std::string_view verdict_kind_name(VerdictKind kind) noexcept {
  for (const auto& [candidate, name] : kinds) {
    if (candidate == kind) {
      return name;
    }
  }
  return "?";
}

std::optional<VerdictKind> verdict_kind_from_name(std::string_view name) noexcept {
  for (const auto& [kind, candidate] : kinds) {
    if (candidate == name) {
      return kind;
    }
  }
  return std::nullopt;
}

std::string verdict_json(const Verdict& verdict) {
  Json violations = Json::array();
  for (const Violation& one : verdict.violations) {
    violations.push_back({{"law", law_name(one.law)}, {"where", one.where}, {"message", one.message}});
  }
  Json used = Json::object();
  for (const auto& [key, member] : used_members) {
    used[key] = verdict.used.*member;
  }
  const Json json{{"suite", verdict.suite},
                  {"cell", verdict.cell},
                  {"seed", verdict.seed},
                  {"verdict", verdict_kind_name(verdict.kind)},
                  {"reason", verdict.reason},
                  {"violations", violations},
                  {"violation_count", verdict.violation_count},
                  {"counters", verdict.counters},
                  {"used", used},
                  {"repro", verdict.repro},
                  {"seconds", verdict.seconds},
                  {"hash", verdict.trace_hash}};
  // Bytes that are no UTF-8 (from a library's text) are replaced, not refused.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::expected<Verdict, Error> verdict_from_json(std::string_view line) {
  try {
    return from_json(Json::parse(line));
  } catch (const std::exception& wrong) {
    return std::unexpected(Error(Code::invalid_argument, std::string("not a verdict: ") + wrong.what()));
  }
}

}  // namespace rig
