// LibraryHygiene: laws H1, H2 and H3 at the library door. What a thread's ambient error state means for the calls of a
// layer, and who left what in it.
#pragma once

#include <array>
#include <cstdint>

#include "harness/base/call_stack.h"
#include "harness/base/library_door.h"
#include "harness/oracle/reported_sites.h"
#include "harness/oracle/sparse_array.h"
#include "harness/oracle/violation.h"

namespace rig {

// LibraryHygiene is fed the events of the library door. It asks
//   H1 when a thread goes to wait, and not at the exit of a failing call: until then the layer may clear up. The report
//      names the call that left the entry, with its stack. An entry is reported once, and is left where it is.
//   H2 when the layer asks what a failure means: the call only waits, or the peer has closed, and the answer is a
//   failure
//      because of an entry that was there before. What a layer does not ask about is not judged.
//      Where a library takes the word of a transport's errno, it asks whether the transport has set it.
//   H3 likewise: the call failed and said why, and the answer is another because the queue was emptied in between; and
//      where a callback of the layer's emptied it within the call.
// In its poison mode it plants an entry of its own when a wait is over (or wherever resumed() is called), on threads
// that use the library, with an empty queue and no failure that is yet to be asked about; so that H2 has something to
// bite on. Nobody is blamed for that entry. Thread: any; it keeps what it knows per thread, without locks.
class LibraryHygiene {
 public:
  LibraryHygiene(ViolationLog& log, bool poison);

  void entering(const DoorCall& call) noexcept;
  void left(const DoorCall& call, const DoorReturn& result) noexcept;
  void waiting(const DoorWait& wait) noexcept;
  void resumed(std::uint32_t thread) noexcept;
  // returned takes the planted entry out again, if it is the latest: control is back in the app.
  void returned(std::uint32_t thread) noexcept;
  bool poisons() const noexcept { return poison_; }

 private:
  // Failure is a call whose meaning has not been asked for.
  struct Failure {
    const void* session = nullptr;  // null: there is none
    const char* function = "";
    const void* caller = nullptr;
    DoorOutcome truth = DoorOutcome::done;
    bool stale = false;     // an entry was there before the call
    bool reported = false;  // the call left an entry that says why
    const char* emptied_by = nullptr;
    CallStack emptied_at = {};
  };
  // Ambient is a library's ambient state on one thread, and who is to be blamed for it.
  struct Ambient {
    bool used = false;     // a session was driven on this thread
    DoorEntry known = {};  // the latest entry when the door was last passed
    DoorEntry planted = {};
    DoorEntry judged = {};  // reported already
    const char* left_by = nullptr;
    CallStack left_at = {};
    CallStack pushed_at = {};  // where an entry was last added outside of a session's call
    CallStack emptied_in_callback = {};
    Failure failure = {};
  };
  using Thread = std::array<Ambient, tls_library_count>;

  Ambient* ambient(std::uint32_t thread, TlsLibrary library) noexcept;
  void note(Ambient& state, const DoorEntry& found) noexcept;
  void driven(Ambient& state, const DoorCall& call, const DoorReturn& result) noexcept;
  void emptied(Ambient& state, const DoorCall& call) noexcept;
  void classified(Ambient& state, const DoorCall& call, DoorOutcome answer) noexcept;
  void report_left(const Ambient& state, const LibraryDoor& door, const DoorEntry& entry, const DoorWait& wait);

  ViolationLog* log_;
  bool poison_;
  ReportedSites sites_;
  SparseArray<Thread, door_threads_max, 1> threads_;
};

}  // namespace rig
