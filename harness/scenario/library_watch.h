// LibraryWatch: the laws of the library door, asked in a run.
#pragma once

#include <cstdint>

#include "harness/base/library_door.h"
#include "harness/oracle/door_laws.h"
#include "harness/oracle/resource_count.h"
#include "harness/oracle/violation.h"

namespace rig {

// LibraryWatch opens the doors of the TLS libraries for as long as it lives. What it allocates is the rig's. Unless it
// is told not to poison, it plants an entry in the thread's error queue wherever control comes from the app into the
// subject, and takes it out on the way back: a subject that believes an older error fails by that. Thread: one of them
// at a time in a process.
class LibraryWatch final : public DoorObserver {
 public:
  explicit LibraryWatch(ViolationLog& log, bool poison = true);
  ~LibraryWatch();
  LibraryWatch(const LibraryWatch&) = delete;
  LibraryWatch& operator=(const LibraryWatch&) = delete;

  void entering(const DoorCall& call) noexcept override;
  void left(const DoorCall& call, const DoorReturn& result) noexcept override;
  void waiting(const DoorWait& wait) noexcept override;
  void resumed(std::uint32_t thread) noexcept override;
  void waived(const void* session) noexcept override { laws_.waived(session); }
  bool poisons() const noexcept override { return laws_.poisons(); }
  const SessionCount& sessions() const noexcept { return sessions_; }

  // control_enters and control_leaves tell the watch of the process, if there is one, that the calling thread goes into
  // the subject, by a verb or out of a callback, or comes back. They keep errno.
  static void control_enters() noexcept;
  static void control_leaves() noexcept;

 private:
  DoorLaws laws_;
  SessionCount sessions_;
};

}  // namespace rig
