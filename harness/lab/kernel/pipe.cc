// Pipes. Source: Linux's fs/pipe.c; pipe(7) for the atomicity of short writes.
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "harness/lab/kernel/events.h"
#include "harness/lab/kernel/faults.h"
#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tcp.h"
#include "harness/lab/sanitizer.h"

namespace rig::lab {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t pipe_max = 1048576;

// rest is what of the caller's buffers lies behind the first `done` bytes.
std::vector<iovec> rest(std::span<const iovec> pieces, std::size_t done) {
  std::vector<iovec> left;
  for (const iovec& piece : pieces) {
    const std::size_t here = std::min(done, piece.iov_len);
    done -= here;
    left.push_back({.iov_base = static_cast<char*>(piece.iov_base) + here, .iov_len = piece.iov_len - here});
  }
  return left;
}

}  // namespace

PipeEnd::PipeEnd(std::shared_ptr<Pipe> pipe, bool writes) : File("pipe"), pipe_(std::move(pipe)), writes_(writes) {
  access = writes ? O_WRONLY : O_RDONLY;
  (writes ? pipe_->writer : pipe_->reader) = this;
}

std::uint32_t PipeEnd::ready() {
  const std::size_t filled = pipe_->bytes.size();
  if (writes_) {
    const bool room = filled + page <= pipe_->room;
    return (room ? ready_out : 0) | (pipe_->reader == nullptr ? std::uint32_t{EPOLLERR} : 0);
  }
  return (filled > 0 ? ready_in : 0) | (pipe_->writer == nullptr ? std::uint32_t{EPOLLHUP} : 0);
}

Answer PipeEnd::read(const Transfer& transfer) {
  if (writes_) {
    return -EBADF;
  }
  if (transfer.bytes == 0) {
    return 0;
  }
  while (pipe_->bytes.size() == 0) {
    if (pipe_->writer == nullptr) {
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
  const std::size_t most = std::min({transfer.bytes, transfer.struck.bytes_max, pipe_->bytes.size()});
  order_after(pipe_.get());
  const std::size_t count = peek_user(pipe_->bytes, transfer.pieces, most);
  pipe_->bytes.pop(count);
  if (pipe_->writer != nullptr) {
    pipe_->writer->wake(ready_out);
  }
  return static_cast<Answer>(count);
}

Answer PipeEnd::write(const Transfer& transfer) {
  if (!writes_) {
    return -EBADF;
  }
  const std::size_t bytes = std::min(transfer.bytes, transfer.struck.bytes_max);
  std::size_t done = 0;
  while (done < bytes) {
    if (pipe_->reader == nullptr) {
      if (done > 0) {
        break;
      }
      raise_sigpipe();
      return -EPIPE;
    }
    const std::size_t free = pipe_->room - std::min(pipe_->room, pipe_->bytes.size());
    const std::size_t least = bytes <= PIPE_BUF ? bytes : 1;
    if (free >= least) {
      const std::vector<iovec> left = rest(transfer.pieces, done);
      order_before(pipe_.get());
      done += push_user(pipe_->bytes, left, std::min(free, bytes - done), false);
      pipe_->reader->wake(ready_in);
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

Answer PipeEnd::control(unsigned long request, void* argument) {
  if (request != FIONREAD) {
    return -ENOTTY;
  }
  *static_cast<int*>(argument) = static_cast<int>(pipe_->bytes.size());
  user_writes(argument, sizeof(int));
  return 0;
}

Answer PipeEnd::command(int request, long argument) {
  if (request == F_GETPIPE_SZ) {
    return static_cast<Answer>(pipe_->room);
  }
  if (request != F_SETPIPE_SZ || argument < 0) {
    return -EINVAL;
  }
  const std::size_t room = std::bit_ceil(std::max(static_cast<std::size_t>(argument), page));
  if (room > pipe_max) {
    return -EPERM;
  }
  if (room < pipe_->bytes.size()) {
    return -EBUSY;
  }
  pipe_->room = room;
  return static_cast<Answer>(room);
}

void PipeEnd::released() {
  PipeEnd*& here = writes_ ? pipe_->writer : pipe_->reader;
  PipeEnd* other = writes_ ? pipe_->reader : pipe_->writer;
  here = nullptr;
  if (other != nullptr) {
    other->wake(ready_all);
  }
}

}  // namespace rig::lab
