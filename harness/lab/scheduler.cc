#include "harness/lab/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/base/check.h"
#include "harness/lab/kernel_call.h"
#include "harness/lab/sanitizer.h"
#include "harness/lab/state.h"

namespace rig::lab {
namespace {

constexpr std::int64_t point_ns = 1000;
constexpr std::uint64_t accesses_per_point = 64;  // on the average
// Without a policy, a thread that goes on for so long is taken to spin.
constexpr std::uint64_t points_without_switch_max = 20'000;

constinit std::atomic<RunState*> current_run{nullptr};

// What a thread's turn says, a futex.
constexpr std::uint32_t elsewhere = 0;
constexpr std::uint32_t here = 1;
constexpr std::uint32_t elsewhere_asleep = 2;

// Where all threads have one processor, a thread that is woken often goes on at once, and who woke it has not come to
// sleep when the turn is its own again: then there is nobody to wake.
void give_turn(Thread& thread) {
  if (thread.turn->exchange(here, std::memory_order_acq_rel) == elsewhere_asleep) {
    futex_wake(thread.turn, 1);
  }
}

// A thread that has ended still gives its caches back to the heap on its way out. Who goes on waits for it to be gone:
// two threads in the heap at a time would make its addresses a matter of luck.
void see_off(RunState& run) {
  if (run.leaving != 0) {
    const long process = kernel_process();
    while (kernel_call(SYS_tgkill, process, run.leaving, 0) == 0) {
      kernel_call(SYS_sched_yield);
    }
    run.leaving = 0;
  }
}

void await_turn(Thread& thread) {
  sleep_till_turn(*thread.turn);
  thread.turn->store(elsewhere, std::memory_order_relaxed);
  see_off(*current());
}

void let_run(RunState& run, Thread& thread, Woken why) {
  thread.state = ThreadState::runnable;
  thread.woken = why;
  ++run.runnable;
}

void release_due(RunState& run) {
  if (run.now_ns < run.next_deadline_ns) {
    return;
  }
  run.next_deadline_ns = never;
  for (const auto& thread : run.threads) {
    if (thread->state != ThreadState::blocked) {
      continue;
    }
    if (thread->wait->deadline_ns <= run.now_ns) {
      let_run(run, *thread, Woken::by_deadline);
    } else {
      run.next_deadline_ns = std::min(run.next_deadline_ns, thread->wait->deadline_ns);
    }
  }
}

// next_in_order is the default: the first thread after `from`, in the order of creation, that can run.
Thread& next_in_order(const RunState& run, const Thread& from) {
  const std::size_t count = run.threads.size();
  for (std::size_t i = 1; i <= count; ++i) {
    Thread& thread = *run.threads[(from.id + i) % count];
    if (thread.state == ThreadState::runnable) {
      return thread;
    }
  }
  RIG_CHECK(false && "a thread that can run");
  return *run.threads[0];
}

std::uint64_t switch_key(ThreadId thread, std::uint64_t step) {
  return (static_cast<std::uint64_t>(thread) << 44) | step;
}

Thread& default_next(const RunState& run, const Thread& from) {
  const bool goes_on =
      from.state == ThreadState::runnable && from.last != Op::yield && from.steps % points_without_switch_max != 0;
  return goes_on ? *run.threads[from.id] : next_in_order(run, from);
}

// decide answers who goes on after `from`, and notes a departure from the default. At least one thread can run.
Thread& decide(RunState& run, const Thread& from) {
  const Unwatched unwatched;
  Thread& by_default = default_next(run, from);
  if (run.runnable == 1) {
    return by_default;
  }
  ThreadId chosen = by_default.id;
  if (run.options.switches) {
    const auto listed = run.listed.find(switch_key(from.id, from.steps));
    if (listed != run.listed.end() && listed->second < run.threads.size() &&
        run.threads[listed->second]->state == ThreadState::runnable) {
      chosen = listed->second;
    }
  } else {
    chosen = run.policy.choose(run.threads, run.runnable, from, by_default.id, run.points);
  }
  if (chosen != by_default.id) {
    const Switch made{.thread = from.id, .step = from.steps, .next = chosen};
    run.switches.push_back(made);
    if (FlightRecorder* recorder = run.options.recorder; recorder != nullptr) {
      if (recorder->switch_count < FlightRecorder::switches_max) {
        recorder->switches[recorder->switch_count] = made;
      }
      ++recorder->switch_count;
    }
  }
  return *run.threads[chosen];
}

// await_runnable lets virtual time jump until some thread can run.
void await_runnable(RunState& run) {
  while (run.runnable == 0) {
    if (run.next_deadline_ns == never) {
      stuck_now(run.body_returned ? Stuck::Kind::threads_left : Stuck::Kind::deadlock);
    }
    run.now_ns = std::max(run.now_ns, run.next_deadline_ns);
    run.news = run.points;
    release_due(run);
  }
}

bool is_livelock(const RunState& run) {
  const Options& options = run.options;
  return run.points > options.steps_max ||
         (options.idle_points_max != 0 && run.points - run.news > options.idle_points_max);
}

void step(RunState& run, Thread& me, Op op) {
  heartbeat.beats.store(run.points, std::memory_order_relaxed);
  heartbeat.holder.store(me.kernel_id, std::memory_order_relaxed);
  ++me.steps;
  me.last = op;
  ++run.points;
  run.now_ns += point_ns;
  run.record(me.id, op, 0, -1);
  if (is_livelock(run)) [[unlikely]] {
    stuck_now(Stuck::Kind::livelock);
  }
  release_due(run);
}

bool waits_for(const Thread& thread, const void* key) {
  return thread.state == ThreadState::blocked && std::ranges::find(thread.wait->keys, key) != thread.wait->keys.end();
}

}  // namespace

void sleep_till_turn(std::atomic<std::uint32_t>& turn) {
  // All threads of a run have one processor. Whoever was given the turn goes on while this one steps aside, and often
  // gives it back within that time: no sleep and no wake then, a tenth of what a short run costs.
  if (turn.load(std::memory_order_acquire) != here) {
    kernel_call(SYS_sched_yield);
  }
  for (std::uint32_t seen = turn.load(std::memory_order_acquire); seen != here;
       seen = turn.load(std::memory_order_acquire)) {
    if (seen == elsewhere_asleep ||
        turn.compare_exchange_strong(seen, elsewhere_asleep, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      futex_wait(&turn, elsewhere_asleep);
    }
  }
}

[[gnu::tls_model("initial-exec")]] constinit thread_local Thread* self_here = nullptr;

void set_self(Thread* thread) noexcept {
  self_here = thread;
}

RunState* current() noexcept {
  return current_run.load(std::memory_order_acquire);
}

void set_current(RunState* run) noexcept {
  current_run.store(run, std::memory_order_release);
}

Bypass::Bypass() noexcept : suspended_(self_here) {
  self_here = nullptr;
}

Bypass::~Bypass() {
  self_here = suspended_;
}

bool quiet(const void* caller) {
  return !current()->library_points && inside_tls_library(caller);
}

void point(Op op, const void* caller) {
  if (caller != nullptr && quiet(caller)) {
    return;
  }
  RunState& run = *current();
  Thread& me = *self_here;
  step(run, me, op);
  Thread& next = decide(run, me);
  if (&next != &me) {
    run.holder = &next;
    give_turn(next);
    await_turn(me);
  }
}

void sampled_point(Op op) {
  Thread& me = *self_here;
  if (me.accesses_to_next_point-- == 0) {
    me.accesses_to_next_point = me.sampling.below(2 * accesses_per_point);
    point(op);
  }
}

void event(Op op, std::int64_t first, std::int64_t second) {
  RunState& run = *current();
  run.record(self_here->id, op, first, second);
}

void news() {
  RunState& run = *current();
  run.news = run.points;
}

void bytes(const void* data, std::size_t size) {
  RunState& run = *current();
  std::uint64_t hash = run.byte_hash ^ size;
  const auto* at = static_cast<const unsigned char*>(data);
  for (; size >= 8; at += 8, size -= 8) {
    std::uint64_t word;
    __builtin_memcpy(&word, at, 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
  }
  for (; size > 0; ++at, --size) {
    hash = (hash ^ *at) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
  }
  run.byte_hash = hash;
}

Woken block(const Wait& wait) {
  RunState& run = *current();
  Thread& me = *self_here;
  me.wait = &wait;
  me.state = ThreadState::blocked;
  --run.runnable;
  run.next_deadline_ns = std::min(run.next_deadline_ns, wait.deadline_ns);
  step(run, me, wait.op);
  await_runnable(run);
  Thread& next = decide(run, me);
  if (&next != &me) {
    run.holder = &next;
    give_turn(next);
    await_turn(me);
  }
  me.wait = nullptr;
  return me.woken;
}

void wake_all(const void* key) {
  RunState* run = current();
  if (run == nullptr || self_here == nullptr) {
    return;
  }
  for (const auto& thread : run->threads) {
    if (waits_for(*thread, key)) {
      let_run(*run, *thread, Woken::by_key);
    }
  }
}

bool wake_one(const void* key) {
  RunState* run = current();
  if (run == nullptr || self_here == nullptr) {
    return false;
  }
  std::uint64_t left = waiting(key);
  if (left == 0) {
    return false;
  }
  left = stream(Stream::schedule).below(left);
  for (const auto& thread : run->threads) {
    if (waits_for(*thread, key) && left-- == 0) {
      let_run(*run, *thread, Woken::by_key);
      return true;
    }
  }
  return false;
}

std::size_t waiting(const void* key) {
  const RunState& run = *current();
  return static_cast<std::size_t>(
      std::ranges::count_if(run.threads, [key](const auto& thread) { return waits_for(*thread, key); }));
}

std::int64_t now_ns() {
  return current()->now_ns;
}

std::uint64_t run_number() {
  return current()->number;
}

Prng& stream(Stream which) {
  return current()->streams[static_cast<std::size_t>(which)];
}

ThreadId id_of(const Thread& thread) {
  return thread.id;
}

Thread* thread_of_kernel_id(std::int32_t tid) {
  for (const auto& thread : current()->threads) {
    if (thread->kernel_id == tid) {
      return thread.get();
    }
  }
  return nullptr;
}

Thread* adopt(std::atomic<std::uint32_t>* turn) {
  const Unwatched unwatched;
  RunState& run = *current();
  auto thread = std::make_unique<Thread>();
  if (turn != nullptr) {
    thread->turn = turn;
  }
  thread->id = static_cast<ThreadId>(run.threads.size());
  thread->begins_as = allocation_state_here.party;
  thread->sampling = Prng(run.options.seed).fork(6).fork(thread->id);
  thread->accesses_to_next_point = thread->sampling.below(2 * accesses_per_point);
  run.policy.added(thread->id);
  ++run.runnable;
  ++run.alive;
  run.threads.push_back(std::move(thread));
  return run.threads.back().get();
}

void abandon(Thread* thread) {
  RunState& run = *current();
  thread->state = ThreadState::ended;
  --run.runnable;
  --run.alive;
}

void begin_thread(Thread* thread) {
  await_turn(*thread);
  thread->kernel_id = static_cast<std::int32_t>(kernel_call(SYS_gettid));
  allocation_state_here = {.party = thread->begins_as, .own_work = 0};
  self_here = thread;
  current()->record(thread->id, Op::begin, 0, 0);
}

void end_thread(AfterEnd after) {
  RunState& run = *current();
  Thread& me = *self_here;
  order_before(&run);
  ++me.steps;
  me.last = Op::thread_exit;
  run.record(me.id, Op::thread_exit, 0, 0);
  me.state = ThreadState::ended;
  run.leaving = after == AfterEnd::leaves ? me.kernel_id : 0;
  me.kernel_id = 0;  // the kernel may give the number to another thread
  --run.runnable;
  --run.alive;
  wake_all(key_of_end(me));
  if (run.alive == 1) {
    wake_all(&run);
  }
  await_runnable(run);
  Thread& next = decide(run, me);
  run.holder = &next;
  self_here = nullptr;
  allocation_state_here.party = Party::rig;
  give_turn(next);
}

const void* key_of_end(const Thread& thread) {
  return &thread;
}

bool ended(const Thread& thread) {
  return thread.state == ThreadState::ended;
}

void refuse(const char* call, const char* why) {
  const Thread* me = self_here;
  self_here = nullptr;
  std::fprintf(stderr, "the lab has no model of %s: %s (thread %u of the run)\n", call, why, me ? me->id : 0U);
  std::abort();
}

}  // namespace rig::lab
