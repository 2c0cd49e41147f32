// SessionBook: which TLS session speaks over which descriptor, and what it was last asked. For the report of a stall.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/base/library_door.h"
#include "harness/base/spin_lock.h"
#include "harness/oracle/descriptor_table.h"
#include "harness/oracle/session_slot.h"
#include "harness/oracle/sparse_array.h"

namespace rig {

// SessionBook is fed the calls of the library door and what is carried at the kernel door. A library that does the I/O
// itself says whose it is; where the layer does it, a session belongs to the descriptor whose bytes its thread received
// just before the session's first call, or sent just behind it. Of sessions beyond sessions_max at a time some are
// forgotten. Thread: any.
class SessionBook {
 public:
  void entering(const DoorCall& call) noexcept;
  void left(const DoorCall& call, const DoorReturn& result) noexcept;
  // carried is a send or a receive that moved bytes, `driving` the session on whose behalf the library made it, or
  // null.
  void carried(std::uint32_t thread, int descriptor, const void* driving, bool sends) noexcept;
  // begun: the number means another file.
  void begun(int descriptor) noexcept;

  // last_asked says what the session on `descriptor` was asked last, and what it answered: "the last SSL_write() of 300
  // bytes waits for room". Empty if no session is known there.
  std::string last_asked(int descriptor);

  static constexpr std::size_t sessions_max = session_slots_max;

 private:
  struct Session {
    const void* key = nullptr;
    int descriptor = -1;
    const char* function = nullptr;  // null: it has been asked nothing
    std::size_t bytes = 0;
    bool is_within = false;
    DoorOutcome outcome = DoorOutcome::done;
  };
  struct Thread {
    const void* session = nullptr;  // of its last call
    int descriptor = -1;            // whose bytes it has received since that call
  };

  Session& slot(const void* key) noexcept;
  void bind(const void* key, int descriptor) noexcept;
  Thread& thread_of(std::uint32_t thread) noexcept;

  SpinLock lock_;
  SparseArray<Session, sessions_max, 1> sessions_;
  SparseArray<Thread, door_threads_max, 1> threads_;
  Session shared_session_;  // of all for which there is no memory
  Thread shared_thread_;    // so, and of those beyond door_threads_max
  DescriptorTable<const void*> owners_;
};

}  // namespace rig
