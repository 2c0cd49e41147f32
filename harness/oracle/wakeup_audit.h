// WakeupAudit: law L2 at the kernel door. A layer wakes up to do something, and gives each of its sockets a turn.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "harness/base/kernel_door.h"
#include "harness/base/spin_lock.h"
#include "harness/oracle/descriptor_table.h"
#include "harness/oracle/reported_sites.h"
#include "harness/oracle/violation.h"

namespace rig {

// WakeupAudit is fed the calls and waits of what is judged. It counts; it measures no time. It asks
//   of each descriptor: what a wait reports as ready is acted upon. Reported ignored_max times in a row, in the same
//     direction, with no call about it in between, it burns the processor: the interest should have gone.
//   of each thread: it does not come out of its waits wakes_max times in a row without making any other call.
//   of each stretch, from where control comes into the layer, or out of a wait, to the next wait: a call that would
//     block is not repeated on that descriptor would_block_max times; and of each verb of the layer's: it does not look
//     looks_max times with a time limit of 0 and find nothing.
//   of each stretch: while a neighbour that the same wait reported has not had its turn, no socket is read from more
//     than reads_max times and for more than bytes_max bytes.
// What a wait of epoll reports is known by the data of its registration; data that two descriptors share is passed
// over. Threads beyond door_threads_max are not judged. Thread: any.
class WakeupAudit {
 public:
  explicit WakeupAudit(ViolationLog& log);

  // entered: control comes from the app into the layer.
  void entered(std::uint32_t thread) noexcept;
  void called(const KernelCall& call, const KernelReturn& result, std::uint32_t thread) noexcept;
  // begun: the number means another file.
  void begun(int descriptor) noexcept;
  void waiting(const KernelWait& wait, std::uint32_t thread) noexcept;
  void resumed(const KernelWait& wait, int result, std::uint32_t thread) noexcept;

  static constexpr std::uint32_t ignored_max = 32;
  static constexpr std::uint32_t wakes_max = 32;
  static constexpr std::uint32_t would_block_max = 16;
  static constexpr std::uint32_t looks_max = 64;
  static constexpr std::uint32_t reads_max = 64;
  static constexpr std::uint64_t bytes_max = 256 * 1024;

 private:
  enum Direction : std::uint8_t { in, out };
  struct Descriptor {
    std::array<std::uint32_t, 2> ignored{};      // reports in a row that nobody acted upon
    std::uint64_t stretch = 0;                   // to which the following belong
    std::array<std::uint32_t, 2> would_block{};  // calls in a row
    std::uint32_t reads = 0;
    std::uint64_t bytes = 0;
  };
  // Watched is a registration of epoll's.
  struct Watched {
    int epoll;
    std::uint64_t data;
    int descriptor;
  };
  static constexpr std::size_t ready_max = 64;
  struct Thread {
    std::uint64_t stretch = 0;
    std::uint32_t wakes = 0;
    std::uint32_t looks = 0;
    bool called = true;  // since the last wait
    std::size_t ready_count = 0;
    std::array<int, ready_max> ready{};  // to read from, by the last wait
  };
  // Finding is put into words once the lock is free.
  struct Finding {
    const char* what = nullptr;  // null: there is none
    int descriptor = -1;
    std::uint64_t count = 0;
    int neighbour = -1;
  };

  Thread* thread_of(std::uint32_t thread) noexcept;
  void renew(Thread& thread) noexcept;
  void note_watch(const KernelCall& call) noexcept;
  int watched_by(int epoll, std::uint64_t data) const noexcept;
  Finding judge_call(Descriptor& known, Thread& thread, const KernelCall& call, const KernelReturn& result) noexcept;
  Finding judge_turn(Descriptor& known, const Thread& thread, int descriptor) noexcept;
  Finding note_ready(Thread& thread, int descriptor, bool readable, bool writable) noexcept;
  Finding judge_ready(const KernelWait& wait, int result, Thread& thread) noexcept;
  void report(const Finding& finding, const char* function, const void* caller);

  ViolationLog* log_;
  ReportedSites sites_;
  SpinLock lock_;
  DescriptorTable<Descriptor> descriptors_;
  std::vector<Watched> watched_;
  std::unique_ptr<std::array<Thread, door_threads_max>> threads_;
  std::uint64_t next_stretch_ = 1;
};

}  // namespace rig
