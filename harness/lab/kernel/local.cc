// socketpair(AF_UNIX, SOCK_STREAM). Source: Linux's net/unix/af_unix.c.
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "harness/lab/kernel/events.h"
#include "harness/lab/kernel/faults.h"
#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tcp.h"
#include "harness/lab/sanitizer.h"

namespace rig::lab {

void LocalSocket::join(LocalSocket& one, LocalSocket& other) {
  one.peer_ = &other;
  other.peer_ = &one;
}

// Linux: a quarter of the buffer at most is filled.
bool LocalSocket::is_writable() const {
  const std::size_t queued = peer_ != nullptr ? peer_->received_.size() : 0;
  return queued * 4 <= static_cast<std::size_t>(send_buffer_);
}

std::uint32_t LocalSocket::ready() {
  std::uint32_t events = 0;
  if (error_ != 0) {
    events |= EPOLLERR;
  }
  if (shut_ == 3) {
    events |= EPOLLHUP;
  }
  if ((shut_ & 1) != 0) {
    events |= EPOLLRDHUP | ready_in;
  }
  if (received_.size() > 0) {
    events |= ready_in;
  }
  return is_writable() ? events | ready_out | EPOLLWRBAND : events;
}

Answer LocalSocket::read(const Transfer& transfer) {
  if ((transfer.flags & ~(MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_NOSIGNAL)) != 0) {
    refuse("recv", "of the flags it has MSG_DONTWAIT, MSG_PEEK and MSG_WAITALL");
  }
  while (received_.size() == 0) {
    if (error_ != 0) {
      return -std::exchange(error_, 0);
    }
    if ((shut_ & 1) != 0) {
      return 0;
    }
    if (!transfer.waits) {
      return -EAGAIN;
    }
    if (kernel().faults.interrupts(transfer.struck)) {
      return -EINTR;
    }
    kernel().wait(transfer.op, *this, never);
  }
  if ((transfer.flags & MSG_WAITALL) != 0 && transfer.waits) {
    while (received_.size() < transfer.bytes && (shut_ & 1) == 0 && is_writable()) {
      kernel().wait(transfer.op, *this, never);
    }
  }
  order_after(&received_);
  const std::size_t most = std::min({transfer.bytes, transfer.struck.bytes_max, received_.size()});
  const std::size_t count = peek_user(received_, transfer.pieces, most);
  if ((transfer.flags & MSG_PEEK) == 0) {
    received_.pop(count);
    if (peer_ != nullptr) {
      peer_->wake(ready_out | EPOLLWRBAND);
    }
  }
  return static_cast<Answer>(count);
}

Answer LocalSocket::write(const Transfer& transfer) {
  if ((transfer.flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE)) != 0) {
    refuse("send", "of the flags it has MSG_NOSIGNAL, MSG_DONTWAIT and MSG_MORE");
  }
  const std::size_t bytes = std::min(transfer.bytes, transfer.struck.bytes_max);
  ByteQueue all;
  push_user(all, transfer.pieces, bytes, false);
  std::size_t done = 0;
  while (done < bytes) {
    if ((shut_ & 2) != 0 || peer_ == nullptr) {
      if (done > 0) {
        break;
      }
      if ((transfer.flags & MSG_NOSIGNAL) == 0) {
        raise_sigpipe();
      }
      return -EPIPE;
    }
    const auto room = static_cast<std::size_t>(send_buffer_);
    const std::size_t free = room - std::min(room, peer_->received_.size());
    if (free > 0) {
      const std::size_t count = std::min(free, bytes - done);
      std::vector<std::uint8_t> piece(count);
      all.peek(piece.data(), done, count);
      order_before(&peer_->received_);
      peer_->received_.push(piece.data(), count);
      done += count;
      peer_->wake(ready_in);
      continue;
    }
    if (!transfer.waits) {
      return done > 0 ? static_cast<Answer>(done) : -EAGAIN;
    }
    if (done == 0 && kernel().faults.interrupts(transfer.struck)) {
      return -EINTR;
    }
    kernel().wait(transfer.op, *this, never);
  }
  return static_cast<Answer>(done);
}

Answer LocalSocket::control(unsigned long request, void* argument) {
  if (request != FIONREAD && request != SIOCOUTQ) {
    refuse("ioctl", "of the requests a virtual socket has FIONBIO, FIONREAD and SIOCOUTQ");
  }
  std::size_t count = received_.size();
  if (request == SIOCOUTQ) {
    count = peer_ != nullptr ? peer_->received_.size() : 0;
  }
  *static_cast<int*>(argument) = static_cast<int>(count);
  user_writes(argument, sizeof(int));
  return 0;
}

Answer LocalSocket::shutdown(int how) {
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) {
    return -EINVAL;
  }
  const unsigned ends = static_cast<unsigned>(how) + 1;
  shut_ |= ends;
  wake(ready_all);
  if (peer_ != nullptr) {
    peer_->shut_ |= ((ends & 1) != 0 ? 2U : 0U) | ((ends & 2) != 0 ? 1U : 0U);
    peer_->wake(ready_all);
  }
  return 0;
}

void LocalSocket::released() {
  if (peer_ == nullptr) {
    return;
  }
  peer_->peer_ = nullptr;
  peer_->shut_ = 3;
  if (received_.size() > 0) {
    peer_->error_ = ECONNRESET;
  }
  peer_->wake(ready_all);
}

Answer LocalSocket::get_option(int level, int name, void* value, socklen_t* bytes) {
  int number = 0;
  if (level != SOL_SOCKET) {
    return -EOPNOTSUPP;
  }
  switch (name) {
    case SO_ERROR:
      number = std::exchange(error_, 0);
      break;
    case SO_TYPE:
      number = SOCK_STREAM;
      break;
    case SO_DOMAIN:
      number = AF_UNIX;
      break;
    case SO_PROTOCOL:
    case SO_ACCEPTCONN:
      break;
    case SO_SNDBUF:
      number = send_buffer_;
      break;
    case SO_RCVBUF:
      number = recv_buffer_;
      break;
    default:
      refuse("getsockopt", "this option of a socketpair");
  }
  const auto count = std::min<std::size_t>(sizeof number, *bytes);
  std::memcpy(value, &number, count);
  user_writes(value, count);
  *bytes = static_cast<socklen_t>(count);
  return 0;
}

Answer LocalSocket::set_option(int level, int name, const void* value, socklen_t bytes) {
  int number = 0;
  if (level != SOL_SOCKET) {
    return -EOPNOTSUPP;
  }
  if (bytes < sizeof number) {
    return -EINVAL;
  }
  std::memcpy(&number, value, sizeof number);
  constexpr int buffer_max = 212992;
  switch (name) {
    case SO_SNDBUF:
      send_buffer_ = std::max(2 * std::clamp(number, 0, buffer_max), 4608);
      return 0;
    case SO_RCVBUF:
      recv_buffer_ = std::max(2 * std::clamp(number, 0, buffer_max), 2304);
      return 0;
    default:
      refuse("setsockopt", "this option of a socketpair");
  }
}

}  // namespace rig::lab
