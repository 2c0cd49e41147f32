// RunState: what the parts of the scheduler share. Not for the functions in place of the system's: they use
// scheduler.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "harness/lab/allocation_faults.h"
#include "harness/lab/lab.h"
#include "harness/lab/policy.h"
#include "harness/lab/scheduler.h"

namespace rig::lab {

// ThreadState: a blocked thread waits for a key or a deadline.
enum class ThreadState : std::uint8_t { runnable, blocked, ended };

// Thread is one thread of a run; changed by whoever holds the token.
struct Thread {
  ThreadId id = 0;
  ThreadState state = ThreadState::runnable;
  std::atomic<std::uint32_t> own_turn{0};
  std::atomic<std::uint32_t>* turn = &own_turn;  // a futex (sleep_till_turn)
  std::int32_t kernel_id = 0;
  std::uint64_t steps = 0;     // points and waits of this thread
  const Wait* wait = nullptr;  // while blocked; on the thread's own stack
  Woken woken = Woken::by_key;
  Op last = Op::begin;
  Party begins_as = Party::rig;
  // Of its own: a switch more or less must not move the sampled points of another thread.
  Prng sampling{0};
  std::uint64_t accesses_to_next_point = 0;
};

// RunState is a run that is going on.
struct RunState {
  explicit RunState(const Options& options);

  Options options;
  std::uint64_t number;  // of this run in the process, from 1
  std::vector<std::unique_ptr<Thread>> threads;
  std::size_t runnable = 0;
  std::size_t alive = 0;
  Thread* holder = nullptr;
  std::int32_t leaving = 0;  // the kernel's id of a thread that has ended, and may not be gone yet
  std::int64_t now_ns;
  std::int64_t next_deadline_ns = never;  // never later than the earliest deadline of a blocked thread
  bool library_points;
  Prng streams[4];
  Policy policy;
  std::vector<Switch> switches;
  std::unordered_map<std::uint64_t, ThreadId> listed;  // Options::switches by thread and step
  std::uint64_t points = 0;
  std::uint64_t news = 0;  // the point at which a byte was last written, or time had to jump
  std::uint64_t events = 0;
  std::uint64_t schedule_hash;
  std::uint64_t byte_hash;
  std::vector<Event> trace;
  AllocationFaults allocations;
  std::vector<Fault> injected;
  std::uint32_t next_fault_number = 1;
  StuckHandler stuck;
  bool body_returned = false;

  void record(ThreadId thread, Op op, std::int64_t first, std::int64_t second);
  // inject notes that a fault has struck; one without a number gets the next. Thread: the one that has the token.
  void inject(Fault fault);
  Outcome outcome() const;
};

// current is the run that is going on, or null.
RunState* current() noexcept;
void set_current(RunState* run) noexcept;
// set_self makes self() answer `thread` on the calling thread.
void set_self(Thread* thread) noexcept;

// sleep_till_turn returns when the token is here, and leaves it so; `turn` is a Thread's.
void sleep_till_turn(std::atomic<std::uint32_t>& turn);

// stuck_now calls the handler of a stuck run; it does not return. The calling thread holds the token.
[[noreturn]] void stuck_now(Stuck::Kind kind);

// inside_tls_library says that an address lies in the code of a TLS library, or of one that it is built on.
bool inside_tls_library(const void* address);
// find_tls_libraries looks at the modules of the process, if they have changed since it last did.
void find_tls_libraries();

// watch starts the process's watchdog, once. It ends the process when a run does not come on for a minute of real time,
// and says what the thread with the token is doing: a call into the kernel that the lab does not know, or a loop in
// which nothing is called.
void watch();

// Heartbeat is what the watchdog looks at, from outside of the run.
struct Heartbeat {
  std::atomic<std::uint64_t> beats{0};
  std::atomic<std::int32_t> holder{0};  // the kernel's id of the thread with the token
};
extern constinit Heartbeat heartbeat;

}  // namespace rig::lab
