// End: one side of one connection of a run, as the app of the subject sees it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/bytes.h"
#include "harness/base/error.h"
#include "harness/base/mutex.h"
#include "harness/oracle/hygiene_probe.h"
#include "harness/oracle/op_ledger.h"
#include "harness/oracle/push_audit.h"
#include "harness/oracle/resource_count.h"
#include "harness/oracle/stream_check.h"
#include "harness/scenario/loop_host.h"
#include "harness/scenario/scenario.h"
#include "harness/scenario/signal.h"
#include "harness/subjects/subject.h"

namespace rig {

class End;

// EndWorld is what an End needs of its run.
class EndWorld {
 public:
  virtual ~EndWorld() = default;
  virtual const rig_subject& subject() const = 0;
  virtual Signal& signal() = 0;
  virtual ViolationLog& log() = 0;
  // echo_elsewhere sends `bytes` back on `end` from another thread, in order.
  virtual void echo_elsewhere(End& end, Bytes bytes) = 0;
  // next_on_side is the connection after `end` on its side, or null if it has none.
  virtual End* next_on_side(const End& end) = 0;
  // stop_listening closes the listener that made, or would make, `end`; on the listener's loop only.
  virtual void stop_listening(const End& end) = 0;
  // open_another opens a listener and a connection to it, on the loop of `end`.
  virtual void open_another(const End& end) = 0;
};

// EndPlan is what an End was made for.
struct EndPlan {
  Side side = Side::client;
  std::uint32_t connection = 0;
  std::vector<Reaction> reactions;  // those that concern this end
  bool order_promised = true;
  bool memory_may_fail = false;  // a verb that is refused ends the connection, as a caller would
  QueueBound queue;              // what the subject promised to queue at most
  std::uint32_t says = 1;        // how many ops its reactions `say` send at most
};

// End holds the socket, the books of its ops and what came of it. Callbacks come on the loop's thread; send(),
// perform() and the questions on any.
class End {
 public:
  // never is no virtual time: it did not happen, or not in a lab.
  static constexpr std::int64_t never = -1;

  // Outcome is how `connected` or `closed` came, and when: the virtual time.
  struct Outcome {
    bool came = false;
    std::optional<Error> error;
    std::int64_t at_ns = never;
  };

  // SendAnswer is what came of one send.
  enum class SendAnswer : std::uint8_t { completed, pending, full, gone };

  End(EndWorld& world, LoopHost& host, EndPlan plan, StreamCheck& outgoing, StreamCheck& incoming);

  static const rig_socket_callbacks& callbacks();
  // take_socket gives the end its socket: from connect(), or from `accepted` (then it is adopted).
  void take_socket(rig_socket* socket) { socket_ = socket; }
  void adopt(rig_socket* socket);
  bool has_socket() const { return socket_.load() != nullptr; }

  // send issues one op of `bytes` position-coded bytes (or `echo`).
  SendAnswer send(std::size_t bytes, bool more, ByteView echo = {});

  // perform does a verb of a step or a reaction. `destroy` and `destroy_other` on the loop's thread only.
  void perform(Verb verb);
  // destroy gives the socket back, once; no other thread is inside a verb of it then. The loop's thread only.
  void destroy();
  void refuse_connect(const Error& error);

  // note_begun remembers when the connection was begun: just before connect(), or as it was accepted. begun_ns and
  // left_ns, when the app first asked for an orderly close, are virtual times.
  void note_begun();
  std::int64_t begun_ns() const { return begun_ns_.load(); }
  std::int64_t left_ns() const { return left_ns_.load(); }

  bool connected() const { return connected_.load() == 1; }
  bool closed() const { return closed_.load(); }
  bool ended() const { return ended_.load(); }
  bool destroyed() const { return destroyed_.load(); }
  // echoes says that whatever it receives is sent back, and not only what comes the nth time.
  bool echoes() const { return echoes_; }
  // reacts_to_end says that what follows from the peer's end is the scenario's: the end does not close of itself.
  bool reacts_to_end() const { return reacts_to_end_; }
  Outcome connected_outcome() const;
  Outcome closed_outcome() const;
  bool aborted_itself() const { return aborted_itself_.load(); }
  // left_by is the verb by which this side's app began to end the connection, before it knew of any other end of it.
  std::optional<Verb> left_by() const {
    const int verb = left_by_.load();
    return verb == nobody_left ? std::nullopt : std::optional(static_cast<Verb>(verb));
  }
  // What reactions did to a socket that was still there: inside one of its own callbacks, or of another end's.
  bool aborted_inside() const { return aborted_inside_.load(); }
  bool destroyed_inside() const { return destroyed_inside_.load(); }
  // acted_inside says that a reaction did something other than an echo; said is how many ops its reactions sent.
  bool acted_inside() const { return acted_inside_.load(); }
  std::uint32_t said() const { return said_.load(); }
  bool destroyed_by_other() const { return destroyed_by_other_.load(); }
  std::uint64_t writable_events() const { return counts_[static_cast<std::size_t>(Event::writable)].load(); }
  std::uint64_t completed() const { return completed_.load(); }
  std::uint64_t pending_at_close() const { return pending_at_close_.load(); }
  // What was pending at the peer's end, and at how many resumes and changes of keys (renegotiate, update_keys)
  // something was.
  std::uint64_t pending_at_end() const { return pending_at_end_.load(); }
  std::uint64_t rekeys_with_pending() const { return rekeys_with_pending_.load(); }
  // renegotiations is how many this side's app has asked for, and was not refused.
  std::uint32_t renegotiations() const { return renegotiations_.load(); }
  void note_peer_rekey() { peer_rekeys_with_pending_ += ledger_.pending() > 0 ? 1 : 0; }
  std::uint64_t peer_rekeys_with_pending() const { return peer_rekeys_with_pending_.load(); }
  // note_pending remembers the most ops that an awaiting step has seen pending; pending_seen tells.
  void note_pending(std::uint64_t ops) { pending_seen_ = std::max(pending_seen_.load(), ops); }
  std::uint64_t pending_seen() const { return pending_seen_.load(); }
  // unread_at_resume is the most bytes that the peer's app had sent, and that had not come, when this side read on.
  std::uint64_t unread_at_resume() const { return unread_at_resume_.load(); }
  // paused says that this side's app reads nothing. last_call and last_callback are what came through the app door last
  // each way, for the report of a stall: "send answered pending", "data"; empty if nothing did.
  bool paused() const { return paused_.load(); }
  std::string last_call() const;
  std::string last_callback() const;
  std::optional<Error> first_failed_op() const;
  std::optional<Error> first_refused_verb() const;
  // look reads the socket's info, while it is there, and says whether it was; last_look is the latest one.
  bool look();
  rig_socket_info last_look() const;
  bool looked() const { return looked_.load(); }
  // echo_done follows each echo_elsewhere() when its bytes have been sent.
  void echo_done();

  OpLedger& ledger() { return ledger_; }
  const OpLedger& ledger() const { return ledger_; }
  PushAudit& pushes() { return pushes_; }
  StreamCheck& outgoing() { return outgoing_; }
  const StreamCheck& outgoing() const { return outgoing_; }
  const StreamCheck& incoming() const { return incoming_; }
  const QueueCount& queue() const { return queue_; }
  LoopHost& host() const { return host_; }
  const EndPlan& plan() const { return plan_; }
  const std::string& name() const { return name_; }

 private:
  class Use;       // a verb is under way: the socket is not destroyed meanwhile
  class Reacting;  // a callback is under way of an app that may send in it

  static void on_connected(void* user, const rig_error* error);
  static void on_data(void* user, const uint8_t* bytes, size_t count);
  static void on_ended(void* user);
  static void on_sent(void* user, uint64_t token, size_t bytes, const rig_error* error);
  static void on_writable(void* user);
  static void on_closed(void* user, const rig_error* error);

  void react(Event event, ByteView bytes = {});
  void perform_on_event(Verb verb, ByteView bytes);
  // lives says that the socket is not destroyed, and that its `closed` has not come.
  bool lives() const {
    return has_socket() && !destroyed() && counts_[static_cast<std::size_t>(Event::closed)].load() == 0;
  }
  void echo(ByteView bytes);
  void say();
  void flush_backlog();
  void close_when_through();
  void give_up(const rig_error& refusal);
  void leave_by(Verb verb);
  void note_unread();
  void note_status(rig_status status, const rig_error& error, std::string_view verb);
  void came(const char* name);
  void note_call(const char* verb, const char* answer);

  EndWorld& world_;
  LoopHost& host_;
  const EndPlan plan_;
  const std::string name_;
  const bool echoes_;
  const bool reacts_to_end_;
  StreamCheck& outgoing_;
  StreamCheck& incoming_;
  OpLedger ledger_;
  PushAudit pushes_;
  QueueCount queue_;
  HygieneProbe probe_;

  std::atomic<rig_socket*> socket_{nullptr};
  std::atomic<int> users_{0};
  std::atomic<bool> destroyed_{false};
  std::atomic<std::uint64_t> next_token_{1};
  std::atomic<int> connected_{0};  // 1 yes, 2 failed
  std::atomic<bool> closed_{false};
  std::atomic<bool> ended_{false};
  std::atomic<bool> aborted_itself_{false};
  static constexpr int nobody_left = -1;
  std::atomic<int> left_by_{nobody_left};
  std::atomic<std::int64_t> begun_ns_{never};
  std::atomic<std::int64_t> left_ns_{never};
  std::atomic<bool> given_up_{false};
  std::atomic<bool> aborted_inside_{false};
  std::atomic<bool> destroyed_inside_{false};
  std::atomic<bool> destroyed_by_other_{false};
  std::atomic<bool> looked_{false};
  std::atomic<bool> acted_inside_{false};
  std::atomic<std::uint32_t> said_{0};
  std::atomic<bool> paused_{false};
  // Literals: they are noted on every call.
  std::atomic<const char*> last_verb_{nullptr};
  std::atomic<const char*> last_answer_{nullptr};
  std::atomic<const char*> last_callback_{nullptr};
  std::atomic<bool> through_wanted_{false};
  std::atomic<int> echoes_elsewhere_{0};
  std::atomic<std::uint64_t> completed_{0};
  std::atomic<std::uint64_t> pending_at_close_{0};
  std::atomic<std::uint64_t> pending_seen_{0};
  std::atomic<std::uint64_t> pending_at_end_{0};
  std::atomic<std::uint64_t> peer_rekeys_with_pending_{0};
  std::atomic<std::uint64_t> rekeys_with_pending_{0};
  std::atomic<std::uint32_t> renegotiations_{0};
  std::atomic<std::uint64_t> unread_at_resume_{0};
  std::array<std::atomic<std::uint64_t>, 7> counts_{};
  Bytes backlog_;  // echo that was refused; the loop's thread only

  mutable Mutex mutex_;
  Outcome connected_outcome_ RIG_GUARDED_BY(mutex_);
  Outcome closed_outcome_ RIG_GUARDED_BY(mutex_);
  std::optional<Error> first_failed_op_ RIG_GUARDED_BY(mutex_);
  std::optional<Error> first_refused_verb_ RIG_GUARDED_BY(mutex_);
  rig_socket_info last_look_ RIG_GUARDED_BY(mutex_){};
};

}  // namespace rig
