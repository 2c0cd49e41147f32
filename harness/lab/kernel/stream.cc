#include "harness/lab/kernel/stream.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "harness/base/check.h"
#include "harness/lab/sanitizer.h"

namespace rig::lab {

void ByteQueue::grow(std::size_t least) {
  const std::size_t room = std::bit_ceil(std::max<std::size_t>(least, 1024));
  auto bytes = std::make_unique_for_overwrite<std::uint8_t[]>(room);
  peek(bytes.get(), 0, size_);
  bytes_ = std::move(bytes);
  room_ = room;
  head_ = 0;
}

void ByteQueue::push(const void* from, std::size_t count) {
  if (count == 0) {
    return;
  }
  if (size_ + count > room_) {
    grow(size_ + count);
  }
  const std::size_t tail = (head_ + size_) & (room_ - 1);
  const std::size_t first = std::min(count, room_ - tail);
  std::memcpy(bytes_.get() + tail, from, first);
  std::memcpy(bytes_.get(), static_cast<const std::uint8_t*>(from) + first, count - first);
  size_ += count;
}

void ByteQueue::peek(void* to, std::size_t offset, std::size_t count) const {
  RIG_CHECK(offset + count <= size_);
  if (count == 0) {
    return;
  }
  const std::size_t at = (head_ + offset) & (room_ - 1);
  const std::size_t first = std::min(count, room_ - at);
  std::memcpy(to, bytes_.get() + at, first);
  std::memcpy(static_cast<std::uint8_t*>(to) + first, bytes_.get(), count - first);
}

void ByteQueue::pop(std::size_t count) {
  RIG_CHECK(count <= size_);
  if (count > 0) {
    head_ = (head_ + count) & (room_ - 1);
    size_ -= count;
  }
}

void ByteQueue::chop(std::size_t count) {
  RIG_CHECK(count <= size_);
  size_ -= count;
}

std::size_t push_user(ByteQueue& queue, std::span<const iovec> pieces, std::size_t count, bool hashed) {
  std::size_t done = 0;
  for (const iovec& piece : pieces) {
    const std::size_t now = std::min(piece.iov_len, count - done);
    user_reads(piece.iov_base, now);
    queue.push(piece.iov_base, now);
    if (hashed && now > 0) {
      bytes(piece.iov_base, now);
    }
    done += now;
  }
  if (done > 0) {
    news();
  }
  return done;
}

std::size_t peek_user(const ByteQueue& queue, std::span<const iovec> pieces, std::size_t count) {
  std::size_t done = 0;
  for (const iovec& piece : pieces) {
    const std::size_t now = std::min(piece.iov_len, count - done);
    queue.peek(piece.iov_base, done, now);
    user_writes(piece.iov_base, now);
    done += now;
  }
  return done;
}

std::size_t ByteStream::write(std::span<const iovec> pieces, std::size_t count, bool hashed) {
  count = push_user(bytes, pieces, std::min(count, free()), hashed);
  written += count;
  if (count > 0) {
    order_before(this);
  }
  return count;
}

std::size_t ByteStream::read(std::span<const iovec> pieces, std::size_t count, bool peek) {
  count = peek_user(bytes, pieces, std::min(count, readable()));
  if (count > 0) {
    order_after(this);
  }
  if (!peek) {
    bytes.pop(count);
    taken += count;
  }
  return count;
}

std::size_t ByteStream::land() {
  std::size_t landed = 0;
  while (!flight.empty() && flight.front().due_ns <= now_ns()) {
    const std::size_t room = readable() < recv_room ? recv_room - readable() : 0;
    const std::size_t count = std::min<std::size_t>(room, flight.front().end - arrived);
    if (count == 0) {
      break;
    }
    last_arrival = arrived;
    arrived += count;
    landed += count;
    if (arrived == flight.front().end) {
      flight.pop_front();
    }
  }
  return landed;
}

void ByteStream::drop_unarrived() {
  bytes.chop(queued());
  lost += queued();
  written = arrived;
  flight.clear();
}

void ByteStream::drop_unread() {
  bytes.pop(readable());
  taken = arrived;
}

}  // namespace rig::lab
