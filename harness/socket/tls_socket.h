// TlsSocket: the reference layer. An asynchronous, thread-safe socket over a TlsEngine, a SendQueue and a Transport.
//
// Theory of operation. Two kinds of thread meet in a socket: the thread that turns its Loop, and any thread that calls
// a verb. All state is behind one mutex, which is never held across a system call or a callback: whatever asks the
// transport or the poller, wakes the loop or calls the app opens it, and looks at the state again afterwards.
//
//  - Encrypting and entering the wire lane are one critical section, so ciphertext is sent in the order in which the
//    engine made it (pjproject#4909 encrypted and queued in two, and lost a callback to the thread in between).
//  - One thread at a time is the *drainer*, which gathers ciphertext, opens the mutex for the send call, and comes
//  back.
//    The loop's thread is the drainer as a rule. With fast track, and if nothing at all is queued, the sending thread
//    is; it drains until its own op is through and leaves the rest to the loop.
//  - Only the loop's thread reads, runs callbacks, and touches the poller and the timers. Others schedule the socket.
//  - There is one way to the end: end_with() notes the first cause, and finish(), on the loop's thread and when no
//    drainer is inside the transport, completes every op in order, gives the handle back, and reports.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "harness/base/bytes.h"
#include "harness/base/error.h"
#include "harness/base/mutex.h"
#include "harness/engine/backend.h"
#include "harness/socket/loop.h"
#include "harness/socket/send_queue.h"
#include "harness/socket/transport.h"

namespace rig {

// SocketEvents is the app's side of a socket. Every hook runs on the loop's thread, inside Loop::turn(), one at a time
// and with no lock held; it may call every verb of every socket. Borrowed arguments are good for the call.
// Order: on_connected once, then the others in any number, then on_closed once, then nothing. on_closed comes also if
// on_connected reported an error; completions of the ops that were queued come before both.
class SocketEvents {
 public:
  virtual ~SocketEvents() = default;
  virtual void on_connected(const Error* error) = 0;  // null: the handshake is done
  virtual void on_data(ByteView bytes) = 0;
  virtual void on_ended() = 0;  // the peer ended its stream in the orderly way; ours goes on
  virtual void on_sent(const Completion& completion) = 0;
  virtual void on_writable() = 0;                  // once after a send was refused with would_block
  virtual void on_closed(const Error* error) = 0;  // null: an orderly end
};

// SocketConfig is what one socket may differ in. Units: microseconds, bytes.
struct SocketConfig {
  SendLimits limits = {};
  bool nodelay = true;
  std::size_t kernel_send_bytes = 0;  // 0: the system's default
  std::size_t kernel_recv_bytes = 0;
  std::int64_t connect_timeout_us = 0;             // 0: only the handshake's
  std::int64_t handshake_timeout_us = 30'000'000;  // from the beginning of the connection to the end of the handshake
  std::int64_t close_timeout_us = 10'000'000;      // a graceful close that takes longer ends as aborted
};

// SendOutcome is what send() answers where it does not refuse.
enum class SendOutcome : std::uint8_t { completed, pending };

// CloseMode is how a socket ends.
enum class CloseMode : std::uint8_t {
  graceful,  // flush, close_notify, FIN, and wait until the peer's system has acknowledged everything
  abort,     // drop what is queued; the peer sees a reset
};

// SocketInfo is what a socket really uses, read back from the library, the loop and the queue.
struct SocketInfo {
  Facts facts;
  PollerKind poller = PollerKind::epoll;
  bool fast_track = false;
  bool nodelay = false;
  std::size_t ops_pending = 0;
  std::size_t queued_bytes = 0;
  SendQueue::Counters queue;
};

// TlsSocket is one connection.
//
// Owns: engine, queue and transport. The Loop holds it from start() until it is closed and destroyed.
// Errors: every verb on a socket that is closed, or closing for that verb's direction, answers Code::closed.
// Thread: send, pause, resume, half_close, renegotiate, update_keys, close and info on any thread; start, adopt and
// destroy on the loop's thread, or on any while nobody turns the loop.
class TlsSocket final : public LoopObject {
 public:
  // make joins the parts; start() puts them to work. `lease` lives as long as the socket holds its place: until it is
  // closed and destroyed (a listener counts these). Errors: no_memory.
  static std::expected<std::shared_ptr<TlsSocket>, Error> make(std::shared_ptr<Loop> loop,
                                                               std::unique_ptr<Transport> transport,
                                                               std::unique_ptr<TlsEngine> engine, Role role,
                                                               const SocketConfig& config,
                                                               std::shared_ptr<void> lease = nullptr) noexcept;

  // connect makes a client socket and starts it. A failure of the system that comes at once is reported like any other,
  // by on_connected; only what cannot become a socket at all is an Error here: invalid_argument, no_memory,
  // no_descriptors.
  static std::expected<std::shared_ptr<TlsSocket>, Error> connect(std::shared_ptr<Loop> loop, const Context& context,
                                                                  const EngineConfig& engine_config,
                                                                  const Endpoint& peer, const SocketConfig& config,
                                                                  SocketEvents& events) noexcept;
  ~TlsSocket() override;

  // start attaches the socket to its loop and begins. Errors: no_memory, no_descriptors (a poller that cannot take the
  // handle); then the socket is closed and no callback comes.
  Status start(SocketEvents* events) noexcept;

  // adopt names the receiver of callbacks; it must be there before the first one.
  void adopt(SocketEvents& events) noexcept { events_ = &events; }
  bool adopted() const noexcept;

  // send queues a copy of `plain` and says how far it came. `more`: further sends follow soon; this one is not
  // completed at once, and the system may hold it back until they come (MSG_MORE). Errors: closed, would_block
  // (on_writable follows), invalid_argument (the token is pending), no_memory.
  std::expected<SendOutcome, Error> send(Token token, ByteView plain, bool more) noexcept RIG_EXCLUDES(mutex_);

  // pause stops on_data and on_ended (one that is running goes on); resume lets them come again. A paused socket does
  // not read its handle at all once the handshake is done.
  Status pause() noexcept RIG_EXCLUDES(mutex_);
  Status resume() noexcept RIG_EXCLUDES(mutex_);

  // renegotiate and update_keys start it; if a write is only partly through they wait for its end. Errors: unsupported,
  // invalid_state (before the handshake, or one is under way).
  Status renegotiate() noexcept RIG_EXCLUDES(mutex_);
  Status update_keys() noexcept RIG_EXCLUDES(mutex_);

  // half_close flushes what is queued, then ends our direction (close_notify, FIN). When the peer's has ended too the
  // socket closes. Errors: closed; a second call is harmless.
  Status half_close() noexcept RIG_EXCLUDES(mutex_);

  // close ends the socket; on_data, on_ended and on_writable come no more. Closing again is harmless, and an abort may
  // follow a graceful close. Errors: none.
  void close(CloseMode mode) noexcept RIG_EXCLUDES(mutex_);

  // destroy gives up the owner's hold: an abort if the socket is not closed. Callbacks up to on_closed still come.
  void destroy() noexcept RIG_EXCLUDES(mutex_);

  SocketInfo info() const RIG_EXCLUDES(mutex_);

  // Hooks of the loop.
  void ready(const Ready& report) override RIG_EXCLUDES(mutex_);
  void service() override RIG_EXCLUDES(mutex_);
  void expired(Timer& timer) override RIG_EXCLUDES(mutex_);
  Stage stage() const override { return stage_.load(); }

 private:
  enum class Phase : std::uint8_t { connecting, handshaking, open, closed };
  enum class Closing : std::uint8_t { no, half, graceful, abort };
  enum class Control : std::uint8_t { renegotiate, update_keys };

  TlsSocket(std::shared_ptr<Loop> loop, std::unique_ptr<Transport> transport, std::unique_ptr<TlsEngine> engine,
            Role role, const SocketConfig& config, std::shared_ptr<void> lease);

  // tls_socket.cc: verbs and draining; any thread.
  Status set_paused(bool paused) noexcept RIG_EXCLUDES(mutex_);
  Status control(Control verb) noexcept RIG_EXCLUDES(mutex_);
  std::expected<Need, Error> engine_control(Control verb) RIG_REQUIRES(mutex_);
  template <class Verb>
  std::expected<Need, Error> into_wire(Verb verb) RIG_REQUIRES(mutex_);
  void drain(bool until_completed) RIG_REQUIRES(mutex_);
  void encrypt_ahead() RIG_REQUIRES(mutex_);
  void run_wanted_control() RIG_REQUIRES(mutex_);
  void end_our_direction() RIG_REQUIRES(mutex_);
  bool sendable() const RIG_REQUIRES(mutex_);
  void end_with(const Error& error) RIG_REQUIRES(mutex_);
  void update_stage() RIG_REQUIRES(mutex_);

  // tls_socket_loop.cc: the loop's thread.
  void connected_below() RIG_REQUIRES(mutex_);
  void handshake_step() RIG_REQUIRES(mutex_);
  enum class Until : std::uint8_t { short_read, nothing_left };
  void receive(Until until) RIG_REQUIRES(mutex_);
  bool receive_once(Until until, std::size_t& budget) RIG_REQUIRES(mutex_);
  void deliver_input() RIG_REQUIRES(mutex_);
  void settle() RIG_REQUIRES(mutex_);
  void deliver_completions() RIG_REQUIRES(mutex_);
  void judge_send_failure() RIG_REQUIRES(mutex_);
  bool leaves_unread() const RIG_REQUIRES(mutex_);
  void progress_close() RIG_REQUIRES(mutex_);
  bool linger() RIG_REQUIRES(mutex_);
  bool all_taken() RIG_REQUIRES(mutex_);
  Status ask_failure() RIG_REQUIRES(mutex_);
  void finish() RIG_REQUIRES(mutex_);
  void give_handle_back() RIG_REQUIRES(mutex_);
  void unwatch();
  void send_last_words() RIG_REQUIRES(mutex_);
  void update_interest() RIG_REQUIRES(mutex_);
  Status tell_poller(bool watch, Interest wanted) RIG_EXCLUDES(mutex_);
  void report_connected(const Error* error) RIG_REQUIRES(mutex_);
  void release() RIG_REQUIRES(mutex_);
  bool receiving() const RIG_REQUIRES(mutex_);
  bool ending() const RIG_REQUIRES(mutex_);

  const std::shared_ptr<Loop> loop_;
  const Role role_;
  const SocketConfig config_;
  std::atomic<Stage> stage_{Stage::connecting};

  // Of the loop's thread alone.
  SocketEvents* events_;
  std::shared_ptr<void> lease_;
  ObjectTimer connect_timer_{*this};
  ObjectTimer close_timer_{*this};
  ObjectTimer linger_timer_{*this};
  std::int64_t linger_delay_us_ = 0;
  std::int64_t started_us_ = 0;
  bool watched_ = false;
  bool hung_up_ = false;  // the poller reports a hang-up that nothing can be done about yet: do not watch
  Interest interest_;
  bool attached_ = false;
  bool finished_ = false;  // on_closed was called

  mutable Mutex mutex_;
  // The pointee is used without the mutex by one drainer and one reader; it is closed when neither is inside.
  const std::unique_ptr<Transport> transport_;
  const std::unique_ptr<TlsEngine> engine_;  // every verb under mutex_
  SendQueue queue_ RIG_GUARDED_BY(mutex_);
  Phase phase_ RIG_GUARDED_BY(mutex_) = Phase::connecting;
  Closing closing_ RIG_GUARDED_BY(mutex_) = Closing::no;
  std::optional<Error> failure_ RIG_GUARDED_BY(mutex_);
  std::optional<Error> send_failure_ RIG_GUARDED_BY(mutex_);  // the transport is over: to be judged by the loop
  bool failed_above_ RIG_GUARDED_BY(mutex_) = false;          // the engine failed: its alert may be in the wire lane
  bool draining_ RIG_GUARDED_BY(mutex_) = false;
  bool blocked_ RIG_GUARDED_BY(mutex_) = false;          // the transport took nothing: wait for writable
  bool writable_seen_ RIG_GUARDED_BY(mutex_) = false;    // the poller said writable in this turn
  bool waits_for_input_ RIG_GUARDED_BY(mutex_) = false;  // the engine cannot write before it has read
  bool paused_ RIG_GUARDED_BY(mutex_) = false;
  bool destroyed_ RIG_GUARDED_BY(mutex_) = false;
  bool connected_reported_ RIG_GUARDED_BY(mutex_) = false;
  bool want_renegotiate_ RIG_GUARDED_BY(mutex_) = false;
  bool want_update_keys_ RIG_GUARDED_BY(mutex_) = false;
  bool input_ended_ RIG_GUARDED_BY(mutex_) = false;  // FIN seen
  bool peer_ended_ RIG_GUARDED_BY(mutex_) = false;   // clean end seen and reported
  bool notified_ RIG_GUARDED_BY(mutex_) = false;     // our close_notify is in the wire lane
  bool fin_sent_ RIG_GUARDED_BY(mutex_) = false;
  bool orderly_ RIG_GUARDED_BY(mutex_) = false;  // both sides are through: end without an error
  bool backlog_ RIG_GUARDED_BY(mutex_) = false;  // resumed: the engine may hold input
  bool begin_ RIG_GUARDED_BY(mutex_) = false;    // accepted: plain TCP has its handshake without any input
  bool nodelay_ RIG_GUARDED_BY(mutex_) = false;  // really set
};

// into_wire runs a verb of the engine until it needs no more room; its ciphertext goes to the tail of the wire lane.
template <class Verb>
std::expected<Need, Error> TlsSocket::into_wire(Verb verb) {
  for (;;) {
    RIG_TRY(storage, queue_.prepare_wire());
    CipherOut out(storage);
    const std::expected<Need, Error> need = verb(out);
    queue_.commit_wire(out.size());
    if (!need.has_value() || *need != Need::room) {
      return need;
    }
  }
}

}  // namespace rig
