// Differential: one scenario on every library, in the lab. How connections begin and end, and what goes through, is the
// same on all of them, but for the differences that differences.h lists.
//
// An input is the text of a scenario, mutated as that of `completion`; of it remains what leaves no choice to the
// length of a library's records (comparable()).
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/finding.h"
#include "fuzz/fitted.h"
#include "fuzz/lab_target.h"
#include "fuzz/outcomes.h"
#include "fuzz/planted.h"
#include "harness/engine/backend.h"
#include "harness/scenario/text.h"
#include "harness/subjects/subjects.h"

namespace {

constexpr std::string_view first_library = "openssl";

// A deadline is as short as the wire may be late, and which segment is late depends on how many a library sends: here
// it is longer, and still within what a fuzzer takes for a stall.
rig::Scenario prepared(rig::Scenario scenario) {
  scenario = rig::fitted(rig::comparable(std::move(scenario)), first_library);
  for (std::uint64_t* const limit_us : {&scenario.settings.handshake_timeout_us, &scenario.settings.close_timeout_us}) {
    *limit_us *= 4;
  }
  return scenario;
}

bool speaks(const rig::Backend& backend, rig::TlsChoice tls) {
  const rig::Capabilities& can = backend.capabilities();
  return tls == rig::TlsChoice::tls13 ? can.tls13 : tls == rig::TlsChoice::tls12 && can.tls12;
}

// What is planted is planted in one library only: the last.
const rig_subject* subject_for(bool last) {
  const rig_subject* const planted = last ? rig::planted_subject() : nullptr;
  const auto house = rig::find_subject("house");
  rig::demand(house.has_value(), "there is no house");
  return rig::record_outcomes(planted != nullptr ? planted : *house);
}

// Nothing is what comes of a library that cannot do what the scenario asks for, as an update of keys.
std::optional<rig::Outcomes> outcomes_on(rig::Scenario scenario, std::string_view library, bool last) {
  scenario.cell.client = scenario.cell.server = library;
  const rig::Verdict verdict = rig::run_and_judge(scenario, subject_for(last));
  if (verdict.kind == rig::VerdictKind::skip) {
    return std::nullopt;
  }
  rig::Outcomes outcomes = rig::recorded();
  if (!rig::has_end(scenario)) {
    outcomes.erase("client ended");
    outcomes.erase("server ended");
  }
  outcomes["verdict"] = rig::verdict_kind_name(verdict.kind);
  // Of a change of keys nobody waits for the end, so that whether a side has come to it is a matter of time.
  for (const char* const counter : {"ops", "ops_failed", "bytes"}) {
    const auto found = verdict.counters.find(counter);
    outcomes[counter] = std::to_string(found != verdict.counters.end() ? found->second : 0);
  }
  // Each piece of data is echoed as an op of its own, and how many pieces there are is the library's affair.
  if (std::ranges::count(scenario.reactions, rig::Verb::echo, &rig::Reaction::verb) > 0) {
    outcomes.erase("ops");
  }
  return outcomes;
}

std::string word_in(const rig::Outcomes& outcomes, const std::string& what) {
  const auto found = outcomes.find(what);
  return found != outcomes.end() ? found->second : "nothing";
}

void compare(const rig::Scenario& scenario, std::string_view one_library, const rig::Outcomes& one,
             std::string_view other_library, const rig::Outcomes& other) {
  rig::Outcomes all = one;
  all.insert(other.begin(), other.end());
  for (const auto& [what, unused] : all) {
    const std::string here = word_in(one, what);
    const std::string there = word_in(other, what);
    if (here != there && !rig::excused(scenario, what, here, there)) {
      std::fprintf(stderr, "%s\n", rig::print_scenario(scenario).c_str());
      rig::found(what + " is '" + here + "' on " + std::string(one_library) + " and '" + there + "' on " +
                 std::string(other_library));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  rig::enter_lab_or_end();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t room,
                                               unsigned int seed) {
  return rig::mutate_text(data, size, room, seed, first_library, prepared);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto read = rig::scenario_of(data, size, first_library);
  if (!read.has_value()) {
    return rig::is_blank(data, size) ? 0 : -1;
  }
  const rig::Scenario scenario = prepared(std::move(*read));
  std::vector<std::string_view> libraries;
  for (const rig::Backend* const backend : rig::backends()) {
    if (speaks(*backend, scenario.cell.tls)) {
      libraries.push_back(backend->name());
    }
  }
  std::optional<rig::Outcomes> first;
  std::string_view first_of;
  for (const std::string_view library : libraries) {
    std::optional<rig::Outcomes> outcomes = outcomes_on(scenario, library, library == libraries.back());
    if (!outcomes.has_value()) {
      continue;
    }
    if (first.has_value()) {
      compare(scenario, first_of, *first, library, *outcomes);
    } else {
      first = std::move(outcomes);
      first_of = library;
    }
  }
  return 0;
}
