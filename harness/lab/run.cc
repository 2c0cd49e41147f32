#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "harness/base/check.h"
#include "harness/lab/kernel/kernel.h"
#include "harness/lab/sanitizer.h"
#include "harness/lab/state.h"

namespace rig::lab {
namespace {

// The first of January 2026, inside the validity of the rig's certificates.
constexpr std::int64_t begin_ns = 1'767'225'600'000'000'000;
constexpr std::size_t trace_max = 4'000'000;

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 32);
}

PolicyKind policy_of(const Options& options) {
  if (options.switches) {
    return PolicyKind::none;
  }
  return options.policy == PolicyKind::by_seed ? policy_for_seed(options.seed) : options.policy;
}

std::uint64_t next_number() {
  static constinit std::uint64_t runs = 0;
  return ++runs;
}

std::string_view sentence(Stuck::Kind kind) {
  switch (kind) {
    case Stuck::Kind::deadlock:
      return "deadlock: every thread waits, and nothing can wake one";
    case Stuck::Kind::livelock:
      return "livelock: the threads go on without end, and nothing comes of it";
    case Stuck::Kind::threads_left:
      return "the run is over, and threads of it do not end";
  }
  return "";
}

void default_handler(const Stuck& stuck) {
  std::fprintf(stderr, "%s\n", stuck.report.c_str());
  std::abort();
}

// OneProcessor keeps the threads of a run on one processor: the token goes from hand to hand several times as fast.
class OneProcessor {
 public:
  OneProcessor() {
    if (sched_getaffinity(0, sizeof before_, &before_) != 0 || CPU_COUNT(&before_) == 1) {
      return;
    }
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    changed_ = sched_setaffinity(0, sizeof here, &here) == 0;
  }
  ~OneProcessor() {
    if (changed_) {
      sched_setaffinity(0, sizeof before_, &before_);
    }
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;

 private:
  cpu_set_t before_;
  bool changed_ = false;
};

}  // namespace

RunState::RunState(const Options& asked)
    : options(asked),
      number(next_number()),
      now_ns(begin_ns),
      library_points(asked.library_points.value_or(mix64(asked.seed ^ 0x6c696273) % 32 == 0)),
      streams{Prng(asked.seed).fork(1), Prng(asked.seed).fork(2), Prng(asked.seed).fork(3), Prng(asked.seed).fork(4)},
      policy(policy_of(asked), Prng(asked.seed).fork(5), asked.expected_points),
      schedule_hash(mix64(asked.seed)),
      byte_hash(mix64(asked.seed)),
      allocations(asked.faults, asked.allocation_sites) {
  for (const Fault& fault : asked.faults) {
    next_fault_number = std::max(next_fault_number, fault.number + 1);
  }
  if (asked.switches) {
    for (const Switch& entry : *asked.switches) {
      listed[(static_cast<std::uint64_t>(entry.thread) << 44) | entry.step] = entry.next;
    }
  }
}

void RunState::record(ThreadId thread, Op op, std::int64_t first, std::int64_t second) {
  ++events;
  const std::uint64_t who = (static_cast<std::uint64_t>(thread) << 8) | static_cast<std::uint64_t>(op);
  const auto low = static_cast<std::uint64_t>(first);
  const auto high = static_cast<std::uint64_t>(second);
  schedule_hash = mixed(schedule_hash, who ^ (low << 24) ^ (low >> 40) ^ (high << 44) ^ (high >> 20));
  if (FlightRecorder* recorder = options.recorder; recorder != nullptr) {
    recorder->events = events;
    recorder->schedule_hash = schedule_hash;
    recorder->byte_hash = mixed(byte_hash, schedule_hash);
  }
  if (options.record && trace.size() < trace_max) {
    const Unwatched unwatched;
    trace.push_back({.time_ns = now_ns, .thread = thread, .op = op, .first = first, .second = second});
  }
}

void RunState::inject(Fault fault) {
  const Unwatched unwatched;
  if (fault.number == 0) {
    fault.number = next_fault_number++;
  }
  injected.push_back(fault);
  if (FlightRecorder* recorder = options.recorder; recorder != nullptr) {
    if (recorder->fault_count < FlightRecorder::faults_max) {
      recorder->faults[recorder->fault_count] = fault;
    }
    ++recorder->fault_count;
  }
  event(Op::fault, static_cast<std::int64_t>(fault.kind), fault.amount);
}

Outcome RunState::outcome() const {
  Outcome outcome;
  outcome.schedule_hash = schedule_hash;
  outcome.byte_hash = mixed(byte_hash, schedule_hash);
  outcome.points = points;
  outcome.events = events;
  outcome.virtual_ns = now_ns - begin_ns;
  outcome.policy = policy.kind();
  outcome.library_points = library_points;
  outcome.switches = switches;
  outcome.faults = injected;
  outcome.trace = trace;
  outcome.allocations = allocations.count();
  outcome.allocation_sites = allocations.sites();
  outcome.threads = static_cast<std::uint32_t>(threads.size());
  return outcome;
}

std::string describe(const Thread& thread) {
  std::string text = "thread " + std::to_string(thread.id);
  switch (thread.state) {
    case ThreadState::ended:
      return text + ": has ended";
    case ThreadState::runnable:
      return text + ": can run, after " + std::string(word(thread.last));
    case ThreadState::blocked:
      break;
  }
  text += ": waits in " + std::string(word(thread.wait->op));
  if (thread.wait->explain != nullptr) {
    text += " for " + thread.wait->explain(*thread.wait);
  }
  if (thread.wait->deadline_ns != never) {
    text += ", at most " + std::to_string((thread.wait->deadline_ns - now_ns()) / 1000) + " us more";
  }
  return text;
}

void stuck_now(Stuck::Kind kind) {
  RunState& run = *current();
  Bypass bypass;
  Stuck stuck{.kind = kind, .report = std::string(sentence(kind)), .outcome = run.outcome()};
  for (const auto& thread : run.threads) {
    if (thread->state != ThreadState::ended) {
      stuck.report += "\n  " + describe(*thread);
    }
  }
  if (run.stuck) {
    run.stuck(stuck);
  } else {
    default_handler(stuck);
  }
  std::fprintf(stderr, "the handler of a stuck run returned\n");
  std::abort();
}

bool running() noexcept {
  return current() != nullptr;
}

Outcome run(const Options& options, const std::function<void()>& body, const StuckHandler& stuck) {
  RIG_CHECK(current() == nullptr);
  if (options.watchdog) {
    watch();
  }
  find_tls_libraries();
  const OneProcessor one_processor;
  auto owned = std::make_unique<RunState>(options);
  RunState& state = *owned;
  state.stuck = stuck;
  if (options.recorder != nullptr) {
    options.recorder->switch_count = 0;
    options.recorder->fault_count = 0;
    options.recorder->library_points = state.library_points ? 1 : 0;
  }
  set_current(&state);
  Thread* first = adopt();
  first->kernel_id = gettid();
  state.holder = first;
  kernel_begin(options);
  set_self(first);
  event(Op::begin);
  body();
  state.body_returned = true;
  const std::int64_t leave_until_ns = now_ns() + leave_within_ns;
  while (state.alive > 1) {
    const void* const key = &state;
    if (block({.op = Op::end, .keys = {&key, 1}, .deadline_ns = leave_until_ns}) == Woken::by_deadline) {
      stuck_now(Stuck::Kind::threads_left);
    }
  }
  order_after(&state);  // all threads have ended, also those that nobody joined
  const std::size_t open_descriptors = kernel_end();
  // What is still open is no violation here, but it is part of what the run was.
  event(Op::end, static_cast<std::int64_t>(open_descriptors));
  set_self(nullptr);
  const Unwatched unwatched;
  Outcome outcome = state.outcome();
  set_current(nullptr);
  owned.reset();
  return outcome;
}

}  // namespace rig::lab
