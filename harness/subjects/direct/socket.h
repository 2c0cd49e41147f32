// Socket: one connection of `direct`. The TLS library moves the bytes; this says when, and tells the app.
//
// Theory of operation. A library that reads and writes the descriptor itself can be called by one thread at a time, and
// its call *is* the system call; so, unlike in a layer that moves ciphertext itself, the mutex of a socket is held
// across it. The descriptor is non-blocking, so nobody waits long. The mutex is open whenever the app is called.
//
//  - turn() runs on the loop's thread and does everything in one order: connect, handshake, read, write, end. What any
//    other thread wants is noted under the mutex, and the loop is woken. With fast track, a send that finds nothing
//    queued and nothing blocked writes at once.
//  - Each verb of the session has its own Want. interest() asks the poller for what the verbs want that have something
//    to do *now*: a want says nothing while its direction is paused, empty or over.
//  - A renegotiation is asked for in a turn, and it is reads that carry it. The session says which of read and write
//    waits for the other meanwhile (Want::other): the turn in which the other has moved brings it back.
//  - An op is sent from where it lies: its bytes stay there, whole and in one piece, until the library has taken them.
//  - There is one way to the end: end_with() notes the first cause, and finish() completes every op in order, ends the
//    session, closes the descriptor, and reports.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include "harness/base/error.h"
#include "harness/base/mutex.h"
#include "harness/subjects/direct/loop.h"
#include "harness/subjects/direct/session.h"
#include "harness/subjects/direct/tcp.h"
#include "harness/subjects/subject.h"

namespace rig::direct {

// Socket is what a rig_socket of this subject is. The verbs, their order and their answers are those of subject.h.
// Owns: session and descriptor. Thread: send, set_paused, renegotiate, half_close, close and info on any; adopt,
// destroy and what Object has on the loop's.
class Socket final : public Object {
 public:
  // Parts are what a socket is made of. `place` is held until the socket is freed (a listener counts these).
  struct Parts {
    Descriptor descriptor;
    std::unique_ptr<Session> session;
    const Library* library = nullptr;
    bool server = false;
    std::shared_ptr<void> place;
    std::optional<Error> failure;  // it has failed before it began
  };

  Socket(Loop& loop, Parts parts, const rig_socket_config& config);

  void adopt(const rig_socket_callbacks& callbacks, void* user) noexcept;
  rig_send_result send(std::uint64_t token, ByteView plain, rig_error* error) noexcept RIG_EXCLUDES(mutex_);
  Status set_paused(bool paused) noexcept RIG_EXCLUDES(mutex_);
  // renegotiate notes the wish; a turn sees to it. Errors: unsupported, invalid_state, closed.
  Status renegotiate() noexcept RIG_EXCLUDES(mutex_);
  Status half_close() noexcept RIG_EXCLUDES(mutex_);
  void close(rig_close_mode mode) noexcept RIG_EXCLUDES(mutex_);
  void destroy() noexcept RIG_EXCLUDES(mutex_);
  void info(rig_socket_info& info) const noexcept RIG_EXCLUDES(mutex_);
  bool adopted() const noexcept { return adopted_; }

  Interest interest(std::int64_t now_us) override RIG_EXCLUDES(mutex_);
  void turn(short events, std::int64_t now_us) override RIG_EXCLUDES(mutex_);
  bool gone() const override { return destroyed_ && finished_; }
  void count(rig_loop_counts& counts) const override RIG_EXCLUDES(mutex_);

 private:
  enum class Phase : std::uint8_t { connecting, handshaking, open, closed };
  enum class Closing : std::uint8_t { no, half, graceful, abort };

  struct Op {
    std::uint64_t token = 0;
    std::unique_ptr<std::uint8_t[]> bytes;
    std::size_t size = 0;
    std::size_t taken = 0;  // by the library
  };

  // socket.cc: verbs, and what the poller is asked.
  bool room_for(std::size_t bytes) const RIG_REQUIRES(mutex_);
  bool write_front() RIG_REQUIRES(mutex_);
  Op pop_front() RIG_REQUIRES(mutex_);
  bool reading() const RIG_REQUIRES(mutex_);
  bool writing() const RIG_REQUIRES(mutex_);
  bool over() const RIG_REQUIRES(mutex_);
  std::int64_t deadline_us() const RIG_REQUIRES(mutex_);
  void end_with(const Error& error) RIG_REQUIRES(mutex_);

  // socket_turn.cc: the loop's thread.
  void finish_connecting(short events) RIG_REQUIRES(mutex_);
  void shake_hands(short events) RIG_REQUIRES(mutex_);
  bool learn_facts() RIG_REQUIRES(mutex_);
  void receive(short events) RIG_REQUIRES(mutex_);
  void start_renegotiation() RIG_REQUIRES(mutex_);
  void transmit(short events) RIG_REQUIRES(mutex_);
  void end_our_direction() RIG_REQUIRES(mutex_);
  void end_behind_input(const Error& error) RIG_REQUIRES(mutex_);
  void progress_close(std::int64_t now_us) RIG_REQUIRES(mutex_);
  void tell_writable() RIG_REQUIRES(mutex_);
  void finish() RIG_REQUIRES(mutex_);
  void report_sent(const Op& op, const Error* error) RIG_REQUIRES(mutex_);

  Loop& loop_;
  const Library& library_;
  const bool server_;
  const bool nodelay_;
  const std::size_t ops_max_;
  const std::size_t bytes_max_;
  const std::int64_t close_timeout_us_;
  const std::shared_ptr<void> place_;
  const std::int64_t connect_until_us_;
  const std::int64_t handshake_until_us_;

  // Of the loop's thread alone.
  rig_socket_callbacks callbacks_{};
  void* user_ = nullptr;
  bool adopted_ = false;
  bool connected_reported_ = false;
  bool destroyed_ = false;
  bool finished_ = false;  // `closed` was delivered
  std::int64_t linger_delay_us_ = 0;

  mutable Mutex mutex_;
  Descriptor descriptor_ RIG_GUARDED_BY(mutex_);
  std::unique_ptr<Session> session_ RIG_GUARDED_BY(mutex_);  // gone before the descriptor is
  Phase phase_ RIG_GUARDED_BY(mutex_);
  Closing closing_ RIG_GUARDED_BY(mutex_) = Closing::no;
  std::optional<Error> failure_ RIG_GUARDED_BY(mutex_);
  std::optional<Error> send_failure_ RIG_GUARDED_BY(mutex_);  // known while what the peer said last is read
  Facts facts_ RIG_GUARDED_BY(mutex_);
  std::uint32_t handshakes_ RIG_GUARDED_BY(mutex_) = 0;  // complete
  std::list<Op> ops_ RIG_GUARDED_BY(mutex_);
  std::size_t queued_bytes_ RIG_GUARDED_BY(mutex_) = 0;
  std::optional<std::size_t> refused_bytes_ RIG_GUARDED_BY(mutex_);  // the smallest op that found no room
  Want handshake_want_ RIG_GUARDED_BY(mutex_) = Want::nothing;
  Want read_want_ RIG_GUARDED_BY(mutex_) = Want::read;
  Want write_want_ RIG_GUARDED_BY(mutex_) = Want::nothing;
  bool read_now_ RIG_GUARDED_BY(mutex_) = false;  // the library may hold bytes of which no poller knows
  bool want_renegotiate_ RIG_GUARDED_BY(mutex_) = false;
  bool paused_ RIG_GUARDED_BY(mutex_) = false;
  bool peer_ended_ RIG_GUARDED_BY(mutex_) = false;
  bool notified_ RIG_GUARDED_BY(mutex_) = false;  // our close_notify and FIN are sent
  bool orderly_ RIG_GUARDED_BY(mutex_) = false;
  std::int64_t close_until_us_ RIG_GUARDED_BY(mutex_) = never;
  std::int64_t look_us_ RIG_GUARDED_BY(mutex_) = never;  // when to ask again whether the peer's system has everything
};

}  // namespace rig::direct
