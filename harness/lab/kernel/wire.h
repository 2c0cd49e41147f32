// Wire: one TCP connection. It outlives the sockets of its ends as long as something is under way.
//
// Theory of operation. A direction is a ByteStream and, behind its bytes, a FIN or an RST. What is sent is a segment
// with the moment at which it arrives; in most runs that is at once, as on Linux's loopback, and then it arrives before
// the call returns. An end without a socket is an orphan: what it wrote goes on, what reaches it is answered with an
// RST.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "harness/lab/kernel/faults.h"
#include "harness/lab/kernel/stream.h"

namespace rig::lab {

class TcpSocket;

// Mark is what ends a direction.
struct Mark {
  bool sent = false;
  bool arrived = false;
  std::int64_t due_ns = 0;
};

// Way is one direction, as its sender fills it.
struct Way {
  ByteStream stream;
  Mark fin;
  Mark reset;
  // The segment that was sent last waits for more, until it must leave (MSG_MORE).
  bool held = false;
  std::int64_t last_due_ns = 0;
  std::vector<Fault> later;           // delays that hold from their offset on
  std::vector<std::uint64_t> resets;  // the connection is reset when so much has arrived
  std::uint64_t held_until = 0;       // a coalesce fault holds all up to this byte
};

// Wire is both directions and both ends of a connection.
struct Wire {
  Wire(std::uint32_t number, std::optional<std::uint32_t> connection, bool first_of_connection);

  // send makes segments of what has been written since the last one. `more`: more is coming soon.
  void send(int side, bool more, bool corked);
  // flush lets what waits for more leave.
  void flush(int side);
  void send_fin(int side);
  // send_reset ends the direction at once, and everything that was to arrive at `side`.
  void send_reset(int side);
  // deliver lets arrive what is due; also after a receiver has made room.
  void deliver();
  // detach says that the socket of `side` is gone.
  void detach(int side) { ends[static_cast<std::size_t>(side)] = nullptr; }

  std::int64_t next_due_ns() const;
  bool is_over() const;

  Way& way(int side) { return ways[static_cast<std::size_t>(side)]; }
  const Way& way(int side) const { return ways[static_cast<std::size_t>(side)]; }
  TcpSocket* end(int side) const { return ends[static_cast<std::size_t>(side)]; }
  Place place(int side) const;

  const std::uint32_t number;
  const std::optional<std::uint32_t> connection;
  const bool first_of_connection;
  std::array<Way, 2> ways;  // by the sender: 0 connected, 1 was accepted
  std::array<TcpSocket*, 2> ends{nullptr, nullptr};

 private:
  void cut(int side, std::uint64_t begin);
  std::uint64_t apply_faults(int side, std::uint64_t begin, std::vector<std::uint64_t>& cuts);
  void arrive(int side);
  void strike_resets(int side);
  void tell_cut(std::optional<std::int64_t> fault_ns) const;
};

}  // namespace rig::lab
