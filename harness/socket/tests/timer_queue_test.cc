#include "harness/socket/timer_queue.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <vector>

namespace rig {
namespace {

TEST(timer_queue, an_empty_queue_has_no_deadline_and_nothing_expires) {
  TimerQueue queue;
  EXPECT_EQ(queue.next_deadline_us(), -1);
  EXPECT_EQ(queue.pop_expired(std::numeric_limits<std::int64_t>::max()), nullptr);
  EXPECT_EQ(queue.size(), 0U);
}

TEST(timer_queue, a_timer_expires_at_its_deadline_and_not_before) {
  TimerQueue queue;
  ASSERT_TRUE(queue.reserve(1));
  Timer timer;
  queue.arm(timer, 100);
  EXPECT_TRUE(timer.armed());
  EXPECT_EQ(queue.next_deadline_us(), 100);
  EXPECT_EQ(queue.pop_expired(99), nullptr);
  EXPECT_TRUE(timer.armed());
  EXPECT_EQ(queue.pop_expired(100), &timer);
  EXPECT_FALSE(timer.armed());
  EXPECT_EQ(queue.pop_expired(100), nullptr);
}

TEST(timer_queue, a_timer_can_be_moved_both_ways_without_more_room) {
  TimerQueue queue;
  ASSERT_TRUE(queue.reserve(2));
  Timer moved;
  Timer fixed;
  queue.arm(moved, 10);
  queue.arm(fixed, 20);
  queue.arm(moved, 30);
  EXPECT_EQ(queue.next_deadline_us(), 20);
  queue.arm(moved, 5);
  EXPECT_EQ(queue.next_deadline_us(), 5);
  EXPECT_EQ(queue.size(), 2U);
  EXPECT_EQ(queue.pop_expired(100), &moved);
  EXPECT_EQ(queue.pop_expired(100), &fixed);
}

TEST(timer_queue, cancel_disarms_and_a_second_cancel_does_nothing) {
  TimerQueue queue;
  ASSERT_TRUE(queue.reserve(2));
  Timer timer;
  Timer other;
  queue.cancel(timer);
  queue.arm(timer, 1);
  queue.arm(other, 2);
  queue.cancel(timer);
  queue.cancel(timer);
  EXPECT_FALSE(timer.armed());
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.pop_expired(100), &other);
  EXPECT_EQ(queue.pop_expired(100), nullptr);
}

TEST(timer_queue, a_timer_expired_once_can_be_armed_again) {
  TimerQueue queue;
  ASSERT_TRUE(queue.reserve(1));
  Timer timer;
  for (std::int64_t now = 0; now < 10; ++now) {
    queue.arm(timer, now);
    EXPECT_EQ(queue.pop_expired(now), &timer);
  }
}

TEST(timer_queue, reserve_answers_no_memory_for_what_no_memory_can_hold) {
  TimerQueue queue;
  const Status refused = queue.reserve(std::numeric_limits<std::size_t>::max());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::no_memory);
  ASSERT_TRUE(queue.reserve(1));
  Timer timer;
  queue.arm(timer, 1);
  EXPECT_EQ(queue.size(), 1U);
  queue.cancel(timer);
}

TEST(timer_queue_death, arming_without_room_is_a_bug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        TimerQueue queue;
        Timer timer;
        queue.arm(timer, 1);
      },
      "check failed");
}

TEST(timer_queue_death, a_timer_of_another_queue_is_a_bug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  TimerQueue owner;
  TimerQueue stranger;
  ASSERT_TRUE(owner.reserve(1));
  Timer timer;
  owner.arm(timer, 1);
  EXPECT_DEATH(stranger.cancel(timer), "check failed");
  EXPECT_DEATH(stranger.arm(timer, 2), "check failed");
  owner.cancel(timer);
}

// Model is the queue as a sorted map; timers with equal deadlines may come in any order.
struct Model {
  explicit Model(std::size_t timers) : deadlines(timers, -1) {}

  void arm(std::size_t index, std::int64_t deadline) {
    cancel(index);
    deadlines[index] = deadline;
    sorted.emplace(deadline, index);
  }
  void cancel(std::size_t index) {
    const auto [first, last] = sorted.equal_range(deadlines[index]);
    for (auto it = first; it != last; ++it) {
      if (it->second == index) {
        sorted.erase(it);
        break;
      }
    }
    deadlines[index] = -1;
  }

  std::vector<std::int64_t> deadlines;
  std::multimap<std::int64_t, std::size_t> sorted;
};

void expire(TimerQueue& queue, std::vector<Timer>& timers, Model& model, std::int64_t now) {
  std::int64_t previous = -1;
  while (Timer* timer = queue.pop_expired(now)) {
    const auto index = static_cast<std::size_t>(timer - timers.data());
    RC_ASSERT(index < timers.size());
    RC_ASSERT(!timer->armed());
    RC_ASSERT(model.deadlines[index] >= previous);
    RC_ASSERT(model.deadlines[index] == model.sorted.begin()->first);
    RC_ASSERT(model.deadlines[index] <= now);
    previous = model.deadlines[index];
    model.cancel(index);
  }
  RC_ASSERT(model.sorted.empty() || model.sorted.begin()->first > now);
}

RC_GTEST_PROP(timer_queue_model, behaves_like_a_sorted_map, ()) {
  constexpr std::size_t count = 24;
  TimerQueue queue;
  RC_ASSERT(queue.reserve(count).has_value());
  std::vector<Timer> timers(count);
  Model model(count);
  const auto steps = *rc::gen::container<std::vector<std::tuple<unsigned, std::size_t, std::int64_t>>>(rc::gen::tuple(
      rc::gen::inRange(0U, 10U), rc::gen::inRange<std::size_t>(0, count), rc::gen::inRange<std::int64_t>(0, 40)));
  for (const auto& [verb, index, time] : steps) {
    if (verb < 6) {
      queue.arm(timers[index], time);
      model.arm(index, time);
    } else if (verb < 8) {
      queue.cancel(timers[index]);
      model.cancel(index);
    } else {
      expire(queue, timers, model, time);
    }
    RC_ASSERT(queue.size() == model.sorted.size());
    RC_ASSERT(queue.next_deadline_us() == (model.sorted.empty() ? -1 : model.sorted.begin()->first));
    for (std::size_t i = 0; i < count; ++i) {
      RC_ASSERT(timers[i].armed() == (model.deadlines[i] >= 0));
    }
  }
  expire(queue, timers, model, 1000);
  RC_ASSERT(queue.size() == 0U);
}

}  // namespace
}  // namespace rig
