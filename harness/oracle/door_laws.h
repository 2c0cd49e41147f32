// DoorLaws: all laws of the library door, as the one observer that a process can have.
#pragma once

#include "harness/base/library_door.h"
#include "harness/oracle/engine_monitor.h"
#include "harness/oracle/library_hygiene.h"
#include "harness/oracle/violation.h"

namespace rig {

// DoorLaws hands each event to LibraryHygiene and EngineMonitor. `calls` is how many calls on sessions came through, so
// that silence can be told from a door that nobody used. Thread: any.
class DoorLaws final : public DoorObserver {
 public:
  explicit DoorLaws(ViolationLog& log, bool poison = false) : hygiene_(log, poison), monitor_(log) {}

  void entering(const DoorCall& call) noexcept override {
    if (call.session != nullptr) {
      calls_.fetch_add(1, std::memory_order_relaxed);
    }
    hygiene_.entering(call);
    monitor_.entering(call);
  }
  void left(const DoorCall& call, const DoorReturn& result) noexcept override {
    hygiene_.left(call, result);
    monitor_.left(call, result);
  }
  void waiting(const DoorWait& wait) noexcept override {
    hygiene_.waiting(wait);
    monitor_.waiting(wait);
  }
  void resumed(std::uint32_t thread) noexcept override { hygiene_.resumed(thread); }
  void waived(const void* session) noexcept override { monitor_.waived(session); }
  void returned(std::uint32_t thread) noexcept { hygiene_.returned(thread); }
  bool poisons() const noexcept override { return hygiene_.poisons(); }

  std::uint64_t calls() const noexcept { return calls_.load(std::memory_order_relaxed); }
  // after_fork makes it usable in a child process. Thread: the only one.
  void after_fork() noexcept { monitor_.after_fork(); }

 private:
  LibraryHygiene hygiene_;
  EngineMonitor monitor_;
  std::atomic<std::uint64_t> calls_{0};
};

}  // namespace rig
