// Listener: accepts connections and makes TlsSockets of them, up to a cap.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>

#include "harness/base/error.h"
#include "harness/engine/backend.h"
#include "harness/socket/loop.h"
#include "harness/socket/tls_socket.h"
#include "harness/socket/transport.h"

namespace rig {

// ListenerEvents is the app's side of a listener. Thread: the loop's, inside Loop::turn().
class ListenerEvents {
 public:
  virtual ~ListenerEvents() = default;
  // on_accepted hands over a new socket before its handshake. The app adopts it; one that is not adopted when the hook
  // returns is destroyed. The listener may be closed in here: the socket lives on.
  virtual void on_accepted(const std::shared_ptr<TlsSocket>& socket) = 0;
};

// ListenerConfig is what a listener and its sockets may differ in.
struct ListenerConfig {
  SocketConfig socket = {};
  std::size_t connections_max = 1024;  // accepted sockets that are not yet both closed and destroyed
  int backlog = 256;
};

// Listener accepts while it has a free place. At the cap, and when the system has no descriptor or memory left, it
// stops asking the poller; each place that becomes free (a socket of its own that is closed *and* destroyed) makes it
// look again, once. Without descriptors it looks again after a while too, since others may have given some back.
//
// Owns: the listening descriptor. An accepted socket knows nothing of its listener but the place that it holds.
// Thread: as Loop's verbs.
class Listener final : public LoopObject {
 public:
  // open listens at `local` (port 0: the system chooses). Errors: as listen_tcp and Loop::attach, watch.
  static std::expected<std::shared_ptr<Listener>, Error> open(std::shared_ptr<Loop> loop,
                                                              std::shared_ptr<const Context> context,
                                                              const Endpoint& local, const ListenerConfig& config,
                                                              ListenerEvents& events) noexcept;
  ~Listener() override;

  // local is where it listens; the port is the real one.
  const Endpoint& local() const noexcept { return local_; }

  // close stops accepting and gives the descriptor back; connections that wait in the backlog are reset by the system.
  // Closing again is harmless.
  void close() noexcept;

  // Counters since open().
  struct Counters {
    std::uint64_t accepted = 0;
    std::uint64_t dropped = 0;  // taken from the backlog, but no socket could be made of them
    std::uint64_t pauses_at_cap = 0;
    std::uint64_t pauses_without_resources = 0;
    std::uint64_t resumes = 0;
  };
  const Counters& counters() const noexcept { return counters_; }

  // places_taken is how many accepted sockets hold a place.
  std::size_t places_taken() const noexcept;

  void ready(const Ready& report) override;
  void service() override;
  void expired(Timer& timer) override;
  Stage stage() const override { return Stage::listening; }

 private:
  struct Places;

  Listener(std::shared_ptr<Loop> loop, std::shared_ptr<const Context> context, std::unique_ptr<Acceptor> acceptor,
           Endpoint local, const ListenerConfig& config, ListenerEvents& events);
  bool accept_one();
  void make_socket(std::unique_ptr<Transport> transport);
  void pause(std::uint64_t& reason);
  void resume();

  const std::shared_ptr<Loop> loop_;
  const std::shared_ptr<const Context> context_;
  const std::unique_ptr<Acceptor> acceptor_;
  const Endpoint local_;
  const ListenerConfig config_;
  ListenerEvents& events_;
  std::shared_ptr<Places> places_;
  ObjectTimer retry_timer_{*this};
  bool accepting_ = true;
  bool closed_ = true;  // until open() has made it
  Counters counters_;
};

}  // namespace rig
