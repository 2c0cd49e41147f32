// The lab: one 64-bit seed decides a whole run of real, unchanged, threaded code.
//
// An executable that links `rig_lab` defines the pthread, socket, polling, clock and randomness functions of libc
// itself and exports them, so that the shared libraries of the process use them as well. They pass every call on to the
// system until run() is called; from then on the threads of the run take turns, speak TCP with each other inside the
// process, and live in virtual time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/error.h"
#include "harness/lab/allocation.h"
#include "harness/lab/fault.h"
#include "harness/lab/op.h"
#include "harness/lab/scheduler.h"

namespace rig::lab {

// PolicyKind says how the next thread is chosen. by_seed takes one of the others, by the seed: no policy finds all.
enum class PolicyKind : std::uint8_t {
  by_seed,
  uniform,   // every runnable thread is as likely, at each point
  sticky10,  // another thread in 10 % of the points
  sticky1,   // another thread in 1 % of the points
  pct,       // priorities with a few change points (Burckhardt et al., 2010), and a bound against starving
  none,      // the default order: no preemption but the listed switches
};

// Switch is one departure from the default order: at its own `step`, `thread` gives way to `next`.
struct Switch {
  ThreadId thread = 0;
  std::uint64_t step = 0;
  ThreadId next = 0;
  bool operator==(const Switch&) const = default;
};

// Profile says what the virtual kernel may do: strict does what Linux does, adversarial what POSIX allows.
enum class Profile : std::uint8_t { strict, adversarial };

// FlightRecorder is memory, shared with another process, in which a run leaves as it goes what is needed to repeat it:
// a process that has crashed cannot say it any more. A run that overfills it is not repeatable by its switches.
struct FlightRecorder {
  static constexpr std::size_t switches_max = 1 << 18;
  static constexpr std::size_t faults_max = 1 << 10;

  std::uint64_t events;  // 0: no run has begun
  std::uint64_t schedule_hash;
  std::uint64_t byte_hash;
  std::uint64_t library_points;
  std::uint64_t switch_count;  // may exceed the room
  std::uint64_t fault_count;
  Switch switches[switches_max];
  Fault faults[faults_max];
};

// ResetObserver is told of connections that are reset, by either side or by a fault: what a side says from then on may
// not get through. `fault_ns` is the virtual time at which a fault struck both sides, none where it was a side's own
// doing. Only connections that have a name (name_connection) are observed. It must not call what the lab defines.
class ResetObserver {
 public:
  virtual void cut(std::uint32_t connection, std::optional<std::int64_t> fault_ns) noexcept = 0;

 protected:
  ~ResetObserver() = default;
};

// Options is what a run is to be like.
struct Options {
  std::uint64_t seed = 1;
  PolicyKind policy = PolicyKind::by_seed;
  // switches, if there are any, take the place of the policy.
  std::optional<std::vector<Switch>> switches;
  Profile profile = Profile::strict;
  // first_descriptor is the lowest number that a virtual descriptor gets.
  int first_descriptor = 100;
  std::vector<Fault> faults;
  // random_faults lets the seed choose faults in addition: the ones injected are in Outcome::faults.
  bool random_faults = false;
  // random_faults_spare_rig keeps them from the calls of Party::rig (allocation.h), where a relay or a peer of the rig
  // runs beside what is tested.
  bool random_faults_spare_rig = false;
  // library_points makes each call from inside a TLS library a point; unset: in a few percent of the seeds.
  std::optional<bool> library_points;
  // steps_max ends a run that goes on without end (stuck: livelock).
  std::uint64_t steps_max = 50'000'000;
  // idle_points_max ends a run sooner (stuck: livelock) in which so many points follow each other while no byte is
  // written, and some thread can always run: a loop in which a layer goes round and comes to nothing. 0: no bound, for
  // programs that have no business with bytes.
  std::uint64_t idle_points_max = 0;
  // record keeps the events, for a trace. The hashes are the same without.
  bool record = false;
  // allocation_sites keeps the places that allocate, as distinct stacks of calls.
  bool allocation_sites = false;
  // recorder, if there is one, is written to during the run.
  FlightRecorder* recorder = nullptr;
  // watchdog watches over the run from a thread of its own (of the process), which a process that forks must not have.
  bool watchdog = true;
  // crew takes the threads of the run from those that earlier runs of the process have parked, and parks them again: a
  // tenth of the price. What a thread has of its own (thread-local objects, keys) then lives as long as the process,
  // and a thread that is created finds what another one left there; an orphaned robust mutex is not seen. For bodies
  // that rely on neither. Threads with attributes are made anew, one that calls pthread_exit is not parked again.
  bool crew = false;
  // expected_points is how many points a dry run of the same workload had, if known: PCT spreads its change points over
  // it.
  std::uint64_t expected_points = 10'000;
};

// Event is one entry of a recorded trace.
struct Event {
  std::int64_t time_ns;
  ThreadId thread;
  Op op;
  std::int64_t first;
  std::int64_t second;
};

// Outcome is what a run that came to its end was.
struct Outcome {
  // schedule_hash covers threads, ops and lengths; it is the same in every build of the same sources. byte_hash covers
  // ciphertext and randomness as well, and holds for one build.
  std::uint64_t schedule_hash = 0;
  std::uint64_t byte_hash = 0;
  std::uint64_t points = 0;
  std::uint64_t events = 0;
  std::int64_t virtual_ns = 0;  // how long the run took, in its own time
  PolicyKind policy = PolicyKind::none;
  bool library_points = false;
  std::vector<Switch> switches;                  // what was departed from the default order
  std::vector<Fault> faults;                     // what was injected
  std::vector<Event> trace;                      // with `record`
  std::uint64_t allocations = 0;                 // of the subject (allocation.h)
  std::vector<AllocationSite> allocation_sites;  // with `allocation_sites`
  std::uint32_t threads = 0;                     // including the one that called run()
};

// Stuck is a run that cannot go on.
struct Stuck {
  enum class Kind : std::uint8_t { deadlock, livelock, threads_left } kind = Kind::deadlock;
  std::string report;  // a sentence, then a line per thread: who waits on what
  Outcome outcome;
};

// leave_within_ns is how long the threads that a run has created may go on once its body has returned, in virtual time.
inline constexpr std::int64_t leave_within_ns = 600'000'000'000;

// run calls `body` as thread 0 of a run and returns when it has returned and each thread that it created has ended. At
// the end virtual descriptors that are open are forgotten, and counted as an event.
//
// A stuck run cannot be taken apart: its threads stand in the middle of the subject. `stuck` is called on the thread
// that noticed, in a Bypass, and must end the process; by default the report goes to standard error and the process
// aborts. Thread: one run at a time in a process; the calling thread must be the process's only one that has anything
// to do with the subject.
using StuckHandler = std::function<void(const Stuck&)>;
Outcome run(const Options& options, const std::function<void()>& body, const StuckHandler& stuck = {});

// running says that a run is going on in this process. Thread: any.
bool running() noexcept;

// observe_resets has `observer` told from now on; null: nobody. Within a run only, and for that run; the observer
// outlives it. Thread: of the run.
void observe_resets(ResetObserver* observer);

// Words for files and messages.
std::string_view word(PolicyKind policy);
std::optional<PolicyKind> policy_from_word(std::string_view text);
std::string_view word(Profile profile);
std::optional<Profile> profile_from_word(std::string_view text);

// interposed says whether the process really calls the lab: each symbol that the lab defines is looked up as a shared
// library would, once in a process.
// Errors: the first symbol that leads elsewhere, and whose.
Status interposed();

}  // namespace rig::lab
