// ByteStream: the bytes of one direction, from the sender's buffer over what is under way to the receiver's buffer.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>

#include "harness/lab/scheduler.h"

namespace rig::lab {

// ByteQueue is a ring of bytes that grows.
class ByteQueue {
 public:
  std::size_t size() const { return size_; }
  void push(const void* from, std::size_t count);
  // peek copies from `offset` on; pop drops from the front, chop from the back.
  void peek(void* to, std::size_t offset, std::size_t count) const;
  void pop(std::size_t count);
  void chop(std::size_t count);

 private:
  void grow(std::size_t least);

  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t room_ = 0;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

// push_user and peek_user move bytes between a queue and a caller's buffers, at most `count`; they answer how many.
std::size_t push_user(ByteQueue& queue, std::span<const iovec> pieces, std::size_t count, bool hashed);
std::size_t peek_user(const ByteQueue& queue, std::span<const iovec> pieces, std::size_t count);

// Segment is a part of a stream that is under way, up to the byte `end`.
struct Segment {
  std::uint64_t end;
  std::int64_t due_ns;
};

// ByteStream counts bytes from its beginning: taken by the receiver <= arrived <= written by the sender.
struct ByteStream {
  ByteQueue bytes;  // from `taken` to `written`
  std::uint64_t taken = 0;
  std::uint64_t arrived = 0;
  std::uint64_t written = 0;
  std::size_t lost = 0;            // dropped before it arrived: Linux counts that as unsent for ever
  std::uint64_t last_arrival = 0;  // where the segment that arrived last begins
  std::deque<Segment> flight;
  std::size_t send_room = 0;  // capacities
  std::size_t recv_room = 0;

  std::size_t readable() const { return static_cast<std::size_t>(arrived - taken); }
  std::size_t queued() const { return static_cast<std::size_t>(written - arrived); }
  std::size_t free() const { return queued() < send_room ? send_room - queued() : 0; }
  // is_writable is sk_stream_is_writeable: at least a third is free.
  bool is_writable() const { return queued() < send_room && free() >= queued() / 2; }

  // write takes as much as there is room for and at most `count`; the segment is not made by it.
  std::size_t write(std::span<const iovec> pieces, std::size_t count, bool hashed);
  // read gives what has arrived, at most `count`.
  std::size_t read(std::span<const iovec> pieces, std::size_t count, bool peek);
  // land moves segments that are due into the receiver's buffer as far as there is room; the number of bytes.
  std::size_t land();
  // drop_unarrived forgets what has not arrived, drop_unread what has.
  void drop_unarrived();
  void drop_unread();
};

}  // namespace rig::lab
