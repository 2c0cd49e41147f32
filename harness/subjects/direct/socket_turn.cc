// A socket's turn on its loop: connect, handshake, read, write, end. All callbacks come from here.
#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include "harness/subjects/abi.h"
#include "harness/subjects/direct/socket.h"

namespace rig::direct {
namespace {

// So much is moved for one socket before the others of the loop have their turn.
constexpr std::size_t bytes_per_turn = 256 * 1024;
// No event tells when the kernel's send buffer has become empty: a close looks again after these delays.
constexpr std::int64_t linger_delay_min_us = 500;
constexpr std::int64_t linger_delay_max_us = 50'000;

// ready says that poll reported what a verb wants. A failure is for whichever verb asks next.
bool ready(short events, Want want) noexcept {
  constexpr short failed = POLLERR | POLLHUP | POLLNVAL;
  return want != Want::other && (events & (failed | (want == Want::read ? POLLIN : POLLOUT))) != 0;
}

}  // namespace

void Socket::turn(short events, std::int64_t now_us) {
  const MutexLock lock(mutex_);
  if (phase_ == Phase::closed) {
    return;
  }
  if (now_us >= deadline_us()) {
    end_with(phase_ == Phase::open || now_us >= close_until_us_
                 ? Error(Code::aborted, "the graceful close did not finish in time")
                 : Error(Code::timeout, phase_ == Phase::connecting ? "the connection was not established in time"
                                                                    : "the handshake did not finish in time"));
  }
  // The mutex is open during callbacks, so each step looks for itself whether there is anything left to do.
  finish_connecting(events);
  shake_hands(events);
  receive(events);
  start_renegotiation();
  transmit(events);
  progress_close(now_us);
  tell_writable();
  if (over()) {
    finish();
  }
}

void Socket::finish_connecting(short events) {
  if (phase_ != Phase::connecting || over() || events == 0) {
    return;
  }
  const Status status = connected(descriptor_.handle());
  if (status.has_value()) {
    phase_ = Phase::handshaking;
  } else if (status.error().code() != Code::would_block) {
    end_with(status.error());
  }
}

void Socket::shake_hands(short events) {
  if (phase_ != Phase::handshaking || over() || (handshake_want_ != Want::nothing && !ready(events, handshake_want_))) {
    return;
  }
  const auto want = session_->handshake();
  if (!want.has_value()) {
    end_with(want.error());
    return;
  }
  handshake_want_ = *want;
  if (handshake_want_ != Want::nothing) {
    return;
  }
  if (!learn_facts()) {
    return;
  }
  phase_ = Phase::open;
  read_now_ = true;  // what came behind the handshake may have been read with it
  connected_reported_ = true;
  mutex_.unlock();
  callbacks_.connected(user_, nullptr);
  mutex_.lock();
}

// Reads back what was negotiated, if that is news.
bool Socket::learn_facts() {
  const std::uint32_t handshakes = session_->handshakes();
  if (handshakes == handshakes_) {
    return true;
  }
  try {
    facts_ = session_->facts();
  } catch (const std::bad_alloc&) {
    end_with(Error(Code::no_memory, "no memory for what was negotiated"));
    return false;
  }
  handshakes_ = handshakes;
  return true;
}

void Socket::receive(short events) {
  if (!reading() || (!std::exchange(read_now_, false) && !ready(events, read_want_))) {
    return;
  }
  std::array<std::uint8_t, 16 * 1024> storage;
  std::size_t budget = bytes_per_turn;
  while (reading() && budget > 0) {
    const auto moved = session_->read(storage);
    const bool reset = !moved.has_value() && moved.error().code() == Code::reset;
    if (!moved.has_value() && !reset && notified_ && closing_ == Closing::graceful && !send_failure_.has_value()) {
      peer_ended_ = true;  // both directions are over for us: how the peer ends its own is nobody's question any more
      return;              // a reset is: it may have lost what we have sent
    }
    if (!moved.has_value()) {
      end_with(send_failure_.value_or(moved.error()));
      return;
    }
    if (write_want_ == Want::read || write_want_ == Want::other) {
      write_want_ = Want::nothing;  // what the write waits for may have been read here
    }
    if (!learn_facts()) {
      return;
    }
    read_want_ = moved->want == Want::nothing ? Want::read : moved->want;
    if (moved->want != Want::nothing) {
      return;
    }
    peer_ended_ = moved->end;
    budget -= std::min(budget, moved->bytes);
    if (closing_ == Closing::graceful) {
      continue;  // the app has said goodbye
    }
    mutex_.unlock();
    if (moved->end) {
      callbacks_.ended(user_);
    } else {
      callbacks_.data(user_, storage.data(), moved->bytes);
    }
    mutex_.lock();
  }
  read_now_ = true;  // left early: the library may hold bytes
}

// Also while the app has paused: what is found on the way stays in the library.
void Socket::start_renegotiation() {
  if (!want_renegotiate_ || phase_ != Phase::open || over() || closing_ != Closing::no || peer_ended_) {
    return;
  }
  const auto want = session_->renegotiate();
  if (!want.has_value()) {
    end_with(want.error());
    return;
  }
  want_renegotiate_ = *want == Want::other;
  if (!want_renegotiate_) {
    read_want_ = *want == Want::write ? Want::write : Want::read;
    read_now_ = read_want_ == Want::read;  // the library may have come upon something
  }
}

void Socket::transmit(short events) {
  const bool at_once = write_want_ == Want::nothing && loop_.fast_track();
  if (!writing() || (!at_once && !ready(events, write_want_))) {
    return;
  }
  std::size_t budget = bytes_per_turn;
  while (writing() && !ops_.empty()) {
    if (budget == 0) {
      loop_.wake();
      return;
    }
    if (!write_front()) {
      return;
    }
    const Op op = pop_front();
    budget -= std::min(budget, op.size);
    report_sent(op, nullptr);
    start_renegotiation();
    if (read_want_ == Want::other) {
      read_want_ = Want::read;
      read_now_ = true;  // in the next turn, ahead of the next op
      if (reading()) {
        return;
      }
    }
  }
  end_our_direction();
}

// Behind the last op comes close_notify, and behind that FIN.
void Socket::end_our_direction() {
  if (!writing()) {
    return;
  }
  const auto want = session_->close_notify();
  if (!want.has_value()) {
    // EPIPE says that the peer had ended its stream, and went before it took our goodbye: nothing of ours is lost by
    // that. What it said before it went nobody can read any more behind a call of the library that has failed.
    orderly_ = closing_ == Closing::graceful && want.error().code() == Code::reset && want.error().number() == EPIPE;
    end_with(want.error());
    return;
  }
  write_want_ = *want;
  if (write_want_ != Want::nothing) {
    return;
  }
  notified_ = true;
  if (const Status status = end_sending(descriptor_.handle()); !status.has_value()) {
    end_behind_input(status.error());
  }
}

// The system says that the peer is gone, not what it said before it went: that is read first, and may be a clean end.
void Socket::end_behind_input(const Error& error) {
  send_failure_ = error;
  read_now_ = true;
  receive(0);
  end_with(error);
}

void Socket::progress_close(std::int64_t now_us) {
  if (over()) {
    return;
  }
  if (closing_ == Closing::half && notified_ && peer_ended_) {
    closing_ = Closing::graceful;  // both directions have ended: what is left is a graceful close
    close_until_us_ = now_us + close_timeout_us_;
  }
  if (closing_ != Closing::graceful) {
    return;
  }
  if (phase_ != Phase::open && ops_.empty()) {
    end_with(Error(Code::aborted, "closed before the handshake was done"));
  }
  if (!notified_ || (look_us_ != never && now_us < look_us_)) {
    return;
  }
  const auto taken = all_taken(descriptor_.handle());
  if (!taken.has_value()) {
    end_behind_input(taken.error());
    return;
  }
  orderly_ = *taken;
  linger_delay_us_ = std::clamp(linger_delay_us_ * 2, linger_delay_min_us, linger_delay_max_us);
  look_us_ = now_us + linger_delay_us_;
}

// Half empty, so that a sender does not come back for each op; and with room for what was refused, or it would come
// back in vain.
void Socket::tell_writable() {
  if (!refused_bytes_.has_value() || closing_ != Closing::no || over() || ops_.size() > ops_max_ / 2 ||
      queued_bytes_ > bytes_max_ / 2 || !room_for(*refused_bytes_)) {
    return;
  }
  refused_bytes_.reset();
  mutex_.unlock();
  callbacks_.writable(user_);
  mutex_.lock();
}

void Socket::report_sent(const Op& op, const Error* error) {
  rig_error abi;
  if (error != nullptr) {
    to_abi(*error, &abi);
  }
  mutex_.unlock();
  callbacks_.sent(user_, op.token, op.taken, error != nullptr ? &abi : nullptr);
  mutex_.lock();
}

// The one way to the end: completes every op in order, closes, and reports.
void Socket::finish() {
  // A peer that ended its stream and left before it took our last bytes has lost none that it wanted.
  const bool gone_after_end =
      peer_ended_ && closing_ != Closing::no && ops_.empty() && failure_.has_value() && failure_->code() == Code::reset;
  std::optional<Error> reason;
  if (failure_.has_value() && !gone_after_end) {
    reason = failure_;
  } else if (!orderly_ && !gone_after_end) {
    reason = Error(Code::aborted, "the socket was aborted");
  }
  phase_ = Phase::closed;
  session_.reset();
  // What we end ourselves is reset; what failed was told to the peer in an alert, which a reset would overtake.
  if (reason.has_value() && (reason->code() == Code::aborted || reason->code() == Code::timeout)) {
    descriptor_.reset();
  } else {
    drop_input(descriptor_.handle());
    descriptor_.close();
  }
  while (!ops_.empty()) {
    report_sent(pop_front(), &*reason);
  }
  rig_error abi;
  if (reason.has_value()) {
    to_abi(*reason, &abi);
  }
  mutex_.unlock();
  if (adopted_ && !std::exchange(connected_reported_, true)) {
    callbacks_.connected(user_, reason.has_value() ? &abi : nullptr);
  }
  if (adopted_) {
    callbacks_.closed(user_, reason.has_value() ? &abi : nullptr);
  }
  finished_ = true;
  mutex_.lock();
}

}  // namespace rig::direct
