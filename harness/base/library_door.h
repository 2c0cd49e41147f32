// The library door: what a socket layer asks of its TLS library, as neutral events.
//
// A door (backends/NAME/door) defines the library's functions in place of the library, tells one observer what is
// called and what came of it, and calls the real ones. With no observer a door is closed: a function then costs a load
// and a jump. Doors announce calls of the layer only; what the library calls within is its own affair.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace rig {

// TlsLibrary is whose door it is.
enum class TlsLibrary : std::uint8_t { openssl, gnutls, mbedtls };
inline constexpr std::size_t tls_library_count = 3;

// DoorVerb is what a function does, whatever its library calls it.
enum class DoorVerb : std::uint8_t {
  create,     // a session
  destroy,    // a session
  reset,      // a session is to be used anew
  handshake,  // drives the first handshake
  read,
  peek,  // reads and leaves the bytes where they are
  write,
  shutdown,  // sends close_notify, or waits for it
  control,   // asks for a renegotiation or an update of keys
  classify,  // asks what a call's failure means
  clear,     // empties the ambient error state of the thread
  take,      // takes an entry out of it
  push,      // adds an entry to it, where no call on a session is under way
  init,      // of the process
  deinit,    // of the process
};

// DoorOutcome is how a call ended, in truth: an entry that was there before the call does not count.
enum class DoorOutcome : std::uint8_t {
  done,        // it succeeded
  want_read,   // it waits for input
  want_write,  // it waits for room
  end,         // close_notify has been read
  fatal,       // the session is lost, and the library says why
  broken,      // the session is lost with its transport, and the library says nothing
  given_up,    // the peer declined the later handshake that was under way: the session goes on as it was before
  other,       // what concerns no law: a refusal, a wait for something else
};

// DoorEntry is the latest entry of a thread's ambient error state.
struct DoorEntry {
  std::uint64_t number = 0;    // the library's number; 0: there is none
  std::uint64_t identity = 0;  // tells it from other entries with this number, within this process
  bool operator==(const DoorEntry&) const = default;
};

// DoorCall is one call that comes through a door.
struct DoorCall {
  TlsLibrary library = TlsLibrary::openssl;
  DoorVerb verb = DoorVerb::read;
  const char* function = "";      // "SSL_read"
  const void* session = nullptr;  // null where the call concerns none
  const void* data = nullptr;     // of read, peek and write
  std::size_t bytes = 0;          // how many were asked for
  const void* caller = nullptr;   // the return address
  std::uint32_t thread = 0;       // as door_thread() numbers them
  bool in_handshake = false;      // at entry the first handshake, or a later one, is not complete
  bool may_move = false;          // write: a retry may come from another address
  bool may_be_empty = false;      // write: a length of 0 has a meaning
  bool nested = false;            // made by the layer within a callback of the library
  DoorEntry before = {};          // of the thread, at entry
};

// DoorReturn is what came of it.
struct DoorReturn {
  DoorOutcome outcome = DoorOutcome::done;  // of classify: what the library answered
  std::size_t bytes = 0;                    // of read, peek and write
  DoorEntry after = {};                     // of the thread, at exit
  bool errno_was_stale = false;             // it failed by an errno that was there before: the transport had set none
};

// DoorWait is a thread about to wait in the system.
struct DoorWait {
  const char* function = "";     // "epoll_wait"
  const void* caller = nullptr;  // the return address
  std::uint32_t thread = 0;
  bool blocks = true;  // its time limit is not 0
  // waits_for_input says whether the wait ends when `descriptor` becomes readable.
  bool (*waits_for_input)(const DoorWait& wait, int descriptor) = nullptr;
  // ignores_room says that it does not end when the descriptor has room; where that is not known, it answers no.
  bool (*ignores_room)(const DoorWait& wait, int descriptor) = nullptr;
  const void* set = nullptr;  // what the two look at
  std::size_t set_count = 0;
};

// DoorObserver is told of every call. Its functions are called on the thread that makes the call, from many threads at
// once, with errno kept by the caller. They call nothing that a lab defines and take no lock of a library's, and they
// allocate only to report.
class DoorObserver {
 public:
  virtual void entering(const DoorCall& call) noexcept = 0;
  virtual void left(const DoorCall& call, const DoorReturn& result) noexcept = 0;
  // waiting comes before a thread waits, and when its run ends; resumed when the wait is over.
  virtual void waiting(const DoorWait& wait) noexcept = 0;
  virtual void resumed(std::uint32_t thread) noexcept = 0;
  // waived is a session whose waiting write is not to be compared with the next one (door_waive_write).
  virtual void waived(const void*) noexcept {}
  // poisons says whether a door may put an errno of its own in front of a call, where an earlier one means nothing.
  virtual bool poisons() const noexcept { return false; }

 protected:
  ~DoorObserver() = default;
};

// open_door has `observer` told from the next call on; null closes all doors. The observer outlives every call that
// began while it was set. Thread: any; an observer is exchanged while nobody uses a library.
void open_door(DoorObserver* observer) noexcept;

// door_observer is who is told, or null.
inline std::atomic<DoorObserver*> open_door_observer{nullptr};
inline DoorObserver* door_observer() noexcept {
  return open_door_observer.load(std::memory_order_acquire);
}

// door_thread numbers the calling thread, from 0 for each observer. give_back_door_thread lets another thread have the
// number; who watches a process of many threads calls it as each one ends.
// door_threads_max: a thread beyond so many has this number, and is not judged.
std::uint32_t door_thread() noexcept;
void give_back_door_thread() noexcept;
inline constexpr std::uint32_t door_threads_max = 256;

// LibraryDoor is what an observer may ask of a library, about the calling thread or about a session. No function is
// announced. A null one means that the library has no such thing.
struct LibraryDoor {
  TlsLibrary library = TlsLibrary::openssl;
  const char* name = "";          // "OpenSSL"
  const char* ambient_name = "";  // "error queue"
  DoorEntry (*latest)() = nullptr;
  // describe writes a sentence about an entry.
  void (*describe)(std::uint64_t number, char* sentence, std::size_t sentence_bytes) = nullptr;
  void (*plant)() = nullptr;  // adds an entry of ours
  void (*clear)() = nullptr;  // takes all entries out
  // pending is how many bytes of plaintext the session holds; descriptor is what it reads from, room_descriptor what it
  // writes to, -1 if that is unknown.
  std::size_t (*pending)(const void* session) = nullptr;
  int (*descriptor)(const void* session) = nullptr;
  int (*room_descriptor)(const void* session) = nullptr;
};

// register_library_door makes a door known, once for each library and for the rest of the process; library_door finds
// it, null if there is none. Thread: any.
void register_library_door(const LibraryDoor& door) noexcept;
const LibraryDoor* library_door(TlsLibrary library) noexcept;

// tls_library_name is "OpenSSL", "GnuTLS" or "mbedTLS".
const char* tls_library_name(TlsLibrary library) noexcept;

// DoorPassage is one call on its way through a door: it decides whether the call is the layer's own, and tells the
// observer. errno after the passage is what the real function left. Thread: the one that makes the call.
class DoorPassage {
 public:
  // A call is the library's own if it comes from within the library while a call of the layer is under way, or concerns
  // the session of that call.
  explicit DoorPassage(const DoorCall& call) noexcept;
  DoorPassage(const DoorPassage&) = delete;
  DoorPassage& operator=(const DoorPassage&) = delete;

  // announced says whether the observer hears of it. If so, enter() comes before the real function and leave() after.
  bool announced() const noexcept { return announced_; }
  // call may be filled up between construction and enter().
  DoorCall& call() noexcept { return call_; }
  void enter() noexcept;
  void leave(const DoorReturn& result) noexcept;

 private:
  DoorCall call_;
  DoorObserver* observer_;
  bool announced_ = false;
};

// door_waiting and door_resumed tell the observer, if there is one, that the calling thread is about to wait, or that
// its wait is over. A wait within a call of the library (a transport of the layer's that blocks) is not the layer's own
// and is passed over. They keep errno.
void door_waiting(DoorWait wait) noexcept;
void door_resumed() noexcept;

// door_waive_write is for a layer that knows what its library has made of a write that waits for room, and departs from
// the manual: the next write is not compared with it. The place that calls it says why that is sound.
void door_waive_write(const void* session) noexcept;

// door_session is the session that the calling thread's innermost call drives, null outside of such a call.
const void* door_session() noexcept;

}  // namespace rig
