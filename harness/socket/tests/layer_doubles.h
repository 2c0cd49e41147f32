// Doubles below the socket layer: a stream, a poller and an engine that do what a test tells them, without a kernel.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/engine/engine.h"
#include "harness/socket/poller.h"
#include "harness/socket/transport.h"

namespace rig::test {

inline constexpr std::size_t no_limit_bytes = std::numeric_limits<std::size_t>::max();

// FakeWire is the far side of one FakeTransport: what the stream will say, and what it was told. The test holds it, so
// that it outlives the socket.
struct FakeWire {
  explicit FakeWire(std::uint64_t number) : handle(number) {}

  // Said to the socket.
  std::string input;                      // what recv() takes from
  std::size_t give_max = no_limit_bytes;  // and how much of it in one call
  bool fin = false;                       // behind the input
  std::optional<Error> broken;            // behind the input, instead of a FIN
  std::size_t room = no_limit_bytes;      // how much send() takes before it would block
  std::size_t take_max = no_limit_bytes;  // and in one call
  std::optional<Error> send_error;
  Status connected;  // what finish_connect() answers
  Status failure;    // what failure() answers
  Status shutdown;   // what shutdown_send() answers
  std::expected<std::size_t, Error> unsent = 0;
  bool hung_up = false;           // the poller reports `failed`
  std::function<void()> on_send;  // runs inside send(), before it answers
  std::function<void()> on_recv;
  std::function<void()> on_system_call;  // runs inside every other verb that is a system call

  // Told by the socket.
  struct Sent {
    std::string bytes;
    bool more = false;
    friend bool operator==(const Sent&, const Sent&) = default;
  };
  std::size_t pushes = 0;
  std::vector<Sent> sent;  // one entry for each send() that took something
  std::size_t sends = 0;
  std::size_t recvs = 0;
  std::size_t fins = 0;
  bool closed = false;
  bool reset = false;

  const NativeHandle handle;

  bool readable() const { return !input.empty() || fin || broken.has_value(); }
  bool writable() const { return connected.has_value() ? room > 0 : connected.error().code() != Code::would_block; }
  // text is everything that was sent.
  std::string text() const;
};

// make_fake_transport is the near side of `wire`.
std::unique_ptr<Transport> make_fake_transport(std::shared_ptr<FakeWire> wire);

// FakePoller reports what the wires of its registrations are ready for. A wait that finds nothing returns at once.
// With `hides_failures` it is like select: a failure shows as readiness for what the interest names.
class FakePoller final : public Poller {
 public:
  struct Entry {
    NativeHandle handle;
    std::uint64_t key = 0;
    Interest interest;
  };

  // know tells it which wire a handle belongs to.
  void know(std::shared_ptr<FakeWire> wire) { wires_.push_back(std::move(wire)); }

  PollerKind kind() const noexcept override { return PollerKind::poll; }
  Status add(NativeHandle handle, std::uint64_t key, Interest interest) noexcept override;
  Status modify(NativeHandle handle, Interest interest) noexcept override;
  Status remove(NativeHandle handle) noexcept override;
  std::expected<std::size_t, Error> wait(std::span<Ready> ready, std::int64_t timeout_us) noexcept override;
  void wake() noexcept override { ++wakes; }
  std::size_t registrations() const noexcept override { return entries.size(); }

  // entry is the registration of `handle`, or null.
  const Entry* entry(NativeHandle handle) const;

  std::vector<Entry> entries;
  std::vector<Ready> planted;  // reported first, once, whatever is registered
  std::optional<Error> refuse_add;
  std::optional<Error> refuse_modify;
  std::optional<Error> refuse_wait;  // once
  bool hides_failures = false;
  std::atomic<std::size_t> wakes = 0;
  std::size_t waits = 0;
  std::size_t reports = 0;
  std::int64_t last_timeout_us = 0;
  std::function<void()> on_system_call;

 private:
  std::vector<std::shared_ptr<FakeWire>> wires_;
};

// EngineScript is what a FakeEngine was told to do, and what it was asked. Its protocol is text: plaintext passes as it
// is; '.' is a flight of the handshake, 'R' and 'r' the first and the last flight of a renegotiation, 'K' a key update,
// '!' a close_notify, 'X' an alert.
struct EngineScript {
  std::size_t flights = 0;                  // of the peer, before the handshake is done
  std::size_t accept_max = no_limit_bytes;  // plaintext that one write() takes
  std::optional<Error> write_error;
  std::optional<Error> control_error;
  std::optional<Error> notify_error;
  std::optional<Error> feed_error;
  std::size_t feeds = 0;
  std::size_t handshakes = 0;
  std::size_t notifies = 0;
};

// make_fake_engine is an engine that follows `script`.
std::unique_ptr<TlsEngine> make_fake_engine(std::shared_ptr<EngineScript> script);

}  // namespace rig::test
