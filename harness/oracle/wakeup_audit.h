// WakeupAudit: law L2 at the kernel door. A layer wakes up to do something, and gives each of its sockets a turn.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "harness/base/kernel_door.h"
#include "harness/base/spin_lock.h"
#include "harness/oracle/descriptor_table.h"
#include "harness/oracle/reported_sites.h"
#include "harness/oracle/sparse_array.h"
#include "harness/oracle/violation.h"

namespace rig {

// WakeupAudit is fed the calls and waits of what is judged. It counts; it knows no time but a lab's. It asks
//   of each descriptor: what a wait reports as ready is acted upon. Reported ignored_max times in a row, in the same
//     direction, with no call about it in between, it burns the processor: the interest should have gone. Edges
//     (EPOLLET) are not reported again for nothing.
//   of each thread: it does not come out of its waits wakes_max times in a row without making any other call; an edge
//     may be one that a layer that has paused has no use for.
//   of each thread, in virtual time: while nothing is carried and nothing becomes ready it does not wake up by its own
//     timeouts more than idle_wakes_max times, and more often than idle_wakes_per_second. Where the app turns a loop
//     for a limited time, one wake-up at the end of that time is the app's.
//   of each loop, in virtual time: a turn during which it was woken does not wait to the end of its time. A wake-up is
//     counted only if the loop's thread has come out of no wait between its begin and its end.
//   of each stretch, from where control comes into the layer, or out of a wait, to the next wait: a call that would
//     block is not repeated on that descriptor would_block_max times; and of each verb of the layer's: it does not look
//     looks_max times with a time limit of 0 and find nothing, without moving a byte in between.
//   of each socket: no call waits on it for the other side, however ready a wait has said it to be: the peer may have
//     gone since, and meanwhile nothing else has its turn. Asked of its first connect or accept, and of the first call
//     that moves bytes, since a layer may change the socket in between.
//   of each turn, from where a thread comes out of a wait to its next one, whatever it calls back meanwhile: while a
//     neighbour that the wait reported has not been served, no socket is read from for more than turn_bytes_max.
// What a wait of epoll reports is known by the data of its registration; data that two descriptors share is passed
// over. Threads beyond door_threads_max are not judged. Thread: any.
class WakeupAudit {
 public:
  explicit WakeupAudit(ViolationLog& log);

  // entered: control comes from the app into the layer.
  void entered(std::uint32_t thread) noexcept;
  // turning: it is a turn of `loop`, to last no longer than `until_ns` of virtual time (no_time if there is none).
  void turning(std::uint32_t thread, const void* loop, std::int64_t until_ns) noexcept;
  // turned: the thread's turn is over, at `now_ns` of virtual time.
  void turned(std::uint32_t thread, std::int64_t now_ns) noexcept;
  // waking: a thread is about to wake the loop; woken takes the answer back once it has.
  std::uint64_t waking(const void* loop) noexcept;
  void woken(const void* loop, std::uint64_t waits) noexcept;
  void called(const KernelCall& call, const KernelReturn& result, std::uint32_t thread) noexcept;
  // judge_blocking is for each call on a socket.
  void judge_blocking(const KernelCall& call) noexcept;
  // begun: the number means another file.
  void begun(int descriptor) noexcept;
  void waiting(const KernelWait& wait, std::uint32_t thread) noexcept;
  // resumed: `now_ns` is the virtual time, no_time if there is none.
  void resumed(const KernelWait& wait, int result, std::uint32_t thread, std::int64_t now_ns = no_time) noexcept;
  static constexpr std::int64_t no_time = -1;
  // reported is what the last wait of `thread` reported as ready, in either direction. Thread: `thread` itself.
  std::span<const int> reported(std::uint32_t thread) const noexcept;

  static constexpr std::uint32_t ignored_max = 32;
  static constexpr std::uint32_t wakes_max = 32;
  static constexpr std::uint32_t idle_wakes_max = 32;
  static constexpr std::uint32_t idle_wakes_per_second = 100;
  static constexpr std::uint32_t would_block_max = 16;
  static constexpr std::uint32_t looks_max = 64;
  static constexpr std::uint64_t turn_bytes_max = 1024 * 1024;

 private:
  enum Direction : std::uint8_t { in, out };
  struct Descriptor {
    std::array<std::uint32_t, 2> ignored{};      // reports in a row that nobody acted upon
    std::uint64_t stretch = 0;                   // to which the following belong
    std::array<std::uint32_t, 2> would_block{};  // calls in a row
    std::uint64_t turn = 0;                      // to which the following belongs
    std::uint64_t bytes = 0;                     // that were read
    std::array<bool, 2> asked{};                 // whether its calls wait: those that connect, those that move bytes
  };
  // Watched is a registration of epoll's.
  struct Watched {
    int epoll;
    std::uint64_t data;
    int descriptor;
    bool edges;
  };
  static constexpr std::size_t ready_max = 64;
  struct Thread {
    std::uint64_t stretch = 0;
    std::uint64_t turn = 0;
    std::uint32_t wakes = 0;
    std::uint32_t edges = 0;  // all that were reported
    std::uint32_t looks = 0;
    bool called = true;  // since the last wait
    std::size_t ready_count = 0;
    std::array<int, ready_max> ready{};  // to read from, by the last wait
    std::size_t reported_count = 0;
    std::array<int, ready_max> reported{};  // for anything
    const void* loop = nullptr;             // that it turns
    std::int64_t turn_until_ns = no_time;   // the wake-up at the end of the app's turn is still to come
    std::uint32_t idle_wakes = 0;
    std::int64_t idle_since_ns = 0;  // the first of them
  };
  struct Loop {
    const void* loop;
    std::uint64_t waits = 0;  // that have ended, and turns
    bool woken = false;       // since the last of them
    std::int64_t until_ns = no_time;
    const char* slept_on_in = nullptr;  // the last wait of the turn, if it was not ended by a wake-up
    const void* caller = nullptr;       // of that
  };
  // Finding is put into words once the lock is free.
  struct Finding {
    const char* what = nullptr;  // null: there is none
    int descriptor = -1;
    std::uint64_t count = 0;
    int neighbour = -1;
  };

  Thread* thread_of(std::uint32_t thread) noexcept;
  Loop& loop_of(const void* loop) noexcept;
  void note_sleep(const KernelWait& wait, int result, Loop& loop) noexcept;
  void renew(Thread& thread) noexcept;
  void renew_turn(Thread& thread) noexcept;
  void note_watch(const KernelCall& call) noexcept;
  const Watched* watched_by(int epoll, std::uint64_t data) const noexcept;
  Finding judge_call(Descriptor& known, Thread& thread, const KernelCall& call, const KernelReturn& result) noexcept;
  Finding judge_turn(Descriptor& known, const Thread& thread, int descriptor) noexcept;
  // Ready is what a wait reports of a descriptor.
  struct Ready {
    int descriptor = -1;
    bool readable = false;
    bool writable = false;
    bool again = true;  // it will be reported again as long as it is so
  };
  Finding note_ready(Thread& thread, const Ready& ready) noexcept;
  Finding judge_idle(Thread& thread, bool timed_out, std::int64_t now_ns) noexcept;
  Finding judge_ready(const KernelWait& wait, int result, Thread& thread) noexcept;
  void report(const Finding& finding, const char* function, const void* caller);

  ViolationLog* log_;
  ReportedSites sites_;
  SpinLock lock_;
  DescriptorTable<Descriptor> descriptors_;
  std::vector<Watched> watched_;
  std::vector<Loop> loops_;
  SparseArray<Thread, door_threads_max, 1> threads_;
  std::uint64_t next_stretch_ = 1;
};

}  // namespace rig
