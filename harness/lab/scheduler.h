// The scheduler, as the functions that the lab defines in place of the system's see it: who runs, who waits, what time
// it is. A run is begun in lab.h.
//
// Exactly one thread of a run holds the token and runs; all others are parked. A function in place of a system's asks
// self() first: null means "not in a run", and the system's own function is called. Otherwise it makes its call a
// point(), does its work, which no other thread of the run can see half done, and says with event() what came of it.
// What would block is: try; if it cannot be, block() and try again.
//
// Theory of operation. The schedule is a sequence of decisions: at each point, "who goes on?". A policy, or the list of
// switches of an earlier run, answers it. The default is "the same thread; if it cannot, the next in the order of
// creation", and only departures from the default are recorded, keyed by thread and by the count of that thread's own
// points, so that taking one away moves no other. The token travels by a futex of each thread, through the bare system
// call: a sanitizer must not see an order of events in it that the program under test does not have.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "harness/base/prng.h"
#include "harness/lab/op.h"

namespace rig::lab {

// ThreadId counts the threads of a run in the order of their creation; 0 called run().
using ThreadId = std::uint32_t;

// Thread is the lab's record of one thread of a run.
struct Thread;

// never is the deadline of a wait without one.
inline constexpr std::int64_t never = INT64_MAX;

// self_here is what self() answers. Initial-exec and without a constructor, so that it is one load.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local Thread* self_here;

// self is the lab's record of the calling thread; null outside of a run, on threads that do not belong to it, and while
// a Bypass stands. Thread: any.
inline Thread* self() noexcept {
  return self_here;
}

// Bypass lets the calling thread reach the system's own functions: the lab's work in which it calls libraries, and
// oracles that must not disturb a run. The thread keeps the token, so it must not wait for another thread of the run.
class Bypass {
 public:
  Bypass() noexcept;
  ~Bypass();
  Bypass(const Bypass&) = delete;
  Bypass& operator=(const Bypass&) = delete;

 private:
  Thread* suspended_;
};

// All functions below: the calling thread holds the token (self() is not null).

// point ends a step of the calling thread, and lets another one go on if the policy says so. Virtual time advances by a
// microsecond. `caller` is the return address of the function that stands in place of the system's, if there is one:
// calls from inside a TLS library are points in a few runs only, since they are most of all and the least interesting.
void point(Op op, const void* caller = nullptr);

// sampled_point is a point once in a while, at distances drawn from the seed: for what is done too often to be one
// each time.
void sampled_point(Op op);

// quiet says that `caller` is inside a TLS library whose calls are no points in this run.
bool quiet(const void* caller);

// event records what an op came to: a result, a length, a descriptor. Both numbers enter the schedule hash and must not
// be addresses or anything else that differs between builds.
void event(Op op, std::int64_t first = 0, std::int64_t second = 0);

// bytes enters data (ciphertext, random bytes) into the byte hash.
void bytes(const void* data, std::size_t size);

// news notes that a byte has moved: the run is no livelock yet (Options::idle_points_max).
void news();

// Wait says what a thread waits for. A key is the address of what it waits for: of a mutex, of a virtual socket.
struct Wait {
  Op op;
  std::span<const void* const> keys;
  std::int64_t deadline_ns = never;  // of now_ns()
  // explain writes a sentence about what is waited for ("mutex 3, held by thread 2"); null: the op's word only. It is
  // asked when a run is stuck.
  std::string (*explain)(const Wait& wait) = nullptr;
};

// Woken says why a wait ended.
enum class Woken : std::uint8_t { by_key, by_deadline };

// block parks the thread until one of its keys is woken or the deadline has come. Being woken promises nothing: the
// caller tries again. If nothing can ever wake any thread, the run is stuck (lab.h) and block does not return.
Woken block(const Wait& wait);

// wake_all lets every thread that waits for `key` go on when its turn comes; it does not switch. wake_one does so for
// one, chosen by the schedule's stream; false: nobody waited. Both may be called outside of a run, and do nothing.
void wake_all(const void* key);
bool wake_one(const void* key);

// waiting counts the threads that wait for `key`.
std::size_t waiting(const void* key);

// now_ns is the virtual time since the epoch (of every clock: real time and monotonic time are one). It advances by a
// microsecond with each point, and jumps to the earliest deadline when every thread waits.
std::int64_t now_ns();

// run_number counts the runs of this process, from 1.
std::uint64_t run_number();

// Stream is an independent stream of random numbers: a draw from one never shifts another.
enum class Stream : std::uint8_t { schedule, network, entropy, fault };
Prng& stream(Stream which);

// Names for reports. thread_of_kernel_id answers the thread with that id in the kernel (the owner word of a mutex), or
// a null pointer.
ThreadId id_of(const Thread& thread);
Thread* thread_of_kernel_id(std::int32_t tid);
std::string describe(const Thread& thread);

// adopt makes a record for a thread that is about to be created by the caller; begin_thread is called first on the new
// thread, waits for its first turn, and makes self() answer; end_thread is called last on it: the token goes on and
// self() is null. key_of_end is what a joiner waits for; ended says that there is nothing to wait for. `turn`, if it is
// given, becomes 1 when the token is there; else the record has a word of its own for that.
Thread* adopt(std::atomic<std::uint32_t>* turn = nullptr);
// abandon takes an adoption back: the thread could not be created.
void abandon(Thread* thread);
void begin_thread(Thread* thread);
// AfterEnd is what the thread does next: it leaves the process, or touches nothing until it is needed again.
enum class AfterEnd : std::uint8_t { leaves, parks };
void end_thread(AfterEnd after);
const void* key_of_end(const Thread& thread);
bool ended(const Thread& thread);

// refuse ends the process with a sentence: a call that may block or that depends on the world has no model. It is a gap
// of the lab and never the subject's fault.
[[noreturn]] void refuse(const char* call, const char* why);

}  // namespace rig::lab
