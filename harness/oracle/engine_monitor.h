// EngineMonitor: laws E1, E2, E3 and L1 at the library door. What a TLS library demands of whoever calls it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <tuple>

#include "harness/base/library_door.h"
#include "harness/base/spin_lock.h"
#include "harness/oracle/reported_sites.h"
#include "harness/oracle/session_slot.h"
#include "harness/oracle/sparse_array.h"
#include "harness/oracle/violation.h"

namespace rig {

// EngineMonitor is fed the events of the library door. It asks
//   E1 of a write that answered "waits for room": the next write brings the same bytes and as many of them, from the
//   same
//      address unless the session may move, or (GnuTLS) none at all; a read in between is lawful, a renegotiation or an
//      update of keys is not. GnuTLS and mbedTLS send what they kept, whatever the address is, so that a moved buffer
//      with the same bytes is let pass. A write that waits for input, or within a handshake, holds nothing back yet.
//      And of every write after the handshake: no length of 0 where the library gives it no meaning.
//   E2 of every call on a session: no other thread is in it; in GnuTLS one may read while another writes.
//   E3 of every call that drives a session: no fatal failure came before (freeing and resetting are lawful), once for
//      each session. Of a shutdown: no handshake is under way, and no write waits. Of the end of the library: no
//      session lives on, and it does not end more often than it began. Of a write to GnuTLS: its session has shaken
//      hands (the other two libraries do it then; GnuTLS refuses, "to protect buggy applications").
//   L1 when a thread goes to wait for a descriptor to become readable: the session behind it, which it has read from
//      with success and not until it would wait, holds no more bytes. A layer that has paused does not wait for input,
//      and one that waits for room as well comes back without any.
//      And when the last handshake or read of that session was to go on as soon as there is room: the thread waits for
//      room as well, where it waits for input.
// Sessions beyond sessions_max at a time are not judged. Thread: any.
class EngineMonitor {
 public:
  explicit EngineMonitor(ViolationLog& log);

  void entering(const DoorCall& call) noexcept;
  void left(const DoorCall& call, const DoorReturn& result) noexcept;
  void waiting(const DoorWait& wait) noexcept;
  void waived(const void* session) noexcept;

  // after_fork makes it usable in a child whose parent had it locked. Thread: the only one.
  void after_fork() noexcept { lock_.unlock(); }

  static constexpr std::size_t sessions_max = session_slots_max;

 private:
  // User is the thread that is in a session.
  struct User {
    std::uint32_t thread_plus_1 = 0;  // 0: nobody
    const char* function = "";
    const void* caller = nullptr;
  };
  // Write is one that waits for room.
  struct Write {
    bool waits = false;
    const void* data = nullptr;
    std::size_t bytes = 0;
    std::uint64_t hash = 0;
    const char* function = "";
  };
  struct Session {
    const void* key = nullptr;  // null: the slot is free
    TlsLibrary library = TlsLibrary::openssl;
    std::uint32_t number = 0;
    User reader = {};
    User writer = {};
    Write write = {};
    bool known = false;  // since it was made
    bool handshake_begun = false;
    bool handshake_done = false;
    bool shaken = false;            // the first handshake is complete
    bool read_on = false;           // the last read brought bytes, so that there may be more
    bool wants_room = false;        // the last call was a read or a handshake, and waits for room
    const char* lost_in = nullptr;  // the first fatal failure
    bool loss_judged = false;       // what came after it has been reported
  };
  // Finding is a violation that is put into words once the lock is free.
  struct Finding {
    Law law = Law::e3_order;
    std::uint32_t session = 0;
    const char* what = nullptr;  // null: there is none
    const char* function = "";   // the earlier call
    const void* caller = nullptr;
    std::size_t bytes = 0;
  };
  struct Recent {
    std::array<const void*, 16> sessions{};
    std::size_t count = 0;

    void add(const void* session) noexcept;
  };

  // Candidate is a session that a thread which goes to wait has used, and of which more is to be asked.
  struct Candidate {
    const void* key = nullptr;
    TlsLibrary library = TlsLibrary::openssl;
    std::uint32_t number = 0;
    bool wants_room = false;
  };

  std::size_t place(const void* key) const noexcept;
  Session* find(const void* key) const noexcept;
  Session* insert(const void* key, TlsLibrary library) noexcept;
  void forget(const void* key) noexcept;
  Finding judge_entry(const DoorCall& call) noexcept;
  Finding judge_users(Session& session, const DoorCall& call) noexcept;
  Finding judge_order(Session& session, const DoorCall& call) noexcept;
  Finding judge_write(const Session& session, const DoorCall& call) noexcept;
  Finding judge_process(const DoorCall& call) noexcept;
  std::size_t collect(std::uint32_t thread, std::span<Candidate> found) noexcept;
  void judge_wait(const DoorWait& wait, const Candidate& candidate);
  void learn(Session& session, const DoorCall& call, const DoorReturn& result) noexcept;
  void report(const Finding& finding, const DoorCall& call);

  ViolationLog* log_;
  ReportedSites sites_;
  SpinLock lock_;
  SparseArray<Session, sessions_max, 2> sessions_;
  SparseArray<Recent, door_threads_max, 1> recent_;
  std::array<std::uint32_t, tls_library_count> live_{};
  std::array<std::int64_t, tls_library_count> inits_{};
  std::uint32_t next_number_ = 1;
};

}  // namespace rig
