#include "harness/scenario/shrink.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/ddmin.h"

namespace rig {
namespace {

// Shrinker holds the smallest that was found so far.
class Shrinker {
 public:
  Shrinker(const ShrinkTools& tools, Scenario scenario) : tools_(tools), best_(std::move(scenario)) {}

  std::expected<Shrunk, Error> shrink();

 private:
  using Change = std::function<bool(Scenario&)>;  // false: there is nothing to change

  Verdict run(const Scenario& scenario);
  bool fails_alike(const Verdict& verdict) const { return failure_kind(verdict) == kind_; }
  // take makes a run that fails the best, with the switches and faults that it had.
  void take(Scenario scenario, Verdict verdict);
  bool out_of_runs() const { return runs_ >= tools_.runs_max; }
  void say(const std::string& sentence) const;

  bool try_workload(const Change& change);
  bool try_as_it_is(const Scenario& candidate);
  void shrink_workload();
  template <class Item>
  void shrink_list(std::vector<Item> LabPart::* list, const char* what);

  const ShrinkTools& tools_;
  Scenario best_;
  Verdict verdict_;
  std::string kind_;
  std::uint64_t runs_ = 0;
};

// The changes of a workload, each at one place. An index beyond the last place says that all were tried.
struct Place {
  std::size_t thread;
  std::size_t step;
};

std::vector<Place> places(const Scenario& scenario) {
  std::vector<Place> all;
  for (std::size_t thread = 0; thread < scenario.threads.size(); ++thread) {
    for (std::size_t step = 0; step < scenario.threads[thread].steps.size(); ++step) {
      all.push_back({thread, step});
    }
  }
  return all;
}

bool concerns_beyond(const std::optional<std::uint32_t>& connection, std::uint32_t count) {
  return connection.has_value() && *connection >= count;
}

bool set_connections(Scenario& scenario, std::uint32_t count) {
  if (count == 0 || scenario.settings.connections <= count) {
    return false;
  }
  scenario.settings.connections = count;
  const auto beyond = [count](const auto& one) { return concerns_beyond(one.connection, count); };
  std::erase_if(scenario.threads, beyond);
  std::erase_if(scenario.reactions, beyond);
  std::erase_if(scenario.expectations, beyond);
  return true;
}

bool lower(std::uint64_t& number, std::uint64_t to) {
  return number > to && (number = to, true);
}

bool lower_load(Step& step, int how) {
  if (step.verb != Verb::send) {
    return false;
  }
  switch (how) {
    case 0:
      return lower(step.count, 1);
    case 1:
      return lower(step.count, step.count / 2);
    case 2:
      return lower(step.size_max, std::max<std::uint64_t>(step.size_min, 1));
    case 3:
      step.size_min = std::min(step.size_min, step.size_max / 2);
      return lower(step.size_max, step.size_max / 2);
    default:
      return false;
  }
}

constexpr int load_changes = 4;

void Shrinker::say(const std::string& sentence) const {
  if (tools_.said) {
    tools_.said(sentence);
  }
}

Verdict Shrinker::run(const Scenario& scenario) {
  ++runs_;
  return tools_.run(scenario);
}

void Shrinker::take(Scenario scenario, Verdict verdict) {
  best_ = std::move(scenario);
  best_.lab = *verdict.lab;
  verdict_ = std::move(verdict);
}

bool Shrinker::try_as_it_is(const Scenario& candidate) {
  Verdict verdict = run(candidate);
  if (!fails_alike(verdict) || !verdict.lab.has_value()) {
    return false;
  }
  take(candidate, std::move(verdict));
  return true;
}

// With the switches that are known first: most changes are far from where they matter. Then with other schedules.
bool Shrinker::try_workload(const Change& change) {
  Scenario candidate = best_;
  if (out_of_runs() || !change(candidate)) {
    return false;
  }
  candidate.lab.events = 0;
  if (try_as_it_is(candidate)) {
    return true;
  }
  candidate.lab.policy = lab::PolicyKind::by_seed;
  candidate.lab.switches.clear();
  const std::uint64_t first = candidate.seed;
  for (std::uint64_t i = 0; i < tools_.seeds_per_candidate && !out_of_runs(); ++i) {
    candidate.seed = first + i;
    if (try_as_it_is(candidate)) {
      return true;
    }
  }
  return false;
}

void Shrinker::shrink_workload() {
  const auto half = [this] { return best_.settings.connections / 2; };
  try_workload([](Scenario& s) { return set_connections(s, 1); });
  while (try_workload([&](Scenario& s) { return set_connections(s, half()); })) {
  }
  for (std::size_t i = best_.threads.size(); i-- > 0;) {
    try_workload(
        [i](Scenario& s) { return s.threads.erase(s.threads.begin() + static_cast<std::ptrdiff_t>(i)), true; });
  }
  for (std::size_t i = best_.threads.size(); i-- > 0;) {
    try_workload([i](Scenario& s) { return s.threads[i].copies > 1 && (s.threads[i].copies = 1, true); });
  }
  for (std::size_t i = best_.reactions.size(); i-- > 0;) {
    try_workload(
        [i](Scenario& s) { return s.reactions.erase(s.reactions.begin() + static_cast<std::ptrdiff_t>(i)), true; });
  }
  const std::vector<Place> all = places(best_);
  for (const Place& place : all) {
    for (int how = 0; how < load_changes; ++how) {
      while (try_workload([&](Scenario& s) { return lower_load(s.threads[place.thread].steps[place.step], how); })) {
      }
    }
  }
  for (std::size_t i = all.size(); i-- > 0;) {
    try_workload([&](Scenario& s) {
      auto& steps = s.threads[all[i].thread].steps;
      return steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(all[i].step)), true;
    });
  }
}

template <class Item>
void Shrinker::shrink_list(std::vector<Item> LabPart::* list, const char* what) {
  const std::size_t before = (best_.lab.*list).size();
  ddmin(best_.lab.*list, [&](const std::vector<Item>& items) -> std::optional<std::vector<Item>> {
    Scenario candidate = best_;
    candidate.lab.events = 0;
    candidate.lab.*list = items;
    if (out_of_runs() || !try_as_it_is(candidate)) {
      return std::nullopt;
    }
    return best_.lab.*list;
  });
  say(std::string(what) + ": from " + std::to_string(before) + " to " + std::to_string((best_.lab.*list).size()));
}

std::expected<Shrunk, Error> Shrinker::shrink() {
  best_.lab.events = 0;
  Verdict first = run(best_);
  kind_ = failure_kind(first);
  if (kind_.empty() || !first.lab.has_value()) {
    return std::unexpected(Error(Code::invalid_argument,
                                 "it does not fail: the verdict is " + std::string(verdict_kind_name(first.kind))));
  }
  say("fails: " + kind_);
  take(best_, std::move(first));
  if (!try_as_it_is(best_)) {
    return std::unexpected(
        Error(Code::internal, "with its own switches listed it does not fail in the same way; nothing can be shrunk"));
  }
  const std::size_t steps = places(best_).size();
  shrink_workload();
  say("steps: from " + std::to_string(steps) + " to " + std::to_string(places(best_).size()));
  shrink_list(&LabPart::faults, "faults");
  shrink_list(&LabPart::switches, "switches");
  return Shrunk{.scenario = best_, .verdict = verdict_, .runs = runs_};
}

// What is left of a sentence without what differs from run to run: addresses and numbers, and who called the innermost
// function of a stack. "==123==ERROR: AddressSanitizer: heap-use-after-free on address 0x..." ends at its address.
std::string shape_of(std::string said) {
  for (const std::string_view tail : {" on address ", " <- "}) {
    said.erase(std::min(said.find(tail), said.size()));
  }
  std::string shape;
  for (std::size_t at = 0; at < said.size(); ++at) {
    if (said.compare(at, 2, "0x") == 0) {
      at = std::min(said.find_first_not_of("0123456789abcdef", at + 2), said.size()) - 1;
    } else if (said[at] < '0' || said[at] > '9') {
      shape += said[at];
    }
  }
  return shape;
}

}  // namespace

std::string failure_kind(const Verdict& verdict) {
  if (verdict.kind == VerdictKind::pass || verdict.kind == VerdictKind::skip) {
    return {};
  }
  const std::string text(verdict_kind_name(verdict.kind));
  if (!verdict.violations.empty()) {
    const Violation& first = verdict.violations.front();
    return text + " " + std::string(law_name(first.law)) + ": " + shape_of(first.message);
  }
  if (verdict.kind == VerdictKind::fail) {
    return text + " " + shape_of(verdict.reason);
  }
  const std::size_t colon = verdict.reason.find(':');
  return text + " " + verdict.reason.substr(0, std::min(colon, verdict.reason.size()));
}

std::expected<Shrunk, Error> shrink(const Scenario& scenario, const ShrinkTools& tools) {
  if (scenario.cell.world != World::lab) {
    return std::unexpected(Error(Code::invalid_argument,
                                 "only a scenario of the lab can be shrunk: on the real kernel a failure cannot be "
                                 "told from luck"));
  }
  return Shrinker(tools, scenario).shrink();
}

}  // namespace rig
