// The loop itself: turns, timers, wake-ups, counts, and reports that come too late.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "harness/socket/tests/layer_fixture.h"

namespace rig {
namespace {

using namespace test;

// Thing is an object of a loop that writes down what it is told.
class Thing final : public LoopObject {
 public:
  explicit Thing(Loop& loop, Stage at = Stage::open) : loop_(loop), stage_(at) {}
  static std::shared_ptr<Thing> attached(const std::shared_ptr<Loop>& loop, Stage at = Stage::open) {
    auto thing = std::make_shared<Thing>(*loop, at);
    EXPECT_TRUE(loop->attach(thing, 2));
    return thing;
  }

  void ready(const Ready& report) override { note("ready", &report); }
  void service() override { note("service", nullptr); }
  void expired(Timer& timer) override { note(&timer == &first ? "first" : "second", nullptr); }
  Stage stage() const override { return stage_; }
  void leave() {
    loop_.cancel(first);
    loop_.cancel(second);
    loop_.detach(*this);
  }

  ObjectTimer first{*this};
  ObjectTimer second{*this};
  Log log;
  std::vector<Ready> reports;
  std::function<void()> hook;

 private:
  void note(const char* word, const Ready* report) {
    EXPECT_EQ(std::this_thread::get_id(), thread_);
    log.emplace_back(word);
    if (report != nullptr) {
      reports.push_back(*report);
    }
    if (const auto running = hook) {  // a copy: it may replace itself
      running();
    }
  }
  Loop& loop_;
  const Stage stage_;
  const std::thread::id thread_ = std::this_thread::get_id();
};

class loop : public testing::Test {
 protected:
  loop() {
    auto fake = std::make_unique<FakePoller>();
    poller_ = fake.get();
    loop_ = *Loop::make(std::move(fake), true);
  }
  void turn() { EXPECT_TRUE(loop_->turn(0)); }
  FakePoller* poller_;
  std::shared_ptr<Loop> loop_;
};

TEST_F(loop, says_what_it_was_made_of) {
  EXPECT_TRUE(loop_->fast_track());
  for (const PollerKind kind : {PollerKind::epoll, PollerKind::poll, PollerKind::select}) {
    const auto real = Loop::make(kind, false);
    ASSERT_TRUE(real);
    EXPECT_EQ((*real)->poller_kind(), kind);
    EXPECT_FALSE((*real)->fast_track());
    EXPECT_TRUE((*real)->turn(0));
  }
}

TEST_F(loop, serves_a_scheduled_object_once_however_often_it_was_scheduled) {
  const auto thing = Thing::attached(loop_);
  loop_->schedule(*thing);
  loop_->schedule(*thing);
  EXPECT_GE(poller_->wakes, 1U);
  EXPECT_TRUE(loop_->turn(-1));
  EXPECT_EQ(poller_->last_timeout_us, 0);  // something was due: no wait
  EXPECT_EQ(thing->log, Log{"service"});
  turn();
  EXPECT_EQ(thing->log, Log{"service"});
  thing->leave();
}

TEST_F(loop, an_object_that_schedules_itself_has_its_turn_and_lets_the_poller_have_its_own) {
  const auto thing = Thing::attached(loop_);
  thing->hook = [&] { loop_->schedule(*thing); };
  loop_->schedule(*thing);
  const std::size_t wakes = poller_->wakes;
  turn();
  const std::size_t served = thing->log.size();
  EXPECT_EQ(served, 16U);
  EXPECT_EQ(poller_->wakes, wakes);  // on its own thread the loop needs no wake-up
  turn();
  EXPECT_EQ(poller_->waits, 2U);
  EXPECT_GT(thing->log.size(), served);
  thing->leave();
}

TEST_F(loop, a_look_again_is_bounded) {
  const auto thing = Thing::attached(loop_);
  ASSERT_TRUE(loop_->watch(*thing, NativeHandle(3), {.readable = true}));
  auto wire = std::make_shared<FakeWire>(3);
  wire->input = "x";
  poller_->know(wire);
  thing->hook = [&] { loop_->look_again(); };
  turn();
  EXPECT_EQ(poller_->waits, 1U + 16U);
  loop_->unwatch(NativeHandle(3));
  thing->leave();
}

TEST_F(loop, a_detached_object_is_neither_served_nor_scheduled) {
  const auto first = Thing::attached(loop_);
  const auto second = Thing::attached(loop_);
  first->hook = [&] { second->leave(); };
  loop_->schedule(*first);
  loop_->schedule(*second);
  turn();
  EXPECT_EQ(first->log, Log{"service"});
  EXPECT_EQ(second->log, Log{});
  loop_->schedule(*second);
  EXPECT_TRUE(loop_->turn(5));
  EXPECT_EQ(poller_->last_timeout_us, 5);
  second->leave();  // harmless
  EXPECT_EQ(second->log, Log{});
  first->leave();
}

TEST_F(loop, keeps_an_object_alive_until_it_leaves) {
  auto thing = Thing::attached(loop_);
  const std::weak_ptr<Thing> watch = thing;
  thing->hook = [raw = thing.get()] {
    raw->hook = nullptr;
    raw->leave();
  };
  loop_->schedule(*thing);
  thing.reset();
  EXPECT_FALSE(watch.expired());
  turn();
  EXPECT_TRUE(watch.expired());
}

TEST_F(loop, timers_expire_in_order_not_before_their_time_and_bound_the_wait) {
  const auto thing = Thing::attached(loop_);
  const std::int64_t began_us = Loop::now_us();
  loop_->arm(thing->second, 3'000);
  loop_->arm(thing->first, 1'000);
  EXPECT_TRUE(loop_->turn(-1));
  EXPECT_GE(poller_->last_timeout_us, 0);
  EXPECT_LE(poller_->last_timeout_us, 1'000);
  while (thing->log.size() < 2) {
    turn();
  }
  EXPECT_GE(Loop::now_us() - began_us, 3'000);
  EXPECT_EQ(thing->log, (Log{"first", "second"}));
  EXPECT_TRUE(loop_->turn(-1));
  EXPECT_EQ(poller_->last_timeout_us, -1);  // nothing is armed any more
  thing->leave();
}

TEST_F(loop, a_cancelled_timer_never_expires) {
  const auto thing = Thing::attached(loop_);
  loop_->arm(thing->first, 0);
  loop_->arm(thing->second, 0);
  thing->hook = [&] {
    loop_->cancel(thing->first);
    loop_->cancel(thing->second);
  };
  turn();
  turn();
  EXPECT_EQ(thing->log.size(), 1U);
  thing->leave();
}

TEST_F(loop, counts_objects_by_stage) {
  std::vector<std::shared_ptr<Thing>> things;
  for (const Stage at : {Stage::listening, Stage::connecting, Stage::connecting, Stage::handshaking, Stage::open,
                         Stage::open, Stage::open, Stage::closing, Stage::undestroyed, Stage::undestroyed}) {
    things.push_back(Thing::attached(loop_, at));
  }
  ASSERT_TRUE(loop_->watch(*things[0], NativeHandle(7), {}));
  const LoopCounts counts = loop_->counts();
  EXPECT_EQ(counts.listeners, 1U);
  EXPECT_EQ(counts.connecting, 2U);
  EXPECT_EQ(counts.handshaking, 1U);
  EXPECT_EQ(counts.open, 3U);
  EXPECT_EQ(counts.closing, 1U);
  EXPECT_EQ(counts.undestroyed, 2U);
  EXPECT_EQ(counts.registrations, 1U);
  loop_->unwatch(NativeHandle(7));
  for (const auto& thing : things) {
    thing->leave();
  }
}

TEST_F(loop, a_report_carries_its_handle_at_full_width) {
  const NativeHandle wide((std::uint64_t{1} << 33) + 5);
  const auto thing = Thing::attached(loop_);
  ASSERT_TRUE(loop_->watch(*thing, wide, {.readable = true}));
  auto wire = std::make_shared<FakeWire>(wide.value());
  wire->input = "x";
  poller_->know(wire);
  turn();
  ASSERT_EQ(thing->reports.size(), 1U);
  EXPECT_EQ(thing->reports[0].handle, wide);
  EXPECT_TRUE(loop_->rewatch(wide, {}));
  loop_->unwatch(wide);
  thing->leave();
}

// creytiv/re#266, wasmer#6608: a report of an ended socket reached the one that had taken its place.
TEST_F(loop, a_stale_report_never_reaches_the_next_owner_of_the_place) {
  const NativeHandle handle(3);
  auto old = Thing::attached(loop_);
  ASSERT_TRUE(loop_->watch(*old, handle, {.readable = true}));
  const Ready stale{.handle = handle, .key = poller_->entry(handle)->key, .readable = true};
  loop_->unwatch(handle);
  old->leave();
  const auto fresh = Thing::attached(loop_);
  ASSERT_TRUE(loop_->watch(*fresh, handle, {.readable = true}));
  EXPECT_NE(poller_->entry(handle)->key, stale.key);
  poller_->planted = {stale, {.handle = handle, .key = 12345, .readable = true}};
  turn();
  EXPECT_EQ(fresh->log, Log{});
  EXPECT_EQ(old->log, Log{});
  loop_->unwatch(handle);
  fresh->leave();
}

TEST_F(loop, a_report_of_the_same_wait_is_skipped_for_an_object_that_left_in_between) {
  const auto first = Thing::attached(loop_);
  auto second = Thing::attached(loop_);
  std::shared_ptr<Thing> third;
  auto wire = std::make_shared<FakeWire>(3);
  auto wire_too = std::make_shared<FakeWire>(4);
  wire->input = wire_too->input = "x";
  poller_->know(wire);
  poller_->know(wire_too);
  ASSERT_TRUE(loop_->watch(*first, NativeHandle(3), {.readable = true}));
  ASSERT_TRUE(loop_->watch(*second, NativeHandle(4), {.readable = true}));
  first->hook = [&] {
    first->hook = nullptr;
    loop_->unwatch(NativeHandle(4));
    second->leave();
    third = Thing::attached(loop_);  // takes the place of the second
    ASSERT_TRUE(loop_->watch(*third, NativeHandle(4), {}));
  };
  turn();
  EXPECT_EQ(second->log, Log{});
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(third->log, Log{});
  loop_->unwatch(NativeHandle(3));
  loop_->unwatch(NativeHandle(4));
  first->leave();
  third->leave();
}

TEST_F(loop, a_poller_that_fails_is_reported_and_the_loop_goes_on) {
  const auto thing = Thing::attached(loop_);
  loop_->schedule(*thing);
  poller_->refuse_wait = Error(Code::no_memory);
  EXPECT_EQ(code_of(loop_->turn(0)), Code::no_memory);
  EXPECT_EQ(thing->log, Log{"service"});
  turn();
  thing->leave();
}

// Under a real poller: a wait without limit ends when another thread has something.
class loop_threads : public testing::TestWithParam<PollerKind> {
 protected:
  std::shared_ptr<Loop> loop_ = *Loop::make(GetParam(), true);
};

INSTANTIATE_TEST_SUITE_P(, loop_threads, testing::Values(PollerKind::epoll, PollerKind::poll, PollerKind::select),
                         [](const testing::TestParamInfo<PollerKind>& at) {
                           return std::string(poller_kind_name(at.param));
                         });

TEST_P(loop_threads, a_wake_ends_the_next_wait) {
  loop_->wake();
  loop_->wake();
  EXPECT_TRUE(loop_->turn(-1));
  EXPECT_TRUE(loop_->turn(0));
}

TEST_P(loop_threads, schedules_of_other_threads_are_served_and_none_is_lost) {
  constexpr int threads_count = 3;
  constexpr int rounds = 200;
  std::vector<std::shared_ptr<Thing>> things;
  std::atomic<int> served[threads_count] = {};
  for (int i = 0; i < threads_count; ++i) {
    things.push_back(Thing::attached(loop_));
    things.back()->hook = [&served, i] { ++served[i]; };
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < threads_count; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < rounds; ++round) {
        loop_->schedule(*things[static_cast<std::size_t>(i)]);
        while (served[i].load() <= round) {
          std::this_thread::yield();
        }
      }
    });
  }
  const auto done = [&] {
    return std::all_of(std::begin(served), std::end(served), [](const auto& count) { return count >= rounds; });
  };
  while (!done()) {
    EXPECT_TRUE(loop_->turn(-1));
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const auto& thing : things) {
    thing->leave();
  }
}

using loop_death = loop;

TEST_F(loop_death, a_turn_inside_a_callback_is_a_bug_of_the_caller) {
  const auto thing = Thing::attached(loop_);
  thing->hook = [&] { static_cast<void>(loop_->turn(0)); };
  loop_->schedule(*thing);
  EXPECT_DEATH(turn(), "check failed");
  thing->leave();
}

TEST_F(loop_death, a_loop_that_still_has_objects_may_not_die) {
  const auto thing = Thing::attached(loop_);
  EXPECT_DEATH(loop_.reset(), "check failed");
  thing->leave();
}

}  // namespace
}  // namespace rig
