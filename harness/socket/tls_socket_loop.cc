// The loop's side of a socket: reading, callbacks, and the one way to the end.
#include <algorithm>
#include <array>
#include <utility>

#include "harness/base/check.h"
#include "harness/socket/tls_socket.h"

namespace rig {
namespace {

// So much is read from one socket before the others of the loop have their turn (libevent@2aa036fa starved them).
constexpr std::size_t read_bytes_per_turn = 256 * 1024;
// No event tells when the kernel's send buffer has become empty: a lingering close looks again after these delays.
constexpr std::int64_t linger_delay_min_us = 500;
constexpr std::int64_t linger_delay_max_us = 50'000;

}  // namespace

void TlsSocket::ready(const Ready& report) {
  const MutexLock lock(mutex_);
  if (phase_ == Phase::closed) {
    return;
  }
  if (ending()) {
    settle();  // whatever the report is about: nobody wants to hear any more that it connected
    return;
  }
  if (phase_ == Phase::connecting) {
    connected_below();
  } else {
    if (report.writable) {
      blocked_ = false;
      writable_seen_ = true;
    }
    if ((report.readable || report.failed) && receiving()) {
      receive(Until::short_read);
    } else if (report.failed) {
      // Nobody reads, so the failure has to be asked for; it is left unwatched, or it would be reported on every wait.
      // A mere hang-up is left for later. A stream that is over, and not by us, was reset: the system tells that once,
      // and a send on another thread was told.
      const Status status = ask_failure();
      const bool over = !status.has_value() && status.error().code() == Code::closed;
      hung_up_ = true;
      if (!status.has_value() && !(fin_sent_ && over) && !send_failure_.has_value()) {
        send_failure_ = over ? Error(Code::reset, "the peer was gone while nobody read") : status.error();
      }
    }
  }
  settle();
}

void TlsSocket::service() {
  const MutexLock lock(mutex_);
  if (std::exchange(begin_, false) && phase_ == Phase::handshaking && !ending()) {
    handshake_step();
  }
  if (std::exchange(backlog_, false)) {
    hung_up_ = false;
    deliver_input();
  }
  settle();
}

void TlsSocket::expired(Timer& timer) {
  const MutexLock lock(mutex_);
  if (&timer == &connect_timer_) {
    end_with(Error(Code::timeout, phase_ == Phase::connecting ? "the connection was not established in time"
                                                              : "the handshake did not finish in time"));
  } else if (&timer == &close_timer_) {
    end_with(Error(Code::aborted, "the graceful close did not finish in time"));
  }
  settle();
}

void TlsSocket::connected_below() {
  mutex_.unlock();
  const Status status = transport_->finish_connect();
  mutex_.lock();
  if (!status.has_value()) {
    if (status.error().code() != Code::would_block) {
      end_with(status.error());
    }
    return;
  }
  phase_ = Phase::handshaking;
  loop_->arm(connect_timer_, std::max<std::int64_t>(0, started_us_ + config_.handshake_timeout_us - Loop::now_us()));
  handshake_step();
  if (phase_ == Phase::open) {
    deliver_input();
  }
}

void TlsSocket::handshake_step() {
  const auto need = into_wire([this](CipherOut& out) { return engine_->handshake(out); });
  if (!need.has_value()) {
    failed_above_ = true;
    end_with(need.error());
    return;
  }
  if (*need == Need::nothing) {
    phase_ = Phase::open;
    loop_->cancel(connect_timer_);
    update_stage();
    report_connected(nullptr);
  }
}

bool TlsSocket::receiving() const {
  if (input_ended_ || failure_.has_value() || orderly_) {
    return false;
  }
  return phase_ == Phase::handshaking || (phase_ == Phase::open && (!paused_ || closing_ == Closing::graceful));
}

bool TlsSocket::ending() const {
  return failure_.has_value() || orderly_ || closing_ == Closing::abort;
}

// A read that brings less than there was room for is taken for the last: the poller tells if it was not.
void TlsSocket::receive(Until until) {
  std::size_t budget = read_bytes_per_turn;
  while (receiving() && receive_once(until, budget)) {
  }
}

// One read of the transport, all the way up; false if the transport has nothing more, or the budget is used up.
bool TlsSocket::receive_once(Until until, std::size_t& budget) {
  const MutableBytes storage = loop_->cipher_buffer();
  mutex_.unlock();
  const auto received = transport_->recv(storage);
  mutex_.lock();
  if (!received.has_value()) {
    if (received.error().code() != Code::would_block) {
      end_with(received.error());
    }
    return false;
  }
  // Behind the peer's end nobody asks for bytes; they are taken off the wire all the same, since closing over unread
  // ones makes the kernel send a reset that overtakes our own last bytes (curl#7095).
  const bool discard = peer_ended_;
  if (*received == 0 && send_failure_.has_value()) {
    return false;  // the failed send has taken the reset's error: what looks like an end is none
  }
  if (*received == 0) {
    input_ended_ = true;
    engine_->end_of_input();
  } else if (!discard) {
    if (const Status fed = engine_->feed(storage.first(*received)); !fed.has_value()) {
      end_with(fed.error());
      return false;
    }
  }
  if (phase_ == Phase::handshaking) {
    handshake_step();
  }
  if (!discard) {
    deliver_input();
  }
  budget -= std::min(budget, *received);
  return (until == Until::nothing_left || *received == storage.size()) && budget > 0;
}

// Reads the engine empty and hands over what it has, until the app pauses or ends it.
void TlsSocket::deliver_input() {
  while (phase_ == Phase::open && !failure_.has_value() && closing_ != Closing::abort && !peer_ended_ &&
         (!paused_ || closing_ == Closing::graceful)) {
    const auto storage = queue_.prepare_wire();
    if (!storage.has_value()) {
      end_with(storage.error());
      return;
    }
    CipherOut out(*storage);
    const MutableBytes plain = loop_->plain_buffer();
    const auto step = engine_->read(plain, out);
    queue_.commit_wire(out.size());
    if (!step.has_value() && notified_ && closing_ == Closing::graceful) {
      peer_ended_ = true;  // both directions are over for us: how the peer ends its own is nobody's question any more
      return;
    }
    if (!step.has_value()) {
      failed_above_ = true;
      end_with(step.error());
      return;
    }
    waits_for_input_ = false;
    peer_ended_ = step->end;
    if (closing_ != Closing::graceful && (step->bytes > 0 || step->end)) {
      mutex_.unlock();
      if (step->end) {
        events_->on_ended();
      } else {
        events_->on_data(plain.first(step->bytes));
      }
      mutex_.lock();
    }
    if (step->need == Need::input) {
      return;
    }
  }
}

// Comes at the end of every hook: sends, reports, ends, and tells the poller what to wait for.
void TlsSocket::settle() {
  if (finished_) {
    release();
    return;
  }
  const bool may_send = loop_->fast_track() ? !blocked_ : std::exchange(writable_seen_, false) && !blocked_;
  if (may_send && sendable()) {
    drain(false);
  }
  judge_send_failure();
  deliver_completions();
  if (queue_.take_writable_again() && closing_ == Closing::no && !failure_.has_value()) {
    mutex_.unlock();
    events_->on_writable();
    mutex_.lock();
  }
  progress_close();
  if (!ending()) {
    update_interest();
  }
  if (ending()) {
    finish();
    return;
  }
  update_stage();
}

// A send that failed tells that the peer is gone, not what it said before it went: that is read first, and may be a
// clean end. An app that has paused reads it when it goes on; until then nothing waits for the end.
void TlsSocket::judge_send_failure() {
  if (!send_failure_.has_value() || failure_.has_value() || draining_) {
    return;
  }
  deliver_input();               // the engine may hold what came while the app had paused
  receive(Until::nothing_left);  // nobody comes back for the rest; nothing is read while the app has paused
  if (!leaves_unread()) {
    end_with(*send_failure_);
  }
}

bool TlsSocket::leaves_unread() const {
  const bool still_reads = closing_ == Closing::no || closing_ == Closing::half;
  return phase_ == Phase::open && paused_ && !input_ended_ && still_reads && queue_.ops_pending() == 0;
}

void TlsSocket::deliver_completions() {
  while (const auto completion = queue_.pop_completed()) {
    mutex_.unlock();
    events_->on_sent(*completion);
    mutex_.lock();
  }
}

void TlsSocket::report_connected(const Error* error) {
  if (std::exchange(connected_reported_, true)) {
    return;
  }
  mutex_.unlock();
  events_->on_connected(error);
  mutex_.lock();
}

// Moves a half or graceful close on: close_notify is in the wire lane (end_our_direction), then FIN, then, for a
// graceful one, the kernel's send buffer.
void TlsSocket::progress_close() {
  if (failure_.has_value() || orderly_ || (closing_ != Closing::half && closing_ != Closing::graceful)) {
    return;
  }
  if (closing_ == Closing::half && notified_ && peer_ended_) {
    closing_ = Closing::graceful;  // both directions have ended: what is left is a graceful close
  }
  if (closing_ == Closing::graceful && !close_timer_.armed()) {
    loop_->arm(close_timer_, config_.close_timeout_us);
  }
  if (phase_ != Phase::open) {
    if (closing_ == Closing::graceful && queue_.ops_pending() == 0) {
      end_with(Error(Code::aborted, "closed before the handshake was done"));
    }
    return;
  }
  if (!notified_ || queue_.wire_bytes() > 0 || draining_) {
    return;
  }
  if (!std::exchange(fin_sent_, true)) {
    mutex_.unlock();
    const Status status = transport_->shutdown_send();
    mutex_.lock();
    if (!status.has_value()) {
      send_failure_ = status.error();
      judge_send_failure();
      return;
    }
  }
  if (closing_ == Closing::graceful) {
    orderly_ = linger();
  }
}

// Whether nothing of ours is left in the system's hands; a system that cannot tell has to be believed.
bool TlsSocket::all_taken() {
  mutex_.unlock();
  const auto unsent = transport_->unsent_bytes();
  mutex_.lock();
  return !unsent.has_value() || *unsent == 0;
}

Status TlsSocket::ask_failure() {
  mutex_.unlock();
  const Status status = transport_->failure();
  mutex_.lock();
  return status;
}

// Whether the peer's system has everything; if not, looks again later.
bool TlsSocket::linger() {
  if (all_taken()) {
    return true;
  }
  if (const Status status = ask_failure(); !status.has_value()) {
    // Over, without an error: the last byte was taken in between, or else the peer went without it.
    if (status.error().code() == Code::closed && all_taken()) {
      return true;
    }
    send_failure_ = status.error().code() == Code::closed
                        ? Error(Code::reset, "the peer was gone before it had everything")
                        : status.error();
    judge_send_failure();
    return false;
  }
  if (!linger_timer_.armed()) {
    linger_delay_us_ = std::clamp(linger_delay_us_ * 2, linger_delay_min_us, linger_delay_max_us);
    loop_->arm(linger_timer_, linger_delay_us_);
  }
  return false;
}

// The one way to the end. Completes every op in order, gives the handle back, and reports; nothing allocates here.
void TlsSocket::finish() {
  if (draining_) {
    mutex_.unlock();
    unwatch();  // nobody reads any more: what the poller reports of the peer's end would wake the loop without end
    mutex_.lock();
    update_stage();
    return;  // the drainer schedules us when it leaves the transport
  }
  finished_ = true;
  send_last_words();
  // The peer ended its stream and closed before it took our close_notify: nothing of ours is lost by that.
  const bool gone_after_end = peer_ended_ && closing_ != Closing::no && queue_.ops_pending() == 0 &&
                              failure_.has_value() && failure_->code() == Code::reset;
  std::optional<Error> reason;
  if (failure_.has_value() && !gone_after_end) {
    reason = failure_;
  } else if (!orderly_ && !gone_after_end) {
    reason = Error(Code::aborted, "the socket was aborted");
  }
  queue_.cancel_all(reason.value_or(Error(Code::closed, "the socket was closed")));
  give_handle_back();
  deliver_completions();
  const Error* const error = reason.has_value() ? &*reason : nullptr;
  report_connected(error);
  mutex_.unlock();
  events_->on_closed(error);
  mutex_.lock();
  update_stage();
  release();
}

void TlsSocket::unwatch() {
  if (std::exchange(watched_, false)) {
    loop_->unwatch(transport_->handle());
  }
}

void TlsSocket::give_handle_back() {
  phase_ = Phase::closed;
  loop_->cancel(connect_timer_);
  loop_->cancel(close_timer_);
  loop_->cancel(linger_timer_);
  const bool reset = !orderly_ && !failed_above_;
  mutex_.unlock();
  unwatch();
  transport_->close(reset);
  mutex_.lock();
}

// The engine's alert tells the peer why: what is in the wire lane, up to it, is sent as far as there is room for it.
void TlsSocket::send_last_words() {
  if (!failed_above_ || closing_ == Closing::abort) {
    return;
  }
  std::array<ByteView, 64> pieces;
  while (true) {
    const SendQueue::Gathered run = queue_.gather(pieces, true);
    if (run.bytes == 0) {
      return;
    }
    draining_ = true;
    mutex_.unlock();
    const auto sent = transport_->send(std::span(pieces).first(run.pieces), false);
    mutex_.lock();
    draining_ = false;
    if (!sent.has_value() || *sent == 0) {
      return;
    }
    queue_.consume(*sent);
  }
}

// A socket that is closed and destroyed leaves its loop and gives up its place.
void TlsSocket::release() {
  if (destroyed_ && std::exchange(attached_, false)) {
    loop_->detach(*this);
    lease_.reset();
  }
}

void TlsSocket::update_interest() {
  const bool through_poller = !loop_->fast_track() && !blocked_ && sendable();
  const Interest wanted{.readable = receiving(), .writable = phase_ == Phase::connecting || blocked_ || through_poller};
  if (through_poller || (wanted.writable && !interest_.writable)) {
    loop_->look_again();
  }
  const bool watch = !hung_up_ || wanted.readable;
  mutex_.unlock();
  const Status status = tell_poller(watch, wanted);
  mutex_.lock();
  if (!status.has_value()) {
    end_with(status.error());
  }
}

Status TlsSocket::tell_poller(bool watch, Interest wanted) {
  if (watch && !watched_) {
    RIG_TRY_STATUS(loop_->watch(*this, transport_->handle(), wanted));
  } else if (!watch && watched_) {
    loop_->unwatch(transport_->handle());
  } else if (watched_ && wanted != interest_) {
    RIG_TRY_STATUS(loop_->rewatch(transport_->handle(), wanted));
  }
  watched_ = watch;
  interest_ = wanted;
  return {};
}

}  // namespace rig
