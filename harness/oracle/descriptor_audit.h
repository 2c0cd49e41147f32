// DescriptorAudit: laws F1 and P1 at the kernel door.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "harness/base/call_stack.h"
#include "harness/base/library_door.h"
#include "harness/base/spin_lock.h"
#include "harness/oracle/descriptor_table.h"
#include "harness/oracle/reported_sites.h"
#include "harness/oracle/session_slot.h"
#include "harness/oracle/sparse_array.h"
#include "harness/oracle/violation.h"

namespace rig {

// DescriptorOwner is who has opened a descriptor.
enum class DescriptorOwner : std::uint8_t { judged, other };

// DescriptorAudit is fed what is done with descriptors. It knows those whose beginning it has seen, and judges no
// others: a program that closes whatever may be open is not blamed. It asks
//   F1 of a close and of a use that the system refused: the descriptor was not closed before. Of a use by a TLS
//      session: the descriptor is the socket that the session used before, and not another one with its number. Of
//      every close and use: the descriptor is not somebody else's. Of a send or receive on a socket that is connecting
//      still: the thread does not have an event at hand that its last wait reported of the old owner of that number.
//      At the end: none is left open.
//   P1 of a write: it does not raise a SIGPIPE that kills.
// Thread: any.
class DescriptorAudit {
 public:
  explicit DescriptorAudit(ViolationLog& log);

  // Use is one call with a descriptor.
  struct Use {
    int descriptor = -1;
    const char* function = "";
    const void* caller = nullptr;
    bool refused = false;           // with EBADF
    const void* session = nullptr;  // the TLS session on whose behalf it is made
    std::uint32_t thread = door_threads_max;
    bool moves = false;  // it sends or receives
  };

  // opened is a new descriptor; replaced is one of that number that is not to be judged.
  void opened(const Use& made, bool is_socket, DescriptorOwner owner = DescriptorOwner::judged) noexcept;
  void replaced(int descriptor) noexcept;
  // closing comes before the close, as soon as which another thread may be given the number; it answers whether the
  // close is the first. close_refused says that the system refused one that was not.
  bool closing(const Use& use, DescriptorOwner owner = DescriptorOwner::judged) noexcept;
  void close_refused(const Use& use) noexcept;
  void used(const Use& use) noexcept;
  // connecting is a socket that is not connected yet. Nothing can be had from it before a wait has reported it.
  void connecting(int descriptor) noexcept;
  // collected is what a wait has reported to `thread`, which has these events at hand until its next wait. Threads
  // beyond door_threads_max, and descriptors beyond collected_max, are not judged.
  void collected(std::uint32_t thread, std::span<const int> descriptors) noexcept;
  // killed is a write that raised a SIGPIPE at its default disposition.
  void killed(const Use& use) noexcept;
  // forgotten is a session that has ended or begins anew.
  void forgotten(const void* session) noexcept;
  // finish reports what is open still.
  void finish();

  bool is_socket(int descriptor) noexcept;

  // after_fork makes it usable in a child process. Thread: the only one.
  void after_fork() noexcept { lock_.unlock(); }

  static constexpr std::size_t sessions_max = session_slots_max;
  static constexpr std::size_t collected_max = 64;

 private:
  enum class State : std::uint8_t { unknown, open, closed, foreign };
  struct Descriptor {
    State state = State::unknown;
    bool socket = false;
    bool connecting = false;
    std::uint32_t generation = 0;  // counts the closes
    const char* function = "";     // that opened it
    CallStack opened_at = {};
    CallStack closed_at = {};
  };
  struct Binding {
    const void* session = nullptr;
    int descriptor = -1;
    std::uint32_t generation = 0;
  };

  // Event is what a thread has at hand: of which owner of a number.
  struct Event {
    int descriptor = -1;
    std::uint32_t generation = 0;
  };
  struct Collected {
    std::size_t count = 0;
    std::array<Event, collected_max> events{};
  };

  bool is_stale(const Use& use, const Descriptor& known) const noexcept;
  bool is_known(int descriptor) noexcept;
  Binding& binding(const void* session) noexcept;
  void report(const Use& use, const char* what, const CallStack& before);

  ViolationLog* log_;
  ReportedSites sites_;
  SpinLock lock_;
  DescriptorTable<Descriptor> descriptors_;
  SparseArray<Binding, sessions_max, 1> bindings_;
  Binding shared_binding_;                                 // of all sessions for which there is no memory
  SparseArray<Collected, door_threads_max, 1> collected_;  // as each thread first waits
};

}  // namespace rig
