// KernelWatch: the laws of the kernel door, asked in a run.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/kernel_door.h"
#include "harness/base/spin_lock.h"
#include "harness/oracle/descriptor_audit.h"
#include "harness/oracle/descriptor_table.h"
#include "harness/oracle/push_audit.h"
#include "harness/oracle/session_book.h"
#include "harness/oracle/violation.h"
#include "harness/oracle/wakeup_audit.h"
#include "harness/oracle/wire_tap.h"

namespace rig {

// KernelWatch opens the kernel door for as long as it lives, and has the calls judged that the subject makes, or the
// TLS library in its name: F1 and P1 (DescriptorAudit), L2 (WakeupAudit), and, of each connection that was announced,
// W1 (WireTap) and L3 (PushAudit, when the thread that has sent last goes to wait). A thread that waits is told of at
// the library door as well. It keeps what each connection's descriptor was last used for, and the session on it, for
// the report of a stall. Thread: one of them at a time in a process; its functions on any.
class KernelWatch final : public KernelObserver {
 public:
  explicit KernelWatch(ViolationLog& log);
  ~KernelWatch();
  KernelWatch(const KernelWatch&) = delete;
  KernelWatch& operator=(const KernelWatch&) = delete;

  // announce says what is to come: a client that connects to `port`, or a server that is accepted there. With rules its
  // bytes are asked for W1. Of several sockets the first counts that carries anything. `pushes` knows of the ops of
  // that side, for L3; null: it is not asked. It outlives the use of the connection.
  void announce(WireSide side, std::uint32_t connection, std::uint16_t port, std::optional<WireRules> rules,
                PushAudit* pushes);

  // finish_wire is WireTap::finish() for that side of the connection, if anything was seen of it; records is how many
  // of its own it has sent.
  void finish_wire(WireSide side, std::uint32_t connection, bool orderly);
  std::uint64_t records(WireSide side, std::uint32_t connection);
  // sent_bytes is how many bytes the kernel has taken from that side; nothing if none was ever seen to be carried.
  std::optional<std::uint64_t> sent_bytes(WireSide side, std::uint32_t connection);
  // saw_reset says that a call of that side was told that its connection is gone; nothing if the side's descriptor was
  // never seen to carry anything.
  std::optional<bool> saw_reset(WireSide side, std::uint32_t connection);
  // finish_descriptors reports what the subject has left open. When it has given everything back.
  void finish_descriptors() { audit_.finish(); }

  // Seen is the last call of a kind.
  struct Seen {
    const char* function = nullptr;  // null: there was none
    std::int64_t result = 0;
    int error = 0;
  };
  // LastSeen is what the two doors saw last of one side of a connection.
  struct LastSeen {
    bool is_full = false;      // the system took nothing of the last send
    bool is_closed = false;    // so is the descriptor
    bool wants_input = false;  // so it is registered, or was last waited for
    bool wants_room = false;
    std::string kernel = {};   // "descriptor 7: the last recv() answered EAGAIN, ..."
    std::string library = {};  // "the last SSL_read() waits for input"; empty: no session is known
  };
  // last_seen answers nothing if the side's descriptor is not known. It waits for nobody.
  std::optional<LastSeen> last_seen(WireSide side, std::uint32_t connection);

  // control_enters tells the watch of the process, if there is one, that the calling thread goes into the subject.
  static void control_enters() noexcept;
  // turn_begins tells it that it goes there to turn `loop` for `limit_us` at most, turn_ends that it has.
  static void turn_begins(const void* loop, std::uint64_t limit_us) noexcept;
  static void turn_ends() noexcept;
  // wake_begins tells it that it goes there to wake `loop`; wake_ends takes the answer back when it has.
  static std::uint64_t wake_begins(const void* loop) noexcept;
  static void wake_ends(const void* loop, std::uint64_t mark) noexcept;
  // session_ends tells it that a TLS session ends, or begins anew: another one may have its address.
  static void session_ends(const void* session) noexcept;
  // session_asked and session_answered tell it of each call on a session.
  static void session_asked(const DoorCall& call) noexcept;
  static void session_answered(const DoorCall& call, const DoorReturn& result) noexcept;

  // KernelObserver.
  bool looks(KernelVerb verb) noexcept override;
  bool looks_at_waits() noexcept override;
  bool entering(const KernelCall& call) noexcept override;
  void left(const KernelCall& call, const KernelReturn& result) noexcept override;
  void waiting(const KernelWait& wait) noexcept override;
  void resumed(const KernelWait& wait, int result) noexcept override;
  bool is_socket(int descriptor) noexcept override { return audit_.is_socket(descriptor); }
  bool killed(const KernelCall& call) noexcept override;

 private:
  // Line is one side of a connection.
  struct Line {
    WireSide side;
    std::uint32_t connection;
    std::uint16_t port;
    std::unique_ptr<WireTap> tap = {};  // null: W1 is not asked
    int descriptor = -1;
    bool carried = false;
    bool gone = false;  // so a call was told
    std::uint64_t sent_bytes = 0;
    bool closed = false;
    bool ended = false;             // by a shutdown of its own
    PushAudit* pushes = nullptr;    // null: L3 is not asked, or was answered
    std::uint32_t sent_thread = 0;  // who has sent last
    Seen received = {};
    Seen sent = {};
    bool wants_input = false;  // by the last wait, or the registration
    bool wants_room = false;
  };
  struct Descriptor {
    Line* line = nullptr;
    std::uint16_t port = 0;  // of a listener
  };

  void assign(WireSide side, std::uint16_t port, int descriptor) noexcept;
  void learn(const KernelCall& call, const KernelReturn& result) noexcept;
  WireTap* carry(Line& line, const KernelCall& call, const KernelReturn& result) noexcept;
  void note_gone(Line& line) noexcept;
  static bool has_lost_its_peer(const Line& line, const KernelReturn& result) noexcept;
  void note_option(Line& line, const KernelCall& call, const KernelReturn& result) noexcept;
  template <class Step>
  void step_push(Line& line, Step step) noexcept;
  void judge_pushes() noexcept;
  void note_interest(const KernelWait& wait) noexcept;
  void note_interest(int descriptor, bool input, bool room) noexcept;
  Line* find(WireSide side, std::uint32_t connection) noexcept;
  void refuse(const KernelWait& wait, int result) noexcept;
  void judge_sets(const KernelWait& wait) noexcept;

  ViolationLog& log_;
  DescriptorAudit audit_;
  WakeupAudit wakeups_;
  SessionBook sessions_;
  SpinLock lock_;  // guards what follows
  std::vector<std::unique_ptr<Line>> lines_;
  DescriptorTable<Descriptor> descriptors_;
  std::size_t holding_ = 0;  // lines of whose bytes the system holds some back
  std::atomic<bool> sets_reported_{false};
};

}  // namespace rig
