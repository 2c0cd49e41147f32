#include "harness/lab/policy.h"

#include <algorithm>
#include <iterator>

#include "harness/lab/state.h"

namespace rig::lab {
namespace {

constexpr std::string_view policy_words[] = {"by_seed", "uniform", "sticky10", "sticky1", "pct", "none"};
constexpr std::string_view profile_words[] = {"strict", "adversarial"};
constexpr std::uint64_t points_without_wait_max = 1000;

}  // namespace

std::string_view word(PolicyKind policy) {
  return policy_words[static_cast<std::size_t>(policy)];
}

std::optional<PolicyKind> policy_from_word(std::string_view text) {
  const auto* found = std::ranges::find(policy_words, text);
  if (found == std::end(policy_words)) {
    return std::nullopt;
  }
  return static_cast<PolicyKind>(found - std::begin(policy_words));
}

std::string_view word(Profile profile) {
  return profile_words[static_cast<std::size_t>(profile)];
}

std::optional<Profile> profile_from_word(std::string_view text) {
  const auto* found = std::ranges::find(profile_words, text);
  if (found == std::end(profile_words)) {
    return std::nullopt;
  }
  return static_cast<Profile>(found - std::begin(profile_words));
}

PolicyKind policy_for_seed(std::uint64_t seed) {
  const std::uint64_t draw = mix64(seed ^ 0x706f6c696379) % 100;
  return draw < 30   ? PolicyKind::uniform
         : draw < 60 ? PolicyKind::sticky10
         : draw < 80 ? PolicyKind::sticky1
                     : PolicyKind::pct;
}

Policy::Policy(PolicyKind kind, Prng prng, std::uint64_t expected_points) : kind_(kind), prng_(prng) {
  if (kind_ != PolicyKind::pct) {
    return;
  }
  const std::uint64_t depth = prng_.between(1, 4);
  for (std::uint64_t i = 0; i < depth; ++i) {
    change_points_.push_back(prng_.below(expected_points));
  }
  std::ranges::sort(change_points_, std::greater<>());
}

void Policy::added(ThreadId thread) {
  priorities_.resize(thread + 1);
  priorities_[thread] = static_cast<std::int64_t>(prng_.next() >> 2);
}

ThreadId Policy::any(const std::vector<std::unique_ptr<Thread>>& threads, std::size_t runnable) {
  std::uint64_t left = prng_.below(runnable);
  for (const auto& thread : threads) {
    if (thread->state == ThreadState::runnable && left-- == 0) {
      return thread->id;
    }
  }
  return 0;
}

ThreadId Policy::highest(const std::vector<std::unique_ptr<Thread>>& threads) const {
  const Thread* best = nullptr;
  for (const auto& thread : threads) {
    if (thread->state == ThreadState::runnable &&
        (best == nullptr || priorities_[thread->id] > priorities_[best->id])) {
      best = thread.get();
    }
  }
  return best->id;
}

ThreadId Policy::by_priority(const std::vector<std::unique_ptr<Thread>>& threads, const Thread& from,
                             std::uint64_t point) {
  since_wait_ = from.id == last_ && from.state == ThreadState::runnable ? since_wait_ + 1 : 0;
  last_ = from.id;
  bool demote = from.last == Op::yield || since_wait_ > points_without_wait_max;
  while (!change_points_.empty() && change_points_.back() <= point) {
    change_points_.pop_back();
    demote = true;
  }
  if (demote) {
    priorities_[from.id] = --lowest_;
    since_wait_ = 0;
  }
  return highest(threads);
}

ThreadId Policy::choose(const std::vector<std::unique_ptr<Thread>>& threads, std::size_t runnable, const Thread& from,
                        ThreadId by_default, std::uint64_t point) {
  switch (kind_) {
    case PolicyKind::uniform:
      return any(threads, runnable);
    case PolicyKind::sticky10:
    case PolicyKind::sticky1:
      // A thread that has to give way, or says that it may, is an occasion for any other.
      if (from.state != ThreadState::runnable || from.last == Op::yield ||
          prng_.below(kind_ == PolicyKind::sticky10 ? 10 : 100) == 0) {
        return any(threads, runnable);
      }
      return by_default;
    case PolicyKind::pct:
      return by_priority(threads, from, point);
    case PolicyKind::by_seed:
    case PolicyKind::none:
      break;
  }
  return by_default;
}

}  // namespace rig::lab
