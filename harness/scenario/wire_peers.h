// Raw TCP programs around a subject: a relay that can stall, reset or end a connection, and peers that speak no TLS.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "harness/base/error.h"
#include "harness/scenario/signal.h"

namespace rig {

// RelayOrder is what a relay does with the bytes of its connection.
enum class RelayOrder : std::uint8_t { flow, stall, reset, fin };

// Relay stands between a client and a server and passes one connection's bytes on, both ways. Owns: its thread and
// sockets, until the destructor. Thread: order() on any.
class Relay {
 public:
  // open listens on a port of its own; `upstream_port` is the server's. Errors: the system's.
  static std::expected<std::unique_ptr<Relay>, Error> open(bool ipv6, std::uint16_t upstream_port, Signal& signal);
  ~Relay();

  std::uint16_t port() const { return port_; }

  // order changes what is done from here on. `reset` resets both sockets; `fin` ends the stream towards both sides
  // without passing on, or even reading, anything more.
  void order(RelayOrder order);

  // ordered says whether such an order was ever given.
  bool ordered(RelayOrder order) const { return (orders_.load() & bit(order)) != 0; }

  // holds_back says that its order is to pass nothing on.
  bool holds_back() const { return order_.load() == RelayOrder::stall; }

  // moved_bytes is how much was passed on so far, both ways.
  std::uint64_t moved_bytes() const { return moved_bytes_.load(); }

 private:
  struct Sockets;
  Relay(std::unique_ptr<Sockets> sockets, std::uint16_t port, Signal& signal);
  void main();
  bool carry_out(RelayOrder order);
  static unsigned bit(RelayOrder order) { return 1u << static_cast<unsigned>(order); }

  std::unique_ptr<Sockets> sockets_;
  const std::uint16_t port_;
  Signal& signal_;
  std::atomic<RelayOrder> order_{RelayOrder::flow};
  std::atomic<unsigned> orders_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> moved_bytes_{0};
  std::thread thread_;
};

// ClosedPort is a port of the loopback at which nobody listens, as long as it lives. Owns: the socket that has it.
class ClosedPort {
 public:
  static std::expected<std::unique_ptr<ClosedPort>, Error> open(bool ipv6);
  ~ClosedPort();
  std::uint16_t port() const { return port_; }

 private:
  ClosedPort(int bound, std::uint16_t port) : bound_(bound), port_(port) {}

  const int bound_;
  const std::uint16_t port_;
};

// DeafPort is a port of the loopback at which somebody listens and never accepts: a connection of its own fills the
// queue, so that the system answers nobody else. Owns: its sockets.
class DeafPort {
 public:
  static std::expected<std::unique_ptr<DeafPort>, Error> open(bool ipv6);
  ~DeafPort();
  std::uint16_t port() const { return port_; }

 private:
  DeafPort(int listening, int filling, std::uint16_t port) : listening_(listening), filling_(filling), port_(port) {}

  const int listening_;
  const int filling_;
  const std::uint16_t port_;
};

// PlaintextServer accepts connections, reads a little, answers in plain HTTP, and closes. Owns: its thread and sockets.
class PlaintextServer {
 public:
  static std::expected<std::unique_ptr<PlaintextServer>, Error> open(bool ipv6);
  ~PlaintextServer();
  std::uint16_t port() const { return port_; }
  std::uint64_t answered() const { return answered_.load(); }

 private:
  PlaintextServer(int listening, std::uint16_t port);
  void main();

  const int listening_;
  const std::uint16_t port_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> answered_{0};
  std::thread thread_;
};

// PlaintextClient connects, says a line of plain HTTP, and reads until the end. Owns: its thread and socket.
class PlaintextClient {
 public:
  PlaintextClient(bool ipv6, std::uint16_t port, Signal& signal);
  ~PlaintextClient();
  // finished is true when the other side has ended or reset the connection.
  bool finished() const { return finished_.load(); }

 private:
  void main(bool ipv6, std::uint16_t port);

  Signal& signal_;
  std::atomic<int> socket_{-1};
  std::atomic<bool> finished_{false};
  std::thread thread_;
};

}  // namespace rig
