// Verbs, which any thread may call, and what the poller is asked. The loop's side is in socket_turn.cc.
#include "harness/subjects/direct/socket.h"

#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <utility>

#include "harness/base/check.h"
#include "harness/subjects/abi.h"

namespace rig::direct {
namespace {

constexpr std::int64_t handshake_timeout_default_us = 30'000'000;
constexpr std::int64_t close_timeout_default_us = 10'000'000;
constexpr std::size_t ops_max_default = 65536;
constexpr std::size_t bytes_max_default = 16 * 1024 * 1024;

template <typename T>
T or_default(std::uint64_t asked, T otherwise) noexcept {
  return asked != 0 ? static_cast<T>(asked) : otherwise;
}

Error closed_error() noexcept {
  return Error(Code::closed, "the socket is closed or closing");
}

// A write that wants nothing begins as soon as there is room.
short event_of(Want want) noexcept {
  switch (want) {
    case Want::read:
      return POLLIN;
    case Want::other:
      return 0;
    case Want::nothing:
    case Want::write:
      break;
  }
  return POLLOUT;
}

}  // namespace

Socket::Socket(Loop& loop, Parts parts, const rig_socket_config& config)
    : loop_(loop),
      library_(*parts.library),
      server_(parts.server),
      nodelay_(set_options(parts.descriptor.handle(), config)),
      ops_max_(or_default(config.queue_ops_max, ops_max_default)),
      bytes_max_(or_default(config.queue_bytes_max, bytes_max_default)),
      close_timeout_us_(or_default(config.close_timeout_us, close_timeout_default_us)),
      place_(std::move(parts.place)),
      connect_until_us_(Loop::now_us() + or_default(config.connect_timeout_us, handshake_timeout_default_us)),
      handshake_until_us_(Loop::now_us() + or_default(config.handshake_timeout_us, handshake_timeout_default_us)),
      descriptor_(std::move(parts.descriptor)),
      session_(std::move(parts.session)),
      phase_(parts.server ? Phase::handshaking : Phase::connecting),
      failure_(parts.failure) {}

void Socket::adopt(const rig_socket_callbacks& callbacks, void* user) noexcept {
  callbacks_ = callbacks;
  user_ = user;
  adopted_ = true;
}

bool Socket::room_for(std::size_t bytes) const {
  // An op that is larger than the limit must have its turn some time: when nothing else is queued.
  return ops_.empty() || (ops_.size() < ops_max_ && bytes <= bytes_max_ && queued_bytes_ <= bytes_max_ - bytes);
}

rig_send_result Socket::send(std::uint64_t token, ByteView plain, rig_error* error) noexcept {
  {
    const MutexLock lock(mutex_);
    if (phase_ == Phase::closed || closing_ != Closing::no || failure_.has_value()) {
      to_abi(closed_error(), error);
      return RIG_SEND_REFUSED;
    }
    if (!room_for(plain.size())) {
      refused_bytes_ = std::min(refused_bytes_.value_or(plain.size()), plain.size());
      to_abi(Error(Code::would_block, "the queue is full"), error);
      return RIG_SEND_REFUSED;
    }
    try {
      auto bytes = std::make_unique_for_overwrite<std::uint8_t[]>(plain.size());
      std::ranges::copy(plain, bytes.get());
      ops_.push_back({.token = token, .bytes = std::move(bytes), .size = plain.size(), .taken = 0});
    } catch (const std::bad_alloc&) {
      to_abi(Error(Code::no_memory, "no memory for an op"), error);
      return RIG_SEND_REFUSED;
    }
    queued_bytes_ += plain.size();
    // Alone in the queue: no op of anybody else completes on this stack.
    const bool at_once =
        loop_.fast_track() && phase_ == Phase::open && ops_.size() == 1 && write_want_ == Want::nothing;
    if (at_once && write_front()) {
      pop_front();
      return RIG_SEND_COMPLETED;
    }
  }
  loop_.wake();
  return RIG_SEND_PENDING;
}

Status Socket::set_paused(bool paused) noexcept {
  {
    const MutexLock lock(mutex_);
    if (phase_ == Phase::closed || closing_ == Closing::graceful || closing_ == Closing::abort) {
      return std::unexpected(closed_error());
    }
    paused_ = paused;
    read_now_ = read_now_ || !paused;
  }
  loop_.wake();
  return {};
}

Status Socket::renegotiate() noexcept {
  {
    const MutexLock lock(mutex_);
    if (phase_ == Phase::closed || closing_ != Closing::no || failure_.has_value()) {
      return std::unexpected(closed_error());
    }
    if (phase_ != Phase::open) {
      return std::unexpected(Error(Code::invalid_state, "the handshake is not done"));
    }
    RIG_TRY_STATUS(session_->may_renegotiate());
    if (want_renegotiate_) {
      return std::unexpected(Error(Code::invalid_state, "a renegotiation is under way"));
    }
    want_renegotiate_ = true;
  }
  loop_.wake();
  return {};
}

Status Socket::half_close() noexcept {
  {
    const MutexLock lock(mutex_);
    if (phase_ == Phase::closed || closing_ == Closing::graceful || closing_ == Closing::abort) {
      return std::unexpected(closed_error());
    }
    closing_ = Closing::half;
  }
  loop_.wake();
  return {};
}

void Socket::close(rig_close_mode mode) noexcept {
  const std::int64_t until_us = Loop::now_us() + close_timeout_us_;
  {
    const MutexLock lock(mutex_);
    const Closing wanted = mode == RIG_CLOSE_ABORT ? Closing::abort : Closing::graceful;
    if (phase_ == Phase::closed || closing_ >= wanted) {
      return;
    }
    closing_ = wanted;
    close_until_us_ = until_us;
  }
  loop_.wake();
}

void Socket::destroy() noexcept {
  close(RIG_CLOSE_ABORT);
  destroyed_ = true;
}

void Socket::info(rig_socket_info& info) const noexcept {
  const MutexLock lock(mutex_);
  info = {};
  std::snprintf(info.library, sizeof info.library, "%s", library_.name);
  std::snprintf(info.poller, sizeof info.poller, "poll");
  std::snprintf(info.cipher, sizeof info.cipher, "%s", facts_.cipher.c_str());
  info.fast_track = loop_.fast_track() ? 1 : 0;
  info.tls_version = facts_.tls_version;
  info.psk = facts_.psk ? 1 : 0;
  info.peer_verified = facts_.peer_verified ? 1 : 0;
  info.nodelay = nodelay_ ? 1 : 0;
  info.handshakes = handshakes_;
  info.ops_pending = static_cast<std::uint32_t>(ops_.size());
  info.queued_bytes = queued_bytes_;
}

// Gives the first op to the library: true when all of it was taken. Until then the op stays where and as it is, since
// a call that wanted something must come again with the same arguments.
bool Socket::write_front() {
  Op& op = ops_.front();
  while (op.taken < op.size) {
    const auto moved = session_->write({op.bytes.get() + op.taken, op.size - op.taken});
    if (!moved.has_value()) {
      end_with(moved.error());
      return false;
    }
    write_want_ = moved->want;
    if (write_want_ != Want::nothing) {
      return false;
    }
    RIG_CHECK(moved->bytes > 0);
    op.taken += moved->bytes;
  }
  return true;
}

Socket::Op Socket::pop_front() {
  Op op = std::move(ops_.front());
  ops_.pop_front();
  queued_bytes_ -= op.size;
  return op;
}

bool Socket::over() const {
  return failure_.has_value() || orderly_ || closing_ == Closing::abort;
}

// A graceful close reads on, also where the app had paused: else it would not see that the peer is gone.
bool Socket::reading() const {
  return phase_ == Phase::open && !peer_ended_ && !over() && (!paused_ || closing_ == Closing::graceful);
}

bool Socket::writing() const {
  const bool wants_end = closing_ != Closing::no && !notified_;
  return phase_ == Phase::open && !notified_ && !over() && (!ops_.empty() || wants_end);
}

std::int64_t Socket::deadline_us() const {
  switch (phase_) {
    case Phase::connecting:
      return std::min({connect_until_us_, handshake_until_us_, close_until_us_});
    case Phase::handshaking:
      return std::min(handshake_until_us_, close_until_us_);
    case Phase::open:
      return close_until_us_;
    case Phase::closed:
      break;
  }
  return never;
}

void Socket::end_with(const Error& error) {
  if (!failure_.has_value() && !orderly_) {
    failure_ = error;
  }
}

Interest Socket::interest(std::int64_t now_us) {
  const MutexLock lock(mutex_);
  Interest interest{.handle = descriptor_.handle(), .events = 0, .until_us = std::min(deadline_us(), look_us_)};
  const bool begins = phase_ == Phase::handshaking && handshake_want_ == Want::nothing;
  if (phase_ != Phase::closed && (over() || begins || (read_now_ && reading()))) {
    interest.until_us = now_us;
  } else if (phase_ == Phase::connecting) {
    interest.events = POLLOUT;
  } else if (phase_ == Phase::handshaking) {
    interest.events = event_of(handshake_want_);
  }
  if (reading()) {
    interest.events = static_cast<short>(interest.events | event_of(read_want_));
  }
  if (writing()) {
    interest.events = static_cast<short>(interest.events | event_of(write_want_));
  }
  return interest;
}

void Socket::count(rig_loop_counts& counts) const {
  const MutexLock lock(mutex_);
  if (phase_ == Phase::closed) {
    counts.undestroyed += finished_ && !destroyed_ ? 1 : 0;
    counts.closing += finished_ ? 0 : 1;
    return;
  }
  ++counts.registrations;
  if (over() || closing_ == Closing::graceful) {
    ++counts.closing;
  } else if (phase_ == Phase::connecting) {
    ++counts.connecting;
  } else {
    ++(phase_ == Phase::handshaking ? counts.handshaking : counts.open);
  }
}

}  // namespace rig::direct
