#include "harness/cli/agenda.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "harness/base/prng.h"

namespace rig::cli {

namespace {

// mixed takes one case of each suite in turn; within a suite they come as `seed` shuffles them.
std::vector<Case> mixed(std::vector<Case> cases, std::uint64_t seed) {
  Prng prng(seed);
  for (std::size_t left = cases.size(); left > 1; --left) {
    std::swap(cases[left - 1], cases[prng.below(left)]);
  }
  std::map<std::string_view, std::size_t> taken;
  std::vector<std::pair<std::size_t, std::size_t>> turns;  // of each case, and the case
  for (std::size_t i = 0; i < cases.size(); ++i) {
    turns.emplace_back(taken[cases[i].suite->name]++, i);
  }
  std::ranges::sort(turns);
  std::vector<Case> ordered;
  for (const auto& [turn, i] : turns) {
    ordered.push_back(std::move(cases[i]));
  }
  return ordered;
}

}  // namespace

Agenda::Agenda(const RunCommand& command, std::vector<Case> cases)
    : command_(command),
      cases_(command.order == Order::mixed ? mixed(std::move(cases), command.seeds.first) : std::move(cases)) {
  seed_ = command.seeds.first;
  std::map<std::string_view, std::uint64_t> cells;
  for (const Case& one : cases_) {
    ++cells[one.suite->name];
  }
  for (const Case& one : cases_) {
    const std::uint64_t count = cells[one.suite->name];
    last_seeds_.push_back(by_quota() ? (command.runs_per_suite + count - 1) / count : command.seeds.last);
  }
}

std::size_t Agenda::expected() const {
  std::size_t sum = 0;
  for (const std::uint64_t last : last_seeds_) {
    sum += last - command_.seeds.first + 1;
  }
  return command_.duration.has_value() || command_.no_memory.has_value() ? 0 : sum;
}

std::optional<Scenario> Agenda::next(double seconds) {
  if (command_.duration.has_value() && seconds >= std::chrono::duration<double>(*command_.duration).count()) {
    return std::nullopt;
  }
  if (!following_.empty()) {
    Scenario scenario = std::move(following_.front());
    following_.pop_front();
    return scenario;
  }
  if (command_.duration.has_value()) {
    return take();
  }
  const std::uint64_t last = *std::ranges::max_element(last_seeds_);
  while (seed_ <= last) {
    if (seed_ <= last_seeds_[at_]) {
      return take();
    }
    step();
  }
  return std::nullopt;
}

void Agenda::follow(const Scenario& scenario, const Verdict& verdict) {
  if (!command_.no_memory.has_value() || verdict.kind != VerdictKind::pass) {
    return;
  }
  for (std::size_t site = 0; site < verdict.allocation_sites.size(); site += command_.no_memory_every) {
    for (const bool sticky : {false, true}) {
      if (*command_.no_memory == (sticky ? NoMemory::once : NoMemory::sticky)) {
        continue;
      }
      lab::Fault fault;
      fault.number = 1;
      fault.kind = lab::FaultKind::no_memory;
      fault.nth = verdict.allocation_sites[site];
      fault.sticky = sticky;
      Scenario& next = following_.emplace_back(scenario);
      next.lab.faults.push_back(fault);
    }
  }
}

// With allocations that fail one seed of each case is a thousand runs.
bool Agenda::by_quota() const {
  return command_.selection.world == World::lab && !command_.seeds_given && !command_.no_memory.has_value();
}

Scenario Agenda::take() {
  const Case& one = cases_[at_];
  Scenario scenario = one.suite->make(one.cell, command_.size, seed_);
  scenario.memory_may_fail = command_.no_memory.has_value();
  set_weather(command_.weather, scenario);
  step();
  return scenario;
}

void Agenda::step() {
  if (++at_ == cases_.size()) {
    at_ = 0;
    ++seed_;
  }
}

}  // namespace rig::cli
